/**
 * The log in Kafka: how fast it is filled, how soon what it holds can be read, and how fast it is delivered.
 *
 *   rows ─▶ MySQL ─▶ capture ─▶ Kafka                                  capture, measured
 *                               Kafka ─▶ deliver ─▶ Elasticsearch      deliver, measured    ┐ each on a fresh index of the
 *                    lines of an earlier run ─────▶ Elasticsearch      bare, measured       │ same settings
 *                               Kafka ─▶ 2 deliver ─▶ Elasticsearch    twoDeliverers        ┘
 *                               Kafka ─▶ deliver ─▶ nowhere            how it grows with the partitions
 *   COMMIT ─▶ MySQL ─▶ capture ─▶ Kafka ─▶ kafkajs                     latency, measured by one clock
 */
import { join } from 'node:path'
import {
  createReferenceTable,
  fillReferenceTable,
  referenceDocument,
  referenceIndex,
  referencePipeline,
  referenceTable,
  type Checksum,
} from '../support/reference-table.ts'
import { usageOf } from '../support/process-usage.ts'
import { SearchIndex } from '../support/search-index.ts'
import { printProgress } from '../stack/progress.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { fillBacklog } from './backlog.ts'
import { CapturedBodies } from './captured-bodies.ts'
import { bareBodyBytes, keepLines, measureBare, type IdenticalLines } from './identical-lines.ts'
import { countTo, prepareLog, startDaemon, stopWell, type SharedLog } from './kafka-daemons.ts'
import { abortWhenEnded, allSearchable, firstWritten, warm } from './measured-index.ts'
import { answerMs } from './null-service.ts'
import { numbersAsked } from './options.ts'
import { say, sayProgress } from './progress-line.ts'
import { ReadableChanges } from './readable-changes.ts'
import { median, percentile, rounded } from './statistics.ts'
import { allSeen, writeSteadily } from './steady-writer.ts'

const help = `npm run bench:kafka -- [options]

The log in Kafka 4.3, of one broker, acknowledged by all replicas: rows that wait in MySQL's binlog until they are durable
in Kafka; COMMIT until a consumer reads the change as committed; and from Kafka into Elasticsearch, beside a bare _bulk
of the identical lines. Capture and delivery are daemons of their own. Figures are medians. The last line is one JSON
object; progress goes to standard error, and so do the broker's CPU time and how delivery grows with the partitions where
the target only waits ${answerMs} ms.

  --rows N      rows in the binlog (default 1500000)
  --rounds N    how often each is measured (default 3)
  --rate N      transactions a second for the latency (default 500)
  --seconds N   how long it is measured (default 30)
  --warm N      documents written to a throw-away index before (default 100000)
  --help        this text`

interface Options {
  readonly rows: number
  readonly rounds: number
  readonly rate: number
  readonly seconds: number
  readonly warm: number
}

const lanes = 4
const partitionCounts = [1, 2, 4, 8]
/** Nowhere takes documents much faster than a search server, so that fewer rows will do. */
const rowsToNowhere = 0.2

async function main(): Promise<void> {
  const options = numbersAsked(help, { rows: 1_500_000, rounds: 3, rate: 500, seconds: 30, warm: 100_000 })
  if (options === undefined) return
  await using stack = await startStack({
    servers: ['mysql', 'elasticsearch', 'kafka@4.3'],
    profile: 'bench',
    onProgress: printProgress(),
  })
  const table = await fillBacklog(stack, options.rows)
  say(`warming Elasticsearch with ${options.warm} documents`)
  await warm(stack.elasticsearch.url, options.warm, referenceDocument)
  const measured = await measureRounds(stack, options, table)
  await measurePartitions(stack, options)
  console.log(JSON.stringify(resultOf(measured, await measureLatency(stack, options))))
}

interface Capture {
  readonly changesPerSecond: number
  readonly changesPerCpuSecond: number
  readonly peakResidentMb: number
}

interface Round {
  readonly capture: Capture
  readonly docsPerSecond: number
  readonly bareDocsPerSecond: number
  readonly byTwoDocsPerSecond: number
}

async function measureRounds(stack: Stack, options: Options, table: Checksum): Promise<readonly Round[]> {
  using bodies = new CapturedBodies(join(stack.directory, 'bodies.ndjson'), bareBodyBytes)
  let lines: IdenticalLines | undefined
  const rounds: Round[] = []
  for (let number = 1; number <= options.rounds; number++) {
    const log = { stack, prefix: `round-${number}`, lanes, target: 'search' } as const
    const capture = await measureCapture(log, 'orders', options.rows)
    say(`round ${number}, capture: ${JSON.stringify(capture)}`)
    lines ??= await keepLines(stack.elasticsearch.url, table, bodies, (elasticsearchUrl) =>
      startDaemon(log, { name: 'lines', role: 'deliver', pipelines: { lines: backlog }, elasticsearchUrl }),
    )
    const docsPerSecond = await measureDelivery(log, 'one', 1, options)
    const bareDocsPerSecond = await measureBare(stack.elasticsearch.url, lines)
    const byTwoDocsPerSecond = await measureDelivery(log, 'two', 2, options)
    const delivered = { docsPerSecond, bareDocsPerSecond, byTwoDocsPerSecond }
    say(`round ${number}, delivery: ${JSON.stringify(delivered)}`)
    rounds.push({ capture, ...delivered })
  }
  return rounds
}

const backlog = referencePipeline('earliest', '-1')

/** From the first durable change to the last; CPU time and memory are of the daemon, from its start to then. */
async function measureCapture(log: SharedLog, name: string, rows: number): Promise<Capture> {
  await prepareLog(log)
  const broker = log.stack.kafka
  const before = usageOf(broker.pid).cpuSeconds
  await using daemon = startDaemon(log, { name, role: 'capture', pipelines: { orders: backlog } })
  const progress = sayProgress('changes captured', rows)
  const perSecond = await countTo([daemon], 'millrace_log_appended_records_total', rows, progress)
  const { cpuSeconds, peakResidentMb } = daemon.usage()
  const brokerSeconds = usageOf(broker.pid).cpuSeconds - before
  say(`CPU seconds: ${cpuSeconds.toFixed(2)} of capture, ${brokerSeconds.toFixed(2)} of the broker`)
  await stopWell(daemon)
  return {
    changesPerSecond: rounded(perSecond, 0),
    changesPerCpuSecond: rounded(rows / cpuSeconds, 0),
    peakResidentMb: rounded(peakResidentMb, 1),
  }
}

async function measureDelivery(
  log: SharedLog,
  group: string,
  processes: number,
  { rows }: Options,
): Promise<number> {
  const index = new SearchIndex(log.stack.elasticsearch.url, referenceIndex)
  await index.delete()
  const daemons = Array.from({ length: processes }, (_, at) =>
    startDaemon(log, { name: `${group}-${at}`, role: 'deliver', pipelines: { [group]: backlog } }),
  )
  try {
    const signal = AbortSignal.any(daemons.map(abortWhenEnded))
    const first = await firstWritten(index, signal)
    const progress = sayProgress(`documents of ${processes} deliverers`, rows)
    const last = await allSearchable(index, rows, signal, progress)
    const used = daemons.map((daemon) => daemon.usage())
    say(`${processes} deliverers used ${JSON.stringify(used)}`)
    for (const daemon of daemons) await stopWell(daemon)
    return rounded((rows * 1000) / (last - first), 0)
  } finally {
    for (const daemon of daemons) await daemon.kill()
  }
}

/** A target that only waits lets through what all lanes together have under way. */
async function measurePartitions(stack: Stack, { rows }: Options): Promise<void> {
  const few = Math.round(rows * rowsToNowhere)
  await stack.mysql.execute(
    'RESET BINARY LOGS AND GTIDS',
    `CREATE TABLE bench.few LIKE ${referenceTable}`,
    `INSERT INTO bench.few SELECT * FROM ${referenceTable} WHERE order_id <= ${few}`,
  )
  const pipelines = {
    few: {
      table: 'bench.few',
      target: { index: 'few' },
      policy: { start: 'earliest' },
    },
  }
  const grown: Record<string, number> = {}
  for (const partitions of partitionCounts) {
    const log = { stack, prefix: `partitions-${partitions}`, lanes: partitions, target: 'nowhere' } as const
    await prepareLog(log)
    await using capturing = startDaemon(log, { name: 'capture', role: 'capture', pipelines })
    await countTo([capturing], 'millrace_log_appended_records_total', few, () => undefined)
    await using delivering = startDaemon(log, { name: 'deliver', role: 'deliver', pipelines })
    const progress = sayProgress(`documents delivered nowhere from ${partitions} partitions`, few)
    const perSecond = await countTo([delivering], 'millrace_sink_documents_total', few, progress)
    grown[partitions] = rounded(perSecond, 0)
    await stopWell(delivering)
    await stopWell(capturing)
  }
  say(
    `documents a second to a target that answers after ${answerMs} ms, by partitions: ${JSON.stringify(grown)}`,
  )
}

interface Latency {
  readonly p50Ms: number
  readonly p99Ms: number
}

/** From COMMIT returned to read by a consumer in this process. */
async function measureLatency(stack: Stack, { rate, seconds }: Options): Promise<Latency> {
  const log = { stack, prefix: 'latency', lanes, target: 'search' } as const
  const settle = rate * settleSeconds
  const connections = await Promise.all(Array.from({ length: 4 }, () => stack.mysql.connect()))
  try {
    const [connection] = connections
    if (connection === undefined) throw new Error('a connection is needed')
    await createReferenceTable(connection)
    await fillReferenceTable(connection, { from: 1, rows: settle + rate * seconds, rowsPerTransaction: 1000 })
    await prepareLog(log)
    const pipelines = { latency: referencePipeline('now', '1s') }
    await using daemon = startDaemon(log, { name: 'capture', role: 'capture', pipelines })
    await daemon.until('capture', ({ sources }) => sources[0]?.state === 'running')
    say(`${rate} transactions a second for ${settleSeconds + seconds} s`)
    const settled = await writeSteadily({ connections, rate, first: 1, transactions: settle })
    await countTo([daemon], 'millrace_log_appended_records_total', settle, () => undefined)
    await using readable = await ReadableChanges.follow(
      stack.kafka.broker,
      `${log.prefix}.${referenceTable}`,
      'order_id',
    )
    await allSeen(settled, (id) => readable.at(id) !== undefined)
    const before = daemon.usage().cpuSeconds
    const all = { connections, rate, first: 1 + settle, transactions: rate * seconds }
    const committed = await writeSteadily(all)
    await allSeen(committed, (id) => readable.at(id) !== undefined)
    say(`used while measured: ${(daemon.usage().cpuSeconds - before).toFixed(2)} CPU s`)
    await stopWell(daemon)
    // What was read can be here before this process has got round to its COMMIT's answer.
    const tookMs = committed.map(({ id, atMs }) => Math.max(0, (readable.at(id) ?? Infinity) - atMs))
    return { p50Ms: rounded(percentile(tookMs, 50), 2), p99Ms: rounded(percentile(tookMs, 99), 2) }
  } finally {
    for (const connection of connections) await connection.end()
  }
}

const settleSeconds = 5

function resultOf(rounds: readonly Round[], latency: Latency): object {
  const middle = (digits: number, figure: (round: Round) => number): number =>
    rounded(median(rounds.map(figure)), digits)
  const docsPerSecond = middle(0, (round) => round.docsPerSecond)
  const bareDocsPerSecond = middle(0, (round) => round.bareDocsPerSecond)
  return {
    bench: 'kafka',
    capture: {
      changesPerSecond: middle(0, ({ capture }) => capture.changesPerSecond),
      changesPerCpuSecond: middle(0, ({ capture }) => capture.changesPerCpuSecond),
      peakResidentMb: middle(1, ({ capture }) => capture.peakResidentMb),
    },
    latency,
    deliver: { docsPerSecond, bareDocsPerSecond, ratio: rounded(docsPerSecond / bareDocsPerSecond, 3) },
    twoDeliverers: { docsPerSecond: middle(0, ({ byTwoDocsPerSecond }) => byTwoDocsPerSecond) },
  }
}

await main()
