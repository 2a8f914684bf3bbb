/**
 * How fast changes that wait in the source become findable documents, beside the least that any program must do.
 *
 *   rows ─▶ MySQL ─▶ daemon ─▶ proxy ─▶ Elasticsearch     once, unmeasured: keeps the lines that the daemon sends
 *           MySQL ─▶ daemon ──────────▶ Elasticsearch     ours, measured  ┐ in turn, each on a fresh index
 *                    lines of before ─▶ Elasticsearch     bare, measured  ┘ of the same settings
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { BulkProxy } from '../support/bulk-proxy.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import {
  checksumOfTable,
  createReferenceTable,
  fillReferenceTable,
  referenceDocument,
  referenceIndex,
  referencePipeline,
  type Checksum,
} from '../support/reference-table.ts'
import { SearchIndex } from '../support/search-index.ts'
import { printProgress } from '../stack/progress.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { bareRate } from './bare-rate.ts'
import { CapturedBodies } from './captured-bodies.ts'
import {
  abortWhenEnded,
  allSearchable,
  firstWritten,
  madeIndex,
  type MadeIndex,
  warm,
} from './measured-index.ts'
import { say, sayProgress } from './progress-line.ts'
import { median, rounded } from './statistics.ts'

const help = `npm run bench:e2e -- [options]

Rows that wait in MySQL's binlog until all are findable in Elasticsearch, beside a bare _bulk of the identical lines.
The last line is one JSON object; progress goes to standard error.

  --rows N     rows in the binlog before the daemon starts (default 1500000)
  --pairs N    measured pairs of ours and bare, of which medians are shown (default 3)
  --warm N     documents written to a throw-away index before (default 100000)
  --help       this text`

interface Options {
  readonly rows: number
  readonly pairs: number
  readonly warm: number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '1500000' },
      pairs: { type: 'string', default: '3' },
      warm: { type: 'string', default: '100000' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(help)
  const options = { rows: Number(values.rows), pairs: Number(values.pairs), warm: Number(values.warm) }
  await using stack = await startStack({
    servers: ['mysql', 'elasticsearch'],
    profile: 'bench',
    onProgress: printProgress(),
  })
  const table = await fill(stack, options)
  say(`warming Elasticsearch with ${options.warm} documents`)
  await warm(stack.elasticsearch.url, options.warm, referenceDocument)
  using captured = new CapturedBodies(join(stack.directory, 'bodies.ndjson'), bareBodyBytes)
  const request = await capture(stack, options, captured)
  checkCaptured(captured, table)
  const pairs = await measure(stack, options, request, captured)
  console.log(JSON.stringify(resultOf(pairs)))
}

async function fill(stack: Stack, { rows }: Options): Promise<Checksum> {
  const connection = await stack.mysql.connect()
  try {
    await createReferenceTable(connection)
    // The binlog begins after the table was made: it holds the rows and nothing else.
    await connection.query('RESET BINARY LOGS AND GTIDS')
    const onProgress = sayProgress('rows in MySQL', rows)
    await fillReferenceTable(connection, { from: 1, rows, rowsPerTransaction: 1000, onProgress })
    return await checksumOfTable(connection)
  } finally {
    await connection.end()
  }
}

/** How the daemon made its index and which request it sends. */
interface Captured {
  readonly path: string
  readonly index: MadeIndex
}

/** One run that is not measured, through a proxy that keeps the lines. */
async function capture(stack: Stack, options: Options, bodies: CapturedBodies): Promise<Captured> {
  const index = new SearchIndex(stack.elasticsearch.url, referenceIndex)
  let path = ''
  await using proxy = await BulkProxy.start(stack.elasticsearch.url, (exchange) => {
    path = exchange.path
    if (exchange.status === 200) bodies.add(exchange.body)
  })
  await using daemon = startDaemon(stack, proxy.url, 'capture')
  const stop = abortWhenEnded(daemon)
  const progress = sayProgress('documents of the run that keeps the lines', options.rows)
  await allSearchable(index, options.rows, stop, progress)
  return { path, index: await madeIndex(index) }
}

function checkCaptured(captured: CapturedBodies, table: Checksum): void {
  const { count, sum } = captured.checksum()
  if (count !== table.count || sum !== table.sum) {
    throw new Error(`the daemon sent ${count} documents that are not the ${table.count} rows of the table`)
  }
  say(`the lines are ${(captured.bytes / 1e6).toFixed(0)} MB and show every row exactly once`)
}

interface Ours {
  readonly docsPerSecond: number
  readonly firstDocumentMs: number
  readonly cpuSeconds: number
  readonly peakResidentMb: number
}

interface Pair {
  readonly ours: Ours
  readonly bareDocsPerSecond: number
}

async function measure(
  stack: Stack,
  options: Options,
  request: Captured,
  captured: CapturedBodies,
): Promise<readonly Pair[]> {
  const pairs: Pair[] = []
  for (let number = 1; number <= options.pairs; number++) {
    const ours = await runOurs(stack, options, number)
    say(`pair ${number}, ours: ${JSON.stringify(ours)}`)
    const bareDocsPerSecond = await runBare(stack, options, request, captured)
    say(`pair ${number}, bare: ${bareDocsPerSecond} documents a second`)
    pairs.push({ ours, bareDocsPerSecond })
  }
  return pairs
}

async function runOurs(stack: Stack, { rows }: Options, number: number): Promise<Ours> {
  const index = new SearchIndex(stack.elasticsearch.url, referenceIndex)
  await index.delete()
  await using daemon = startDaemon(stack, stack.elasticsearch.url, `ours-${number}`)
  const stop = abortWhenEnded(daemon)
  const first = await firstWritten(index, stop)
  const last = await allSearchable(index, rows, stop, sayProgress('documents of ours', rows))
  const usage = daemon.usage()
  const exit = await daemon.stop()
  if (exit.code !== 0)
    throw new Error(`the daemon ended with ${exit.signal ?? exit.code}\n${daemon.outputTail()}`)
  return {
    docsPerSecond: rounded((rows * 1000) / (last - first), 0),
    firstDocumentMs: rounded(first - daemon.startedAt, 0),
    cpuSeconds: rounded(usage.cpuSeconds, 2),
    peakResidentMb: rounded(usage.peakResidentMb, 1),
  }
}

async function runBare(
  stack: Stack,
  { rows }: Options,
  request: Captured,
  captured: CapturedBodies,
): Promise<number> {
  const index = new SearchIndex(stack.elasticsearch.url, referenceIndex)
  await index.delete()
  return await bareRate({ index, definition: request.index, path: request.path, captured, documents: rows })
}

function startDaemon(stack: Stack, elasticsearchUrl: string, name: string): DaemonProcess {
  return new DaemonProcess({
    directory: join(stack.directory, name),
    mysqlUrl: stack.mysql.cdcUrl,
    elasticsearchUrl,
    pipelines: { orders: referencePipeline('earliest', '-1') },
  })
}

function resultOf(pairs: readonly Pair[]): object {
  const middle = (digits: number, figure: (pair: Pair) => number): number =>
    rounded(median(pairs.map(figure)), digits)
  const docsPerSecond = middle(0, ({ ours }) => ours.docsPerSecond)
  const bareDocsPerSecond = middle(0, (pair) => pair.bareDocsPerSecond)
  return {
    bench: 'e2e',
    docsPerSecond,
    bareDocsPerSecond,
    ratio: rounded(docsPerSecond / bareDocsPerSecond, 3),
    cpuSeconds: middle(2, ({ ours }) => ours.cpuSeconds),
    peakResidentMb: middle(1, ({ ours }) => ours.peakResidentMb),
    firstDocumentMs: middle(0, ({ ours }) => ours.firstDocumentMs),
  }
}

const bareBodyBytes = 5_000_000

await main()
