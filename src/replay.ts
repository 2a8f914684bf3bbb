/** The operation "replay" over the sources that a daemon serves, and what a person's words for a stretch of a log mean. */
import type { Key, Offset, Position, Table } from './change/change.ts'
import { Failure } from './change/failure.ts'
import { keyFrom } from './change/key.ts'
import { isMeant, type Pipeline } from './config/pipeline.ts'
import {
  replayKeysMax,
  type Operations,
  type ReplayRequest,
  type ReplayStatus,
} from './control/operations.ts'
import { isJoined } from './document/joins.ts'
import type { Control, LogAdmin } from './log/log.ts'
import { positionIn } from './pipeline/appender.ts'
import type { Clock } from './pipeline/clock.ts'
import type { Deriving } from './pipeline/deriving.ts'
import { Replays, usualReplayLimits, type ReplaysParts } from './pipeline/replay.ts'
import { everyKey } from './pipeline/replay-keys.ts'
import { isUnderWay, ReplayStates, shareTouched, type ReplayState } from './pipeline/replay-state.ts'
import type { Source, SourceAdmin } from './source/source.ts'
import type { Store } from './store/store.ts'
import { meantPipeline } from './touch.ts'

interface ReplayableSource {
  readonly name: string
  readonly source: Pick<Source, 'covers'> & Pick<SourceAdmin, 'parse' | 'describe'>
  readonly log: LogAdmin
  readonly replays: Pick<Replays, 'notify'>
  readonly states: ReplayStates
}

interface StretchParts extends Pick<ReplayableSource, 'name' | 'log'> {
  readonly source: Pick<Source, 'covers'> & Pick<SourceAdmin, 'parse'>
}

/** Those of one source; its pipelines, and by name what derives for those of them that join tables. */
export function replaysOf({
  name,
  source,
  store,
  pipelines,
  derivings,
  ...parts
}: {
  readonly name: string
  readonly source: Pick<SourceAdmin, 'describe'>
  readonly store: Store
  readonly pipelines: readonly Pipeline[]
  readonly derivings: ReadonlyMap<string, Pick<Deriving, 'search'>>
} & Pick<ReplaysParts, 'log' | 'capture' | 'clock' | 'observe'>): Pick<ReplayableSource, 'states'> & {
  readonly replays: Replays
} {
  const states = new ReplayStates(store, name)
  const describe = async (table: string): Promise<Table> => (await source.describe(table)).table
  const searchFor: ReplaysParts['searchFor'] = (addressee) => {
    const pipeline = pipelines.find((each) => isMeant(each, [addressee]))
    return derivings.get(pipeline?.name ?? '')?.search
  }
  const limits = usualReplayLimits
  return { states, replays: new Replays({ ...parts, states, describe, searchFor, limits }) }
}

export function replayOperations(
  pipelines: readonly Pipeline[],
  sources: readonly ReplayableSource[],
  clock: Pick<Clock, 'now'>,
): Pick<Operations, 'replay' | 'replays' | 'cancelReplay'> {
  return {
    replay: (request) => startReplay(pipelines, sources, request, clock.now()),
    replays: () => listReplays(sources),
    cancelReplay: (addressee) => cancelReplay(sources, addressee, clock.now()),
  }
}

/** Throws a Failure: `configuration` for what cannot be meant, `lost` for what is kept no longer, `conflict` while one is under way. */
async function startReplay(
  pipelines: readonly Pipeline[],
  sources: readonly ReplayableSource[],
  request: ReplayRequest,
  nowMs: number,
): Promise<ReplayStatus> {
  const pipeline = meantPipeline(pipelines, request.pipeline)
  const source = sources.find((each) => each.name === pipeline.source)
  if (source === undefined) throw new Error(`the source ${pipeline.source} is not open`)
  const stretch = await stretchOf(source, request, nowMs)
  const only = await keysOf(source, pipeline, request)
  const state: ReplayState = {
    source: source.name,
    addressee: request.pipeline,
    table: pipeline.definition.table,
    ...stretch,
    keysPerSecond: request.keysPerSecond ?? 0,
    ...(only === undefined ? {} : { only }),
    phase: 'touching',
    parts: [everyKey],
    keysInPart: 0,
    touchedInPart: 0,
    touched: 0,
    ...(isJoined(pipeline.definition) ? { followed: stretch.from } : {}),
    until: 0,
    barriers: [],
    startedAtMs: nowMs,
    endedAtMs: null,
    failure: null,
  }
  await source.states.begin(state)
  source.replays.notify()
  return statusOfReplay(state)
}

/** As captured keys are spelled. Throws a Failure of kind `configuration` for one that is none, and for too many. */
async function keysOf(
  { source }: ReplayableSource,
  { definition }: Pipeline,
  { keys }: ReplayRequest,
): Promise<readonly Key[] | undefined> {
  if (keys === undefined) return undefined
  if (keys.length > replayKeysMax)
    throw new Failure('configuration', `a replay takes at most ${replayKeysMax} keys, not ${keys.length}`, {
      remedy: 'replay them in parts, or touch them: millrace touch PIPELINE --file FILE',
    })
  const { table } = await source.describe(definition.table)
  return keys.map((text) => keyFrom(table, text))
}

async function listReplays(sources: readonly ReplayableSource[]): Promise<readonly ReplayStatus[]> {
  const found: ReplayStatus[] = []
  for (const { states } of sources)
    for (const { state } of await states.all()) found.push(statusOfReplay(state))
  return found
}

/** False = none was under way. */
async function cancelReplay(
  sources: readonly ReplayableSource[],
  addressee: string,
  nowMs: number,
): Promise<boolean> {
  for (const { states, replays } of sources) {
    const kept = await states.of(addressee)
    if (kept === undefined || !isUnderWay(kept.state)) continue
    const isCancelled = await states.cancel(addressee, nowMs)
    replays.notify()
    return isCancelled
  }
  return false
}

/** Offsets and the lineage that they belong to. Throws a Failure of kind `lost` where the beginning is kept no longer. */
export async function stretchOf(
  { name, source, log }: StretchParts,
  { from, to }: Pick<ReplayRequest, 'from' | 'to'>,
  nowMs: number,
): Promise<Pick<ReplayState, 'from' | 'to' | 'lineage'>> {
  const control = await log.control()
  if (control === undefined)
    throw new Failure('lost', `the log of ${name} is empty: there is nothing to replay`)
  const find = (text: string): Promise<Found> => placeOf({ name, source, log }, text, nowMs)
  const { oldest, next, oldestAppendedAtMs } = await log.retention()
  const begin = from === 'earliest' ? oldest : (await find(from)).first
  const end = to === undefined ? next : Math.min(next, (await find(to)).next)
  const isKept =
    from === 'earliest' || begin > oldest || oldest === 0 || isTimeKept(from, nowMs, oldestAppendedAtMs)
  if (!isKept || begin < oldest) {
    throw new Failure(
      'lost',
      `the log of ${name} keeps nothing from before offset ${oldest}: ${from} lies before it`,
      {
        remedy: '--from earliest replays what is kept; run --reload PIPELINE reads the whole table',
      },
    )
  }
  return { from: begin, to: Math.max(begin, end), lineage: control.lineage }
}

function isTimeKept(text: string, nowMs: number, oldestAppendedAtMs: number | undefined): boolean {
  const timeMs = timeOf(text, nowMs)
  return timeMs !== undefined && oldestAppendedAtMs !== undefined && timeMs >= oldestAppendedAtMs
}

/** What is meant as a beginning and as an end: an append in which a position is passed belongs to both of its sides. */
interface Found {
  readonly first: Offset
  readonly next: Offset
}

async function placeOf({ name, source, log }: StretchParts, text: string, nowMs: number): Promise<Found> {
  if (/^\d{1,16}$/.test(text)) return { first: Number(text), next: Number(text) }
  const { next: end } = await log.retention()
  const nowhere = { first: end, next: end }
  const appendedAtMs = timeOf(text, nowMs)
  if (appendedAtMs !== undefined) {
    const { first } = (await log.appendAt({ kind: 'time', appendedAtMs })) ?? nowhere
    return { first, next: first }
  }
  const given = source.parse(text)
  const isBeyond = (control: Control): boolean => {
    const position: Position | undefined = positionIn(control, `source:${name}`)
    return position !== undefined && !source.covers(given, position)
  }
  return (await log.appendAt({ kind: 'control', reached: isBeyond })) ?? nowhere
}

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** ms since 1970; undefined = the text is no time. */
function timeOf(text: string, nowMs: number): number | undefined {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  if (count !== undefined) return nowMs - Number(count) * (units[unit] ?? 0)
  if (!/^\d{4}-\d\d-\d\dT/.test(text)) return undefined
  const timeMs = Date.parse(text)
  if (!Number.isNaN(timeMs)) return timeMs
  throw new Failure('configuration', `"${text}" is no time`, {
    remedy: 'write it as 2026-11-22T10:00:00Z, or as 2h',
  })
}

function statusOfReplay(state: ReplayState): ReplayStatus {
  const { addressee, table, from, to, phase, touched, barriers, startedAtMs, endedAtMs, failure } = state
  return {
    pipeline: addressee,
    table,
    from,
    to,
    phase,
    share: shareTouched(state),
    touched,
    barriers,
    startedAt: new Date(startedAtMs).toISOString(),
    endedAt: endedAtMs === null ? null : new Date(endedAtMs).toISOString(),
    failure,
  }
}
