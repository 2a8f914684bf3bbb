/**
 * How fast changes that wait in the source become findable documents, beside the least that any program must do.
 *
 *   rows ─▶ MySQL ─▶ daemon ─▶ proxy ─▶ Elasticsearch     once, unmeasured: keeps the lines that the daemon sends
 *           MySQL ─▶ daemon ──────────▶ Elasticsearch     ours, measured  ┐ in turn, each on a fresh index
 *                    lines of before ─▶ Elasticsearch     bare, measured  ┘ of the same settings
 */
import { join } from 'node:path'
import { DaemonProcess } from '../support/daemon-process.ts'
import { referenceDocument, referenceIndex, referencePipeline } from '../support/reference-table.ts'
import { SearchIndex } from '../support/search-index.ts'
import { printProgress } from '../stack/progress.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { fillBacklog } from './backlog.ts'
import { CapturedBodies } from './captured-bodies.ts'
import { bareBodyBytes, keepLines, measureBare, type IdenticalLines } from './identical-lines.ts'
import { abortWhenEnded, allSearchable, firstWritten, warm } from './measured-index.ts'
import { numbersAsked } from './options.ts'
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
  const options = numbersAsked(help, { rows: 1_500_000, pairs: 3, warm: 100_000 })
  if (options === undefined) return
  await using stack = await startStack({
    servers: ['mysql', 'elasticsearch'],
    profile: 'bench',
    onProgress: printProgress(),
  })
  const table = await fillBacklog(stack, options.rows)
  say(`warming Elasticsearch with ${options.warm} documents`)
  await warm(stack.elasticsearch.url, options.warm, referenceDocument)
  using captured = new CapturedBodies(join(stack.directory, 'bodies.ndjson'), bareBodyBytes)
  const lines = await keepLines(stack.elasticsearch.url, table, captured, (server) =>
    startDaemon(stack, server, 'capture'),
  )
  const pairs = await measure(stack, options, lines)
  console.log(JSON.stringify(resultOf(pairs)))
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

async function measure(stack: Stack, options: Options, lines: IdenticalLines): Promise<readonly Pair[]> {
  const pairs: Pair[] = []
  for (let number = 1; number <= options.pairs; number++) {
    const ours = await runOurs(stack, options, number)
    say(`pair ${number}, ours: ${JSON.stringify(ours)}`)
    const bareDocsPerSecond = await measureBare(stack.elasticsearch.url, lines)
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

await main()
