/**
 * How fast rows that are in the log already become findable documents, beside the least that any program must do.
 *
 *   rows ─▶ MySQL ─▶ daemon: captured into its log, once, while all pipelines are paused
 *   log ─▶ proxy ────────────▶ Elasticsearch   once, unmeasured: keeps the lines that the daemon sends
 *   log ─────────────────────▶ Elasticsearch   ours: one pipeline after the other goes on ┐ in turn, each into an
 *          lines of before ──▶ Elasticsearch   bare                                       ┘ index of its own
 *   log ─▶ turns 30 % away ──▶ Elasticsearch   busy: as many requests at once as is learnt, and fixed numbers of them
 */
import { join } from 'node:path'
import { printProgress } from '../stack/progress.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { BulkProxy } from '../support/bulk-proxy.ts'
import { untilCaptured } from '../support/caught-up.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { FaultyProxy } from '../support/faulty-proxy.ts'
import {
  createReferenceTable,
  fillReferenceTable,
  referenceDocument,
  referenceTable,
} from '../support/reference-table.ts'
import { SearchIndex } from '../support/search-index.ts'
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
import { numbersAsked } from './options.ts'
import { say, sayProgress } from './progress-line.ts'
import { median, rounded } from './statistics.ts'

const help = `npm run bench:sink -- [options]

Rows that are in the log until all are findable in Elasticsearch: in one index and in two, beside a bare _bulk of the
identical lines; and where 30 % of the documents are turned away with 429, beside the best fixed number of requests.
The last line is one JSON object; progress goes to standard error.

  --rows N     rows in the log (default 500000)
  --pairs N    measured pairs of ours and bare, of which medians are shown (default 3)
  --warm N     documents written to a throw-away index before (default 100000)
  --help       this text`

interface Options {
  readonly rows: number
  readonly pairs: number
  readonly warm: number
}

/** The servers, the daemon whose log holds the rows, and the proxies. */
interface Bench {
  readonly options: Options
  readonly server: string
  readonly daemon: DaemonProcess
  readonly stop: AbortSignal
}

async function main(): Promise<void> {
  const options = numbersAsked(help, { rows: 500_000, pairs: 3, warm: 100_000 })
  if (options === undefined) return
  await using stack = await startStack({
    servers: ['mysql', 'elasticsearch'],
    profile: 'bench',
    onProgress: printProgress(),
  })
  const server = stack.elasticsearch.url
  using captured = new CapturedBodies(join(stack.directory, 'bodies.ndjson'), bareBodyBytes)
  await using keeping = await BulkProxy.start(server, ({ status, body }) => {
    if (status === 200) captured.add(body)
  })
  await using refusing = await FaultyProxy.start(server)
  refusing.refusedShare = refusedShare
  await using daemon = await startDaemon(stack, options, { keeping: keeping.url, refusing: refusing.url })
  await fillLog(stack, daemon, options)
  say(`warming Elasticsearch with ${options.warm} documents`)
  await warm(server, options.warm, referenceDocument)
  const bench: Bench = { options, server, daemon, stop: abortWhenEnded(daemon) }
  const bare = await keepLines(bench, captured)
  const oneTarget = await measurePairs(bench, 1, bare)
  const twoTargets = await measurePairs(bench, 2, bare)
  const busy = await measureBusy(bench)
  console.log(JSON.stringify({ bench: 'sink', oneTarget, twoTargets, busy }))
}

/** A daemon with all the pipelines that are measured; none delivers until it is told to. */
async function startDaemon(
  stack: Stack,
  options: Options,
  proxies: { readonly keeping: string; readonly refusing: string },
): Promise<DaemonProcess> {
  await withConnection(stack, createReferenceTable)
  const { url } = stack.elasticsearch
  const fixed = fixedNumbers.map((connections) => [
    `fixed${connections}`,
    { url: proxies.refusing, limits: { connections, adaptive: false } },
  ])
  const daemon = await DaemonProcess.start({
    directory: join(stack.directory, 'daemon'),
    mysqlUrl: stack.mysql.cdcUrl,
    elasticsearchUrl: url,
    settings: {
      log: { lanes },
      targets: {
        primary: { url },
        second: { url },
        keeping: { url: proxies.keeping },
        adaptive: { url: proxies.refusing },
        ...Object.fromEntries(fixed),
      },
    },
    pipelines: Object.fromEntries([
      [linesName, pipelineTo(linesName, ['keeping'])],
      ...pairNumbers(options).flatMap((number) => [
        [nameOf(1, number), pipelineTo(nameOf(1, number), ['primary'])],
        [nameOf(2, number), pipelineTo(nameOf(2, number), ['primary', 'second'])],
      ]),
      ...busyTargets.map((target) => [target, pipelineTo(target, [target])]),
    ]),
  })
  const { pipelines } = await daemon.until('run all pipelines', (status) =>
    status.pipelines.every(({ state }) => state === 'running'),
  )
  for (const { name, target } of pipelines) await daemon.steer(`${name}@${target}`, 'pause')
  return daemon
}

function pipelineTo(name: string, targets: readonly string[]): object {
  return {
    table: referenceTable,
    targets: targets.map((target, at) => ({
      name: target,
      index: indexOf(name, at),
      settings: { number_of_shards: 1, number_of_replicas: 0, refresh_interval: '-1' },
    })),
  }
}

async function fillLog(stack: Stack, daemon: DaemonProcess, { rows }: Options): Promise<void> {
  await withConnection(stack, async (connection) => {
    const onProgress = sayProgress('rows in MySQL', rows)
    await fillReferenceTable(connection, { from: 1, rows, rowsPerTransaction: 1000, onProgress })
    await untilCaptured(daemon, connection)
  })
}

async function withConnection(
  stack: Stack,
  work: (connection: Awaited<ReturnType<Stack['mysql']['connect']>>) => Promise<void>,
): Promise<void> {
  const connection = await stack.mysql.connect()
  try {
    await work(connection)
  } finally {
    await connection.end()
  }
}

interface Bare {
  readonly captured: CapturedBodies
  readonly definition: MadeIndex
}

/** One run that is not measured, through a proxy that keeps the lines. */
async function keepLines(bench: Bench, captured: CapturedBodies): Promise<Bare> {
  const definition = await madeIndex(new SearchIndex(bench.server, indexOf(linesName, 0)))
  await runOurs(bench, linesName, 1)
  const { rows } = bench.options
  if (captured.documents !== rows)
    throw new Error(`the daemon sent ${captured.documents} documents of ${rows} rows`)
  return { captured, definition }
}

interface Ours {
  readonly docsPerSecond: number
  readonly cpuSeconds: number
}

/** Lets one pipeline go on until every row is findable in each of its indexes. */
async function runOurs(
  { options: { rows }, server, daemon, stop }: Bench,
  name: string,
  targets: number,
): Promise<Ours> {
  const indexes = Array.from({ length: targets }, (_, at) => new SearchIndex(server, indexOf(name, at)))
  const before = daemon.usage().cpuSeconds
  await daemon.steer(name, 'resume')
  const first = await Promise.race(indexes.map((index) => firstWritten(index, stop)))
  const last = await Promise.all(
    indexes.map((index) =>
      allSearchable(index, rows, stop, sayProgress(`documents of ours, ${index.name}`, rows)),
    ),
  )
  const { cpuSeconds } = daemon.usage()
  await daemon.steer(name, 'pause')
  for (const index of indexes) await index.delete()
  return {
    docsPerSecond: rounded((targets * rows * 1000) / (Math.max(...last) - first), 0),
    cpuSeconds: rounded(cpuSeconds - before, 2),
  }
}

interface Pair {
  readonly ours: Ours
  readonly bareDocsPerSecond: number
}

async function measurePairs(bench: Bench, targets: 1 | 2, bare: Bare): Promise<object> {
  const pairs: Pair[] = []
  for (const number of pairNumbers(bench.options)) {
    const ours = await runOurs(bench, nameOf(targets, number), targets)
    const bareDocsPerSecond = await runBare(bench, targets, bare)
    pairs.push({ ours, bareDocsPerSecond })
    say(`${targets} target(s), pair ${number}: ${JSON.stringify({ ...ours, bareDocsPerSecond })}`)
  }
  const middle = (digits: number, figure: (pair: Pair) => number): number =>
    rounded(median(pairs.map(figure)), digits)
  return {
    docsPerSecond: middle(0, ({ ours }) => ours.docsPerSecond),
    bareDocsPerSecond: middle(0, (pair) => pair.bareDocsPerSecond),
    ratio: middle(3, ({ ours, bareDocsPerSecond }) => ours.docsPerSecond / bareDocsPerSecond),
    cpuSeconds: middle(2, ({ ours }) => ours.cpuSeconds),
  }
}

async function runBare(
  { options: { rows }, server }: Bench,
  targets: number,
  { captured, definition }: Bare,
): Promise<number> {
  const indexes = Array.from({ length: targets }, (_, at) => new SearchIndex(server, indexOf('bare', at)))
  const rates = await Promise.all(
    indexes.map((index) =>
      bareRate({ index, definition, path: pathTo(index.name), captured, documents: rows }),
    ),
  )
  for (const index of indexes) await index.delete()
  // They began together, so the slowest decides when all are there.
  return rounded(targets * Math.min(...rates), 0)
}

const pathTo = (alias: string): string =>
  `/${alias}/_bulk?filter_path=errors,items.*.status,items.*.error,items.*._index&require_alias=true`

async function measureBusy(bench: Bench): Promise<object> {
  const rates = new Map<string, number>()
  for (const target of busyTargets) {
    const { docsPerSecond } = await runOurs(bench, target, 1)
    rates.set(target, docsPerSecond)
    say(`${refusedShare * 100} % turned away, ${target}: ${docsPerSecond} documents a second`)
  }
  const { adaptive, ...others } = Object.fromEntries(rates)
  return { ratioToBestFixed: rounded((adaptive ?? 0) / Math.max(...Object.values(others)), 3) }
}

const linesName = 'lines'
const lanes = 3
const refusedShare = 0.3
const fixedNumbers = Array.from({ length: lanes }, (_, at) => at + 1)
const busyTargets = ['adaptive', ...fixedNumbers.map((number) => `fixed${number}`)]
const bareBodyBytes = 5_000_000

const nameOf = (targets: 1 | 2, number: number): string => `${targets === 1 ? 'one' : 'two'}${number}`
const indexOf = (name: string, at: number): string => `${name}_${at}`
const pairNumbers = ({ pairs }: Options): readonly number[] =>
  Array.from({ length: pairs }, (_, at) => at + 1)

await main()
