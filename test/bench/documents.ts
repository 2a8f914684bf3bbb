/**
 * How fast documents with children are built by reading, beside documents of one table and the least that any program must
 * do: a bare _bulk of the same nested documents.
 *
 *   parents, children ─▶ daemon (first load) ─▶ Elasticsearch     flat, then nested
 *                          the same documents ─▶ Elasticsearch     bare
 */
import { join } from 'node:path'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { DaemonProcess } from '../support/daemon-process.ts'
import { SearchIndex } from '../support/search-index.ts'
import { printProgress } from '../stack/progress.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { sendBare } from './bare-bulk.ts'
import { allSearchable, firstWritten } from './measured-index.ts'
import { numbersAsked } from './options.ts'
import { say, sayProgress } from './progress-line.ts'
import { rounded } from './statistics.ts'

const help = `npm run bench:documents -- [options]

A first load of rows with three children each: as documents of one table (flat), with their children (nested), and the same
nested documents by a bare _bulk. Queries are all statements that the server answered. The last line is one JSON object;
progress goes to standard error.

  --rows N   roots (default 1000000)
  --help     this text`

const childrenEach = 3
const documentsPerBody = 5000

async function main(): Promise<void> {
  const asked = numbersAsked(help, { rows: 1_000_000 })
  if (asked === undefined) return
  const { rows } = asked
  await using stack = await startStack({
    servers: ['mysql', 'elasticsearch'],
    profile: 'bench',
    onProgress: printProgress(),
  })
  const connection = await stack.mysql.connect()
  try {
    await fill(connection, rows)
    const flat = await load({ stack, connection, rows }, 'flat', {})
    say(`flat: ${JSON.stringify(flat)}`)
    const nested = await load({ stack, connection, rows }, 'nested', {
      children: { children: { table: 'bench.children', on: { parent_id: 'id' }, order: { place: 'asc' } } },
    })
    say(`nested: ${JSON.stringify(nested)}`)
    const bareDocsPerSecond = await bare(stack, rows)
    const { docsPerSecond } = flat
    console.log(JSON.stringify({ bench: 'documents', flat: { docsPerSecond }, nested, bareDocsPerSecond }))
  } finally {
    await connection.end()
  }
}

async function fill(connection: Connection, rows: number): Promise<void> {
  await connection.query('CREATE DATABASE bench')
  await connection.query(
    'CREATE TABLE bench.parents (id INT NOT NULL PRIMARY KEY, name VARCHAR(60) NOT NULL, amount INT NOT NULL)',
  )
  await connection.query(
    `CREATE TABLE bench.children (id INT NOT NULL PRIMARY KEY, parent_id INT NOT NULL, place INT NOT NULL,
       label VARCHAR(60) NOT NULL, KEY (parent_id))`,
  )
  const progress = sayProgress('roots in MySQL', rows)
  for (let from = 1; from <= rows; from += 2000) {
    const ids = numbers(from, Math.min(2000, rows - from + 1))
    await connection.query('INSERT INTO bench.parents VALUES ?', [
      ids.map((id) => [id, nameOf(id), id % 1000]),
    ])
    const children = ids.flatMap((id) =>
      numbers(0, childrenEach).map((place) => [id * childrenEach + place, id, place, nameOf(id + place)]),
    )
    await connection.query('INSERT INTO bench.children VALUES ?', [children])
    progress(ids.at(-1) ?? 0)
  }
}

function numbers(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, at) => from + at)
}

function nameOf(number: number): string {
  return `the name of number ${number}, somewhat longer`
}

interface World {
  readonly stack: Stack
  readonly connection: Connection
  readonly rows: number
}

interface Loaded {
  readonly docsPerSecond: number
  readonly queriesPerThousandDocs: number
  readonly peakResidentMb: number
}

async function load({ stack, connection, rows }: World, name: string, more: object): Promise<Loaded> {
  const index = new SearchIndex(stack.elasticsearch.url, name)
  const before = await questions(connection)
  await using daemon = new DaemonProcess({
    directory: join(stack.directory, name),
    mysqlUrl: stack.mysql.cdcUrl,
    elasticsearchUrl: stack.elasticsearch.url,
    pipelines: {
      [name]: {
        table: 'bench.parents',
        ...more,
        target: { settings: { number_of_replicas: 0, refresh_interval: '-1' } },
      },
    },
  })
  const stop = new AbortController()
  void daemon.exited.then(() => stop.abort(new Error(`the daemon ended\n${daemon.outputTail()}`)))
  const first = await firstWritten(index, stop.signal)
  const last = await allSearchable(index, rows, stop.signal, sayProgress(`${name} documents`, rows))
  const asked = (await questions(connection)) - before
  const { peakResidentMb } = daemon.usage()
  await daemon.stop()
  return {
    docsPerSecond: rounded((rows * 1000) / (last - first), 0),
    queriesPerThousandDocs: rounded((asked * 1000) / rows, 1),
    peakResidentMb: rounded(peakResidentMb, 1),
  }
}

/** All statements that clients have sent. */
async function questions(connection: Connection): Promise<number> {
  const [[row]] = await connection.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Questions'")
  return Number(row?.['Value'])
}

async function bare(stack: Stack, rows: number): Promise<number> {
  const server = stack.elasticsearch.url
  const index = new SearchIndex(server, 'bare')
  const made = await index.ask<Readonly<Record<string, { readonly mappings: object }>>>('GET', '/nested')
  const mappings = Object.values(made)[0]?.mappings ?? {}
  const settings = { number_of_replicas: 0, refresh_interval: '-1' }
  await index.ask('PUT', '/bare', { settings, mappings })
  const failed = new AbortController()
  const sent = sendBare({ server, path: '/bare/_bulk', bodies: bodies(rows), inFlight: 2 })
  sent.catch((failure: unknown) => failed.abort(failure))
  const first = await firstWritten(index, failed.signal)
  const last = await allSearchable(index, rows, failed.signal, sayProgress('bare documents', rows))
  await sent
  return rounded((rows * 1000) / (last - first), 0)
}

function* bodies(rows: number): Generator<Buffer, undefined> {
  for (let from = 1; from <= rows; from += documentsPerBody) {
    let lines = ''
    for (let id = from; id < Math.min(from + documentsPerBody, rows + 1); id++) {
      const children = Array.from({ length: childrenEach }, (_, place) => ({
        id: id * childrenEach + place,
        parent_id: id,
        place,
        label: nameOf(id + place),
      }))
      const action = { index: { _id: String(id), version: id, version_type: 'external_gte' } }
      lines += `${JSON.stringify(action)}\n${JSON.stringify({ id, name: nameOf(id), amount: id % 1000, children })}\n`
    }
    yield Buffer.from(lines)
  }
  return undefined
}

await main()
