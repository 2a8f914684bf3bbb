/** The operation "replay" over the sources that a daemon serves. */
import type { Key, Table } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import { keyFrom } from '../change/key.ts'
import { isMeant, type Pipeline } from '../config/pipeline.ts'
import {
  replayKeysMax,
  type Operations,
  type ReplayRequest,
  type ReplayStatus,
} from '../control/operations.ts'
import { isJoined } from '../document/joins.ts'
import type { LogAdmin } from '../log/log.ts'
import type { Clock } from '../pipeline/clock.ts'
import type { Deriving } from '../pipeline/deriving/deriving.ts'
import { Replays, usualReplayLimits, type ReplaysParts } from '../pipeline/replay/replay.ts'
import { everyKey } from '../pipeline/replay/replay-keys.ts'
import { isUnderWay, ReplayStates, shareTouched, type ReplayState } from '../pipeline/replay/replay-state.ts'
import { stretchOf } from '../parts/stretch.ts'
import type { Source, SourceAdmin } from '../source/source.ts'
import type { Store } from '../store/store.ts'
import { meantPipeline } from './touch.ts'

interface ReplayableSource {
  readonly name: string
  readonly source: Pick<Source, 'covers'> & Pick<SourceAdmin, 'parse' | 'describe'>
  readonly log: LogAdmin
  readonly replays: Pick<Replays, 'notify'>
  readonly states: ReplayStates
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
