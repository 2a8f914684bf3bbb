/**
 * How long a change takes from COMMIT to Elasticsearch's answer, under a steady stream of small transactions.
 *
 *   this process ── COMMIT ──▶ MySQL ──▶ daemon ──▶ this process's proxy ──▶ Elasticsearch
 *        └─ time when it returned                        └─ time when the answer to the document's bulk was here
 *
 * Both times are taken by one clock. Every transaction changes a row of its own, so that its document's id names it.
 */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { BulkProxy } from '../support/bulk-proxy.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import {
  checksumOfIndex,
  checksumOfTable,
  createReferenceTable,
  fillReferenceTable,
  referenceDocument,
  referenceIndex,
  referencePipeline,
} from '../support/reference-table.ts'
import { SearchIndex } from '../support/search-index.ts'
import { printProgress } from '../stack/progress.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { warm } from './measured-index.ts'
import { say } from './progress-line.ts'
import { percentile, rounded } from './statistics.ts'
import { writeSteadily, type Committed } from './steady-writer.ts'

const help = `npm run bench:latency -- [options]

Single-row transactions at a steady rate: from COMMIT returned to acknowledged by Elasticsearch.
The last line is one JSON object; progress goes to standard error.

  --rate N      transactions a second (default 500)
  --seconds N   how long they are measured (default 30)
  --settle N    seconds of the same before, not measured (default 5)
  --warm N      documents written to a throw-away index before (default 100000)
  --help        this text`

interface Options {
  readonly rate: number
  readonly seconds: number
  readonly settle: number
  readonly warm: number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rate: { type: 'string', default: '500' },
      seconds: { type: 'string', default: '30' },
      settle: { type: 'string', default: '5' },
      warm: { type: 'string', default: '100000' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(help)
  const options = {
    rate: Number(values.rate),
    seconds: Number(values.seconds),
    settle: Number(values.settle),
    warm: Number(values.warm),
  }
  await using stack = await startStack({
    servers: ['mysql', 'elasticsearch'],
    profile: 'bench',
    onProgress: printProgress(),
  })
  say(`warming Elasticsearch with ${options.warm} documents`)
  await warm(stack.elasticsearch.url, options.warm, referenceDocument)
  await fill(stack, options)
  console.log(JSON.stringify(await measure(stack, options)))
}

/** A row for every transaction that changes or deletes one. */
async function fill(stack: Stack, { rate, seconds, settle }: Options): Promise<void> {
  const connection = await stack.mysql.connect()
  try {
    await createReferenceTable(connection)
    const rows = rate * (seconds + settle)
    await fillReferenceTable(connection, { from: 1, rows, rowsPerTransaction: 1000 })
  } finally {
    await connection.end()
  }
}

async function measure(stack: Stack, options: Options): Promise<object> {
  const { rate, seconds, settle } = options
  const acknowledgements = new Acknowledgements()
  await using proxy = await BulkProxy.start(stack.elasticsearch.url, (exchange) =>
    acknowledgements.add(exchange),
  )
  await using daemon = await DaemonProcess.start({
    directory: join(stack.directory, 'latency'),
    mysqlUrl: stack.mysql.cdcUrl,
    elasticsearchUrl: proxy.url,
    pipelines: { orders: referencePipeline('load', '1s') },
  })
  say('waiting for the first load')
  await daemon.until('first load', ({ pipelines }) =>
    pipelines.every(({ state, lagChanges }) => state === 'running' && lagChanges === 0),
  )
  say(`settling for ${settle} s`)
  const connections = await Promise.all(Array.from({ length: 4 }, () => stack.mysql.connect()))
  try {
    acknowledgements.begin()
    const before = await writeSteadily({ connections, rate, first: 1, transactions: rate * settle })
    await allAcknowledged(acknowledgements, before)
    say(`measuring ${rate} transactions a second for ${seconds} s`)
    const first = rate * settle + 1
    const measured = await writeSteadily({ connections, rate, first, transactions: rate * seconds })
    await allAcknowledged(acknowledgements, measured)
    await checkEqual(stack)
    say(`used: ${JSON.stringify(daemon.usage())}`)
    return resultOf(measured, acknowledgements)
  } finally {
    for (const connection of connections) await connection.end()
  }
}

async function allAcknowledged(
  acknowledgements: Acknowledgements,
  committed: readonly Committed[],
): Promise<void> {
  const begun = performance.now()
  for (;;) {
    const missing = committed.filter(({ id }) => acknowledgements.at(id) === undefined)
    if (missing.length === 0) return
    if (performance.now() - begun > 60_000) {
      throw new Error(`${missing.length} changes were never acknowledged, such as that of ${missing[0]?.id}`)
    }
    await delay(100)
  }
}

async function checkEqual(stack: Stack): Promise<void> {
  const index = new SearchIndex(stack.elasticsearch.url, referenceIndex)
  await index.refresh()
  const connection = await stack.mysql.connect()
  try {
    const table = await checksumOfTable(connection)
    const found = await checksumOfIndex(index)
    if (table.count !== found.count || table.sum !== found.sum) {
      throw new Error(`the index has ${found.count} documents that are not the table's ${table.count} rows`)
    }
    say(`afterwards the index equals the table: ${found.count} documents`)
  } finally {
    await connection.end()
  }
}

function resultOf(committed: readonly Committed[], acknowledgements: Acknowledgements): object {
  const latencies = committed.map(({ id, atMs }) => {
    // The answer can be here before this process has got round to read that its COMMIT returned.
    return Math.max(0, (acknowledgements.at(id) ?? Infinity) - atMs)
  })
  const times = committed.map(({ atMs }) => atMs)
  const tookMs = percentile(times, 100) - percentile(times, 0)
  return {
    bench: 'latency',
    p50Ms: rounded(percentile(latencies, 50), 2),
    p99Ms: rounded(percentile(latencies, 99), 2),
    perSecond: rounded(((committed.length - 1) * 1000) / tookMs, 1),
  }
}

await main()
