/** Until a daemon has what it cannot begin without: it waits for servers that are away, says so, and answers what it can. */
import { Failure } from '../change/failure.ts'
import type { Operations } from '../control/operations.ts'
import type { Group, Log } from '../log/log.ts'
import type { Health } from '../observe/health.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Board } from '../pipeline/board.ts'
import type { Observe } from '../pipeline/facts.ts'
import { remedyOf } from '../pipeline/retry-policy.ts'
import { supervise } from '../pipeline/supervise.ts'
import { systemClock } from '../system-clock.ts'

/** What can be asked of a daemon that is starting. */
export function startingOperations(
  metrics: Metrics,
  health: Health,
  board: Board,
  sources: readonly string[],
): Operations {
  const notYet = (): Promise<never> => {
    const { reasons } = health.ready()
    const failures = sources.flatMap((source) => board.source(source).failure ?? [])
    const remedy = [...new Set(failures.map(remedyOf))].join('; ')
    const why = `the daemon is starting: ${reasons.join('; ')}`
    return Promise.reject(new Failure('transient', why, remedy === '' ? {} : { remedy }))
  }
  return {
    status: notYet,
    touch: notYet,
    letterKinds: notYet,
    letters: notYet,
    redriveLetters: notYet,
    dropLetters: notYet,
    steer: notYet,
    refresh: notYet,
    replay: notYet,
    replays: notYet,
    cancelReplay: notYet,
    metrics: () => metrics.text(),
    live: () => health.live(),
    ready: () => health.ready(),
  }
}

export interface AwaitedLog {
  readonly source: string
  readonly open: () => Promise<Log>
  /** Called before it is tried again: who asks what we do is to be told. */
  readonly waiting: () => Promise<void>
  readonly observe: Observe
}

/**
 * A source's log with its groups, as soon as it can be had. Throws a Failure that waiting does not mend; undefined = the
 * signal aborted before.
 */
export async function awaitedLog(
  { source, open, waiting, observe }: AwaitedLog,
  signal: AbortSignal,
): Promise<{ readonly log: Log; readonly groups: readonly Group[] } | undefined> {
  let opened: { readonly log: Log; readonly groups: readonly Group[] } | undefined
  let isWaiting = false
  const tell: Observe = (fact) => {
    observe(fact)
    if (fact.kind !== 'restarting') return
    isWaiting = true
    observe({ kind: 'source-state', source, state: 'waiting', failure: fact.failure })
  }
  await supervise(
    { part: `the log of ${source}`, clock: systemClock, observe: tell },
    async () => {
      if (isWaiting) await waiting()
      const log = await open()
      try {
        opened = { log, groups: await log.groups() }
      } catch (error) {
        await log.close()
        throw error
      }
    },
    signal,
  )
  return opened
}

interface Opened {
  readonly source: { readonly close: () => Promise<void> }
  readonly log: { readonly close: () => Promise<void> }
}

/** Opens one for each name. undefined = the signal aborted before; then none is open. */
export async function openAll<Each extends Opened>(
  names: readonly string[],
  open: (name: string, signal: AbortSignal) => Promise<Each | undefined>,
  signal: AbortSignal,
): Promise<readonly Each[] | undefined> {
  const over = new AbortController()
  const ending = AbortSignal.any([signal, over.signal])
  try {
    const found = await Promise.all(names.map((name) => open(name, ending)))
    const opened = found.filter((each) => each !== undefined)
    if (opened.length === found.length) return opened
    for (const { source, log } of opened) await Promise.all([source.close(), log.close()])
    return undefined
  } finally {
    over.abort()
  }
}
