/** Kills the daemon again and again, at facts and at random moments, while an application writes; then compares all. */
import { join } from 'node:path'
import { startStack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { differencesOfItems } from '../support/items.ts'
import { Random } from '../support/random.ts'
import { SearchIndex } from '../support/search-index.ts'
import { createItems, Workload } from '../support/workload.ts'
import { followChain } from './log-chain.ts'
import { VersionWatch } from '../support/version-watch.ts'

export interface CrashOptions {
  readonly kills: number
  readonly seed: number
  readonly rows: number
  readonly report: (line: string) => void
}

export interface CrashResult {
  readonly kills: Readonly<Record<string, number>>
  readonly transactions: number
  readonly changes: number
  readonly versionsSeen: number
  readonly rows: number
  /** What must be empty. */
  readonly faults: readonly string[]
}

const table = 'crash.items'
const index = 'items'

interface Point {
  /** `random` = at a random moment. */
  readonly fact: string
  /** How many of the kind may pass before, at most. */
  readonly most: number
  /** What must be done for the fact to come about. */
  readonly needs: 'nothing' | 'a reload' | 'a missing index' | 'an empty table'
}

const anywhere: Point = { fact: 'random', most: 1, needs: 'nothing' }

/** The first load comes first, as it does in life. */
const points: readonly Point[] = [
  { fact: 'index-created', most: 1, needs: 'nothing' },
  { fact: 'chunk-read', most: 8, needs: 'nothing' },
  { fact: 'chunk-appended', most: 8, needs: 'nothing' },
  { fact: 'load-read', most: 1, needs: 'nothing' },
  { fact: 'load-finished', most: 1, needs: 'nothing' },
  { fact: 'appended', most: 60, needs: 'nothing' },
  { fact: 'writing', most: 40, needs: 'nothing' },
  { fact: 'written', most: 40, needs: 'nothing' },
  { fact: 'committed', most: 40, needs: 'nothing' },
  { fact: 'captured', most: 60, needs: 'nothing' },
  { fact: 'emptied', most: 3, needs: 'an empty table' },
  { fact: 'swept', most: 1, needs: 'a reload' },
  { fact: 'chunk-appended', most: 12, needs: 'a reload' },
  { fact: 'load-read', most: 1, needs: 'a reload' },
  { fact: 'load-finished', most: 1, needs: 'a reload' },
  { fact: 'index-created', most: 1, needs: 'a missing index' },
  { fact: 'capture-started', most: 1, needs: 'nothing' },
]

/** A kill that its fact does not bring about in this time comes by itself. */
const patienceMs = 15_000

export async function crashRun(options: CrashOptions): Promise<CrashResult> {
  const { kills, seed, rows, report } = options
  const random = new Random(seed)
  await using stack = await startStack({ servers: ['mysql', 'elasticsearch'] })
  const connection = await stack.mysql.connect()
  await createItems(connection, table, rows)
  const ids = Math.ceil(rows * 1.5)
  const workload = new Workload({
    connect: () => stack.mysql.connect(),
    table,
    seed,
    ids,
    transactionsPerSecond: 100,
  })
  const versions = new VersionWatch(new SearchIndex(stack.elasticsearch.url, index), ids, seed)
  const daemon = daemonOptions(join(stack.directory, 'daemon'), stack.mysql.cdcUrl, stack.elasticsearch.url)
  const documents = new SearchIndex(stack.elasticsearch.url, index)
  const counted: Record<string, number> = {}
  workload.start()
  versions.start()
  for (let kill = 1; kill <= kills; kill++) {
    const point = pointOf(kill, random)
    if (point.needs === 'a missing index') await documents.delete()
    if (point.needs === 'an empty table') await connection.query(`TRUNCATE TABLE ${table}`)
    const died = await runUntilKilled(daemon, point, random)
    counted[died] = (counted[died] ?? 0) + 1
    report(`kill ${kill} of ${kills}: ${died}; ${workload.transactions} transactions`)
  }
  await workload.stop()
  const faults = await settle(daemon, connection, documents)
  await versions.stop()
  const chain = await followChain(join(daemon.directory, 'state', 'log', 'main'), table)
  await connection.end()
  return {
    kills: counted,
    transactions: workload.transactions,
    changes: chain.changes,
    versionsSeen: versions.looks,
    rows: faults.rows,
    faults: [...faults.differences, ...versions.violations, ...chain.breaks],
  }
}

function daemonOptions(directory: string, mysqlUrl: string, elasticsearchUrl: string): DaemonOptions {
  return {
    directory,
    mysqlUrl,
    elasticsearchUrl,
    pipelines: { [index]: { table, target: { index } } },
    settings: {
      log: { segmentMb: 1 },
      load: { chunkRows: 500, rowsPerSecond: 20_000 },
      delivery: { bulkCount: 500 },
      logger: { format: 'json', level: 'warn' },
    },
  }
}

/** Each point in turn at first, then any; one in three at a random moment. */
function pointOf(kill: number, random: Random): Point {
  if (kill > points.length && random.next() < 0.33) return anywhere
  const first = points[kill - 1]
  if (first !== undefined) return first
  const recurring = points.slice(5)
  return random.pick(recurring)
}

/** Answers at which fact it died. */
async function runUntilKilled(
  options: DaemonOptions,
  { fact, most, needs }: Point,
  random: Random,
): Promise<string> {
  const daemon = new DaemonProcess({
    ...options,
    program: new URL('daemon.ts', import.meta.url).pathname,
    environment: { CRASH_AT: `${fact}:${1 + random.below(most)}` },
    extraArguments: needs === 'a reload' ? ['--reload', index] : [],
  })
  const waitMs = fact === 'random' ? 500 + random.below(4000) : patienceMs
  let atFact = true
  const timer = setTimeout(() => {
    atFact = false
    daemon.signal('SIGKILL')
  }, waitMs)
  const exit = await daemon.exited
  clearTimeout(timer)
  if (exit.signal !== 'SIGKILL') throw new Error(`the daemon ended with ${exit.code}\n${daemon.outputTail()}`)
  return atFact ? fact : 'random'
}

/** The last daemon is left alone until the index has caught up. */
async function settle(
  options: DaemonOptions,
  connection: Parameters<typeof differencesOfItems>[0],
  documents: SearchIndex,
): Promise<{ readonly rows: number; readonly differences: readonly string[] }> {
  await using daemon = await DaemonProcess.start(options)
  await untilCaughtUp(daemon, connection)
  return await differencesOfItems(connection, table, documents)
}
