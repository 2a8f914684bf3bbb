/** What status shows: from the board of a running daemon, or from the logs alone when none answers. */
import type { Position } from './change/change.ts'
import type { Failure } from './change/failure.ts'
import type { PipelineStatus, SourceStatus, Status } from './control/operations.ts'
import type { Control, DeadLetters, Group, LogAdmin } from './log/log.ts'
import type { Board, PipelineBoard, SourceBoard } from './pipeline/board.ts'
import { derivingGroup, fanOutsOf } from './pipeline/deriving/deriving.ts'
import { loadState } from './pipeline/capture/load-state.ts'
import { categoryOf, remedyOf } from './pipeline/retry-policy.ts'

interface StatusSource {
  readonly name: string
  readonly log: LogAdmin
  readonly deadLetters: DeadLetters
  readonly show: (position: Position) => string
  /** Who captures it, where processes share that; undefined = this process, or none. */
  readonly leader?: () => Promise<string | null>
}

export interface StatusPipeline {
  readonly name: string
  readonly group: string
  readonly source: string
  readonly target: string
  readonly index: string
  readonly table: string
}

export interface StatusParts {
  readonly version: string
  readonly nowMs: () => number
  readonly startedAtMs: number | undefined
  /** undefined = no daemon runs. */
  readonly board: Board | undefined
  readonly sources: readonly StatusSource[]
  readonly pipelines: readonly StatusPipeline[]
  readonly recent: () => Promise<Status['recent']>
}

export async function statusOf(parts: StatusParts): Promise<Status> {
  const { version, startedAtMs, board, sources, pipelines } = parts
  const shownSources: SourceStatus[] = []
  const shownPipelines: PipelineStatus[] = []
  for (const source of sources) {
    const control = await source.log.control()
    shownSources.push(await sourceStatus(parts, source, control))
    const groups = await source.log.groups()
    const own = pipelines.filter((pipeline) => pipeline.source === source.name)
    const shown: Shown[] = []
    for (const pipeline of own) {
      const group = groups.find(({ name }) => name === pipeline.group)
      const deriving = groups.find(({ name }) => name === derivingGroup(pipeline.name))
      const lag = await lagOf(source.log, [deriving, group], parts.nowMs())
      shown.push({ source, pipeline, group, lag })
    }
    const known = new Set(own.flatMap(({ group, name }) => [group, derivingGroup(name)]))
    for (const group of groups.filter(({ name }) => !known.has(name))) {
      const lag = await lagOf(source.log, [group], parts.nowMs())
      shown.push({ source, pipeline: orphanOf(source, group), group, lag, isOrphan: true })
    }
    // Read after the lags: a change that was delivered meanwhile may have asked for a load.
    const loads = await source.log.control()
    for (const each of shown) shownPipelines.push(await pipelineStatus(parts, each, loads))
  }
  return {
    version,
    daemon: board !== undefined,
    startedAt: startedAtMs === undefined ? null : new Date(startedAtMs).toISOString(),
    sources: shownSources,
    pipelines: shownPipelines,
    recent: await parts.recent(),
  }
}

async function sourceStatus(
  { board, nowMs }: StatusParts,
  { name, log, show, leader }: StatusSource,
  control: Control | undefined,
): Promise<SourceStatus> {
  const { bytes, bytesMax, oldest, next } = await log.retention()
  return {
    name,
    ...sourceBoard(board?.source(name), nowMs()),
    ...(control === undefined ? notBegun : begun(control, control.producers[`source:${name}`], show)),
    leader: (await leader?.()) ?? null,
    logBytes: bytes,
    logBytesMax: bytesMax,
    logOldestOffset: oldest,
    logNextOffset: next,
  }
}

const notBegun = { position: '', lineage: '', epoch: 0, seq: '0' }

function begun(
  { lineage, epoch, seq }: Control,
  position: string | undefined,
  show: StatusSource['show'],
): typeof notBegun {
  return {
    position: position === undefined ? '' : show(position as Position),
    lineage,
    epoch,
    seq: String(seq),
  }
}

function sourceBoard(
  seen: SourceBoard | undefined,
  nowMs: number,
): Pick<SourceStatus, 'state' | 'error' | 'remedy' | 'silentSeconds' | keyof typeof unseen> {
  if (seen === undefined)
    return { state: 'offline', error: null, remedy: null, silentSeconds: null, ...unseen }
  const state = seen.state === 'stopped' ? 'waiting' : seen.state
  const silentSeconds = seen.aliveAtMs === undefined ? null : (nowMs - seen.aliveAtMs) / 1000
  const { servers, retentionSeconds = null, behindBytes = null } = seen
  return { state, ...fault(seen.failure), silentSeconds, servers, retentionSeconds, behindBytes }
}

const unseen = { servers: [], retentionSeconds: null, behindBytes: null }

interface Shown {
  readonly source: StatusSource
  readonly pipeline: StatusPipeline
  readonly group: Group | undefined
  readonly lag: Lag
  /** No pipeline file is its own. */
  readonly isOrphan?: boolean
}

type Lag = Pick<PipelineStatus, 'lagChanges' | 'lagSeconds'>

async function pipelineStatus(
  { board }: StatusParts,
  { source, pipeline, group, lag, isOrphan = false }: Shown,
  control: Control | undefined,
): Promise<PipelineStatus> {
  const seen = isOrphan ? undefined : board?.pipeline(pipeline.group)
  return {
    name: pipeline.name,
    source: pipeline.source,
    target: pipeline.target,
    index: pipeline.index,
    table: pipeline.table,
    ...pipelineBoard(seen),
    ...(isOrphan ? { state: 'orphan' } : {}),
    ...lag,
    lanes: group?.lanes ?? [],
    deadLetters: await source.deadLetters.count(pipeline.group),
    load: loadOf(control, pipeline.group, seen),
  }
}

function pipelineBoard(
  seen: PipelineBoard | undefined,
): Pick<PipelineStatus, 'state' | 'error' | 'remedy' | 'category' | keyof typeof unseenPipeline> {
  if (seen === undefined)
    return { state: 'offline', error: null, remedy: null, category: null, ...unseenPipeline }
  const { state, failure, indexed, deleted, lookedUp, proposed } = seen
  const said = failure === undefined ? {} : { remedy: remedyOf(failure), category: categoryOf(failure) }
  return { state, category: null, ...fault(failure), ...said, indexed, deleted, lookedUp, proposed }
}

const unseenPipeline = { indexed: null, deleted: null, lookedUp: null, proposed: {} }

/** Of several groups in a row: what the first has done is with the next. */
async function lagOf(log: LogAdmin, groups: readonly (Group | undefined)[], nowMs: number): Promise<Lag> {
  let [lagChanges, lagSeconds] = [0, 0]
  for (const group of groups) {
    if (group === undefined) continue
    const { changes, oldestCommittedAtMs: oldest } = await log.lag(group.name)
    lagChanges += changes + fanOutsOf(group)
    lagSeconds = Math.max(lagSeconds, oldest === undefined ? 0 : (nowMs - oldest) / 1000)
  }
  return { lagChanges, lagSeconds }
}

function orphanOf(source: StatusSource, group: Group): StatusPipeline {
  const [name = group.name, target = ''] = group.name.split('@')
  return {
    name,
    group: group.name,
    source: source.name,
    target,
    index: group.attributes['index'] ?? '',
    table: group.tables.join(', '),
  }
}

function loadOf(
  control: Control | undefined,
  group: string,
  seen: PipelineBoard | undefined,
): PipelineStatus['load'] {
  const load = control === undefined ? undefined : loadState(control, group)
  if (load === undefined) return null
  const etaSeconds = seen?.load?.etaSeconds ?? null
  const { table, phase, rowsDone, rowsEstimate } = load
  return { table, state: phase, rowsDone, rowsEstimate, etaSeconds }
}

function fault(failure: Failure | undefined): {
  readonly error: string | null
  readonly remedy: string | null
} {
  return { error: failure?.message ?? null, remedy: failure?.remedy ?? null }
}
