/** A source of a running daemon, with its log and all that works on both. */
import type { OpenSource } from '../cli/parts.ts'
import { groupOf, isMeant, type Pipeline as PipelineFile } from '../config/pipeline.ts'
import type { ControlDoor } from '../opening/control.ts'
import { mayAlter } from '../document/concern.ts'
import { derivingsOf, readingBounds, type ReadingBounds } from '../parts/joined.ts'
import { capturesOf, type Captures } from './captures.ts'
import type { Group, Log } from '../log/log.ts'
import { findsBy } from './finds-by.ts'
import { isDealtWith } from '../pipeline/index/barriers.ts'
import { Capture } from '../pipeline/capture/capture.ts'
import type { Captured } from '../pipeline/capture/captured.ts'
import type { Replays } from '../pipeline/replay/replay.ts'
import type { ReplayStates } from '../pipeline/replay/replay-state.ts'
import type { Source } from '../source/source.ts'
import { targetNames } from '../parts/sinks.ts'
import { missesOf } from './missed.ts'
import { awaitedLog } from './starting.ts'
import type { Serving } from './serving.ts'
import { systemClock } from '../system-clock.ts'
import { replaysOf } from './replay.ts'
import type { Target } from '../parts/target.ts'
import { tablesOf, unusedByAll } from '../parts/workshop.ts'

/** Keys changed while a chunk is read, in chunks' rows: beyond that the chunk is read again, smaller. */
const windowKeysPerRow = 50

export interface OpenedSource {
  readonly name: string
  readonly source: Source & OpenSource
  readonly log: Log
  readonly leading: Capture
  readonly captures: Captures
  readonly capture: Captured
  readonly replays: Replays
  readonly states: ReplayStates
  readonly targets: ReadonlyMap<string, Target>
  readonly bounds: ReadingBounds
  /** The tables of a group that are not captured whole. */
  readonly misses: (group: Group) => readonly string[]
}

/** Waits until the log can be opened; undefined = the signal aborted before. */
export async function openSource(
  { workshop, options, observe, store, flows }: Serving,
  name: string,
  control: ControlDoor,
  signal: AbortSignal,
): Promise<OpenedSource | undefined> {
  const { settings } = workshop.configuration
  const own = workshop.pipelinesOf(name)
  const open = (): Promise<Log> => workshop.openLog(name)
  const waits = { source: name, open, waiting: () => control.open(), observe }
  const { log, groups } = (await awaitedLog(waits, signal)) ?? {}
  if (log === undefined) return undefined
  const unsettled = (pipeline: PipelineFile): string | undefined =>
    isMeant(pipeline, [...options.keep, ...options.reload])
      ? undefined
      : groups?.find((group) => group.name === groupOf(pipeline))?.attributes['fingerprint']
  const leftOut = unusedByAll(own, unsettled)
  const source = await workshop.openSource(name, tablesOf(own), {
    unused: leftOut,
    tell: (servers) => observe({ kind: 'source-servers', source: name, servers }),
  })
  const leading = new Capture({
    name,
    source,
    log,
    clock: systemClock,
    observe,
    batchBytesMax: settings.capture.batchKb * 1024,
    windowKeysMax: settings.load.chunkRows * windowKeysPerRow,
    // What changed unseen in a child table may concern any document.
    rereading: (barrier) =>
      own
        .filter(({ definition }) => mayAlter(definition, barrier))
        .filter(
          (each) => !isDealtWith(barrier, { table: each.definition.table, findsBy: findsBy(each, settings) }),
        )
        .map((pipeline) => ({ group: groupOf(pipeline), table: pipeline.definition.table })),
  })
  const bounds = readingBounds(settings)
  const around = { name, source, log, capture: leading, observe }
  const derivings = derivingsOf(own, { ...bounds, ...around }, settings)
  const captures = capturesOf({ ...around, store, settings, pipelines: own, derivings })
  return {
    name,
    source,
    log,
    leading,
    captures,
    capture: captures.captured,
    ...replaysOf({ ...around, store, clock: systemClock, pipelines: own, derivings }),
    bounds,
    misses: missesOf({ pipelines: own, leftOut, source }, options),
    targets: new Map(
      targetNames(own).map((target) => [target, workshop.target(target, flows.get(target)?.nodes)]),
    ),
  }
}
