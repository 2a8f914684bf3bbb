/** Switches a source from one kind of log to another, while no daemon runs. */
import { Failure } from '../change/failure.ts'
import type { LogSwitched, LogSwitchPlan, LogSwitchRequest } from '../cli/parts.ts'
import type { Configuration } from '../config/load.ts'
import { offsetOfSeq } from '../log/kafka/kafka-log.ts'
import type { Control, Log } from '../log/log.ts'
import { clearEmbedded, openLogIn, readLog, type LogKind } from '../opening/log.ts'
import { existingStore } from '../opening/store.ts'
import { moveLog } from '../pipeline/log-move/log-move.ts'
import { isUnderWay, ReplayStates } from '../pipeline/replay/replay-state.ts'

/** What would be done; writes nothing. Throws a Failure where it could not be done. */
export async function planLogSwitch(
  configuration: Configuration,
  { source, to, history }: LogSwitchRequest,
): Promise<LogSwitchPlan> {
  const { settings } = configuration
  const from = otherThan(to)
  await refuseReplays(configuration, source)
  const target = await controlIn(configuration, source, to)
  const nothing = { source, from, to, seq: target?.seq ?? 0, changes: 0, groups: [], deadLetters: 0 }
  await using log = await existing(readLog(settings, source, from))
  const control = await log?.control()
  if (log === undefined || control === undefined)
    return { ...nothing, state: target === undefined ? 'begun' : 'before' }
  if (control.moved?.state === 'left')
    return { ...nothing, state: target?.moved === undefined ? 'before' : 'unfinished' }
  return { ...nothing, state: 'ready', seq: control.seq, ...(await contents(log, history)) }
}

async function contents(
  log: Log,
  history: boolean,
): Promise<Pick<LogSwitchPlan, 'changes' | 'groups' | 'deadLetters'>> {
  const { oldest, next } = await log.retention()
  const groups: LogSwitchPlan['groups'][number][] = []
  let deadLetters = 0
  for (const { name, lanes } of await log.groups()) {
    groups.push({ name, undelivered: next - Math.min(...lanes) })
    deadLetters += await log.deadLetters.count(name)
  }
  const undelivered = Math.max(0, ...groups.map((group) => group.undelivered))
  return { groups, deadLetters, changes: history ? next - oldest : undelivered }
}

/** Repeats what was interrupted; throws a Failure before anything is given up where it cannot be done. */
export async function switchLog(
  configuration: Configuration,
  request: LogSwitchRequest,
  copied: (records: number) => void,
  signal: AbortSignal,
): Promise<LogSwitched> {
  const { settings } = configuration
  const { source, to, history } = request
  const from = otherThan(to)
  await refuseReplays(configuration, source)
  // Opening it to write makes it, and it must not be made where there is none.
  if ((await controlIn(configuration, source, from)) === undefined)
    throw new Failure('lost', `the source ${source} has no log in ${from}`, {
      remedy: `there is nothing to move: set log.kind: ${to} and run`,
    })
  await using old = disposable(await openLogIn(from, settings, source))
  await clear(configuration, request, await old.control())
  await using next = disposable(await openLogIn(to, settings, source))
  const moved = await moveLog(
    {
      from: old,
      to: next,
      kinds: { from, to },
      history,
      isOrphan: (group) => !isConfigured(configuration, group),
      offsetOf: offsetOfSeq,
      copied,
    },
    signal,
  )
  return { source, from, to, ...moved }
}

/** What an earlier switch left behind in files, or began there, is no part of the log; in Kafka it is, and others read it. */
async function clear(
  configuration: Configuration,
  { source, to }: LogSwitchRequest,
  current: Control | undefined,
): Promise<void> {
  if (to !== 'embedded' || current === undefined || current.moved !== undefined) return
  const found = await controlIn(configuration, source, to)
  if (found?.lineage !== current.lineage || found.moved === undefined) return
  const log = await openLogIn(to, configuration.settings, source)
  // Nobody has it.
  await log.close()
  await clearEmbedded(configuration.settings, source)
}

async function controlIn(
  { settings }: Configuration,
  source: string,
  kind: LogKind,
): Promise<Control | undefined> {
  await using log = await existing(readLog(settings, source, kind))
  return await log?.control()
}

async function existing(opening: Promise<Log>): Promise<(Log & AsyncDisposable) | undefined> {
  try {
    return disposable(await opening)
  } catch (error) {
    if (error instanceof Failure && error.kind === 'lost') return undefined
    throw error
  }
}

function disposable(log: Log): Log & AsyncDisposable {
  return Object.assign(log, { [Symbol.asyncDispose]: () => log.close() })
}

/** Its places are offsets of the log, and the store does not move. */
async function refuseReplays(configuration: Configuration, source: string): Promise<void> {
  const store = existingStore(configuration)
  if (store === undefined) return
  try {
    const all = await new ReplayStates(store, source).all()
    const running = all.find(({ state }) => isUnderWay(state))
    if (running === undefined) return
    const { addressee } = running.state
    throw new Failure('conflict', `a replay of ${addressee} is under way, and would lose its place`, {
      remedy: `let the daemon finish it, or end it: millrace replay ${addressee} --cancel`,
    })
  } finally {
    await store.close()
  }
}

function isConfigured({ pipelines }: Configuration, group: string): boolean {
  return pipelines.some(({ name }) => group.startsWith(`${name}@`) || group.startsWith(`${name}/`))
}

function otherThan(kind: LogKind): LogKind {
  return kind === 'kafka' ? 'embedded' : 'kafka'
}
