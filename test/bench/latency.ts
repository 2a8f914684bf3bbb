/**
 * How long a change takes from COMMIT to Elasticsearch's answer, under a steady stream of small transactions.
 *
 *   this process ── COMMIT ──▶ MySQL ──▶ daemon ──▶ this process's proxy ──▶ Elasticsearch
 *        └─ time when it returned                    ├─ time when the document's request was here
 *                                                    └─ time when the answer to it was here
 *
 * All times are taken by one clock. Every transaction changes a row of its own, so that its document's id names it.
 * Afterwards the same without a daemon: this process commits, and sends each document at once (bare-writer.ts). What that
 * takes is Elasticsearch, MySQL and the machine, and no program that keeps an index in step takes less.
 */
import { join } from 'node:path'
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
import { BareWriter } from './bare-writer.ts'
import { warm } from './measured-index.ts'
import { numbersAsked } from './options.ts'
import { say } from './progress-line.ts'
import { percentile, rounded } from './statistics.ts'
import { allSeen, writeSteadily, type Committed, type SteadyWriter } from './steady-writer.ts'

const help = `npm run bench:latency -- [options]

Single-row transactions at a steady rate: from COMMIT returned to acknowledged by Elasticsearch.
The last line is one JSON object; progress goes to standard error.

  p50Ms, p99Ms              COMMIT to acknowledged
  untilRequestP50Ms, P99    of these, COMMIT to the document's request: the daemon's share
  requestP50Ms, P99         of these, request to answer: Elasticsearch's share
  bareP50Ms, bareP99Ms      COMMIT to acknowledged, where this process itself sends each document when it has committed

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
  const options = numbersAsked(help, { rate: 500, seconds: 30, settle: 5, warm: 100_000 })
  if (options === undefined) return
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
    const rows = rate * (2 * seconds + 2 * settle)
    await fillReferenceTable(connection, { from: 1, rows, rowsPerTransaction: 1000 })
  } finally {
    await connection.end()
  }
}

async function measure(stack: Stack, options: Options): Promise<object> {
  const acknowledgements = new Acknowledgements()
  let path = ''
  await using proxy = await BulkProxy.start(stack.elasticsearch.url, (exchange) => {
    path = exchange.path
    acknowledgements.add(exchange)
  })
  const connections = await Promise.all(Array.from({ length: 4 }, () => stack.mysql.connect()))
  try {
    const phase = { options, connections, acknowledgements }
    const ours = await measureDaemon(stack, proxy, phase)
    const bare = await measureBare(new BareWriter(proxy.url, path, lanes), phase)
    return { ...resultOf(ours, acknowledgements), ...bareResultOf(bare, acknowledgements) }
  } finally {
    for (const connection of connections) await connection.end()
  }
}

interface Phase {
  readonly options: Options
  readonly connections: Awaited<ReturnType<Stack['mysql']['connect']>>[]
  readonly acknowledgements: Acknowledgements
}

async function measureDaemon(stack: Stack, proxy: BulkProxy, phase: Phase): Promise<readonly Committed[]> {
  const { options, acknowledgements } = phase
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
  acknowledgements.begin()
  await write(phase, { first: 1, seconds: options.settle })
  const before = daemon.usage().cpuSeconds
  const measured = await write(phase, { first: 1 + options.rate * options.settle, seconds: options.seconds })
  const { cpuSeconds, peakResidentMb } = daemon.usage()
  await checkEqual(stack)
  say(
    `used while measured: ${(cpuSeconds - before).toFixed(2)} CPU s, at most ${peakResidentMb.toFixed(0)} MB`,
  )
  return measured
}

async function measureBare(writer: BareWriter, phase: Phase): Promise<readonly Committed[]> {
  const { rate, settle, seconds } = phase.options
  const first = 1 + rate * (settle + seconds)
  const onCommitted = (id: string, document: object | undefined): void => writer.write(id, document)
  await write(phase, { first, seconds: settle, onCommitted })
  const measured = await write(phase, { first: first + rate * settle, seconds, onCommitted })
  await writer.close()
  return measured
}

/** Transactions for so many seconds; resolves when their documents were acknowledged. */
async function write(
  { options: { rate }, connections, acknowledgements }: Phase,
  of: Pick<SteadyWriter, 'first' | 'onCommitted'> & { readonly seconds: number },
): Promise<readonly Committed[]> {
  const how = of.onCommitted === undefined ? 'by the daemon' : 'without it'
  say(`${rate} transactions a second for ${of.seconds} s, ${how}`)
  const committed = await writeSteadily({ ...of, connections, rate, transactions: rate * of.seconds })
  await allSeen(committed, (id) => acknowledgements.at(id) !== undefined)
  return committed
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
  const parts = committed.map((change) => partsOf(change, acknowledgements))
  const times = committed.map(({ atMs }) => atMs)
  const tookMs = percentile(times, 100) - percentile(times, 0)
  return {
    bench: 'latency',
    ...percentiles(
      parts.map(({ allMs }) => allMs),
      ['p50Ms', 'p99Ms'],
    ),
    perSecond: rounded(((committed.length - 1) * 1000) / tookMs, 1),
    ...percentiles(
      parts.map(({ untilRequestMs }) => untilRequestMs),
      ['untilRequestP50Ms', 'untilRequestP99Ms'],
    ),
    ...percentiles(
      parts.map(({ requestMs }) => requestMs),
      ['requestP50Ms', 'requestP99Ms'],
    ),
  }
}

function bareResultOf(committed: readonly Committed[], acknowledgements: Acknowledgements): object {
  const figures = committed.map((change) => partsOf(change, acknowledgements).allMs)
  return percentiles(figures, ['bareP50Ms', 'bareP99Ms'])
}

/** What a change's way took, and its parts. The answer can be here before this process has got round to its COMMIT's. */
function partsOf(
  { id, atMs }: Committed,
  acknowledgements: Acknowledgements,
): Readonly<Record<'allMs' | 'untilRequestMs' | 'requestMs', number>> {
  const { requestedAt, answeredAt } = acknowledgements.at(id) ?? {
    requestedAt: Infinity,
    answeredAt: Infinity,
  }
  return {
    allMs: Math.max(0, answeredAt - atMs),
    untilRequestMs: Math.max(0, requestedAt - atMs),
    requestMs: answeredAt - requestedAt,
  }
}

function percentiles(figures: readonly number[], [middle, high]: readonly [string, string]): object {
  return {
    [middle]: rounded(percentile(figures, 50), 2),
    [high]: rounded(percentile(figures, 99), 2),
  }
}

/** As many as the daemon has by default. */
const lanes = 3

await main()
