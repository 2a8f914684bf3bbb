/** How pipelines and the capture of their source come together: in one process, or over a log that several share. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { Failure } from '../change/failure.ts'
import type { Configuration } from '../config/load.ts'
import { groupOf, type Pipeline } from '../config/pipeline.ts'
import type { Settings } from '../config/schema.ts'
import { isJoined } from '../document/joins.ts'
import { loadLimits } from '../parts/limits.ts'
import type { Log } from '../log/log.ts'
import type { Capture } from '../pipeline/capture/capture.ts'
import { CaptureRequests } from '../pipeline/capture/capture-requests.ts'
import type { Captured } from '../pipeline/capture/captured.ts'
import type { Deriving } from '../pipeline/deriving/deriving.ts'
import type { Observe } from '../pipeline/facts.ts'
import { FirstLoad, type FirstLoadParts } from '../pipeline/load/first-load.ts'
import { leaseHolder } from '../pipeline/lease.ts'
import type { PipelineParts } from '../pipeline/pipeline.ts'
import { carryOutBy, RemoteCapture } from '../pipeline/capture/remote-capture.ts'
import { RemoteDeriving, type Derived } from '../pipeline/deriving/remote-deriving.ts'
import { failureOf } from '../pipeline/retry-policy.ts'
import { captureElsewhere, leadCapture, passedIn, type SharedParts } from '../pipeline/shared.ts'
import { Signal } from '../change/signal.ts'
import { supervise } from '../pipeline/supervise.ts'
import { together } from '../pipeline/together.ts'
import type { Source, SourceAdmin } from '../source/source.ts'
import type { Store } from '../store/store.ts'
import { systemClock } from '../system-clock.ts'

type CaptureWays = Pick<PipelineParts, 'capture' | 'loading' | 'alone'>
type Work = (signal: AbortSignal) => Promise<void>

/** What a source's capture is to this process. */
export interface Captures {
  /** For everything but capture itself. */
  readonly captured: Captured
  readonly waysOf: (pipeline: Pipeline) => CaptureWays
  /** What derives the pipeline's work, if it joins tables. */
  readonly derivedOf: (pipeline: Pipeline) => Derived | undefined
  /** What derives in this process for itself, beside the work of the source. */
  readonly derivings: ReadonlyMap<string, Deriving>
  /** The work of the source in this process, with what needs capture at hand beside the feed. */
  readonly work: (feed: Work, replays: Work) => { readonly run: Work }
  /** Who captures the source; null = this process, or nobody. */
  readonly leader: () => Promise<string | null>
}

export interface CapturesParts {
  readonly name: string
  readonly source: Source & Pick<SourceAdmin, 'describe'>
  readonly log: Log
  readonly capture: Capture
  readonly store: Store
  readonly settings: Settings
  readonly pipelines: readonly Pipeline[]
  /** By pipeline, for those that join tables; they run where capture runs. */
  readonly derivings: ReadonlyMap<string, Deriving>
  readonly observe: Observe
}

/** Throws a Failure of kind `configuration` where the roles cannot be split as the settings say. */
export function checkRoles({ settings }: Configuration): void {
  if (isShared(settings)) return
  if (new Set(settings.roles).size === 3) return
  const found = settings.log.kind === 'kafka' ? 'store.kind sqlite' : 'log.kind embedded'
  throw new Failure(
    'configuration',
    `roles ${settings.roles.join(', ')}: with ${found} one process has them all`,
    {
      remedy: 'several processes share log.kind: kafka and store.kind: mysql; or leave roles out',
    },
  )
}

function isShared({ log, store }: Settings): boolean {
  return log.kind === 'kafka' && store.kind === 'mysql'
}

export function capturesOf(parts: CapturesParts): Captures {
  return isShared(parts.settings) ? sharedCaptures(parts) : ownCaptures(parts)
}

/** Capture, loads and delivery in one process. */
function ownCaptures({ name, source, capture, settings, derivings, observe }: CapturesParts): Captures {
  const around = { source, capture, observe, clock: systemClock }
  return {
    captured: capture,
    waysOf: (pipeline) => {
      const own = { ...around, ...loadOf(pipeline, settings) }
      return {
        capture,
        loading: (load, ending) => new FirstLoad({ ...load, ...own }).run(ending),
        alone: (work) => work(),
      }
    },
    derivedOf: ({ name: pipeline }) => derivings.get(pipeline),
    derivings,
    work: (feed, replays) => ({
      run: (signal) => together(signal, [feed, kept(`replays of ${name}`, observe, replays)]),
    }),
    leader: () => Promise.resolve(null),
  }
}

function sharedCaptures(parts: CapturesParts): Captures {
  const { name, log, store, settings, observe } = parts
  const requests = new CaptureRequests({ source: name, store, clock: systemClock })
  const covers: Source['covers'] = (position, other) => parts.source.covers(position, other)
  const remote = new RemoteCapture({ source: name, log, requests, covers, clock: systemClock })
  const shared: SharedParts = {
    owner: `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`,
    store,
    clock: systemClock,
    leaseTermMs: settings.leaseSeconds * 1000,
    observe,
  }
  const standBy = (): void =>
    observe({ kind: 'source-state', source: name, state: 'standby', failure: undefined })
  return {
    captured: remote,
    waysOf: (pipeline) => captureElsewhere({ ...shared, group: groupOf(pipeline), log }, remote),
    derivedOf: ({ name: pipeline }) =>
      parts.derivings.has(pipeline)
        ? new RemoteDeriving({ pipeline, capture: remote, log, clock: systemClock })
        : undefined,
    derivings: new Map(),
    work: (feed, replays) => ({
      run: async (signal) => {
        standBy()
        const led = ledBy(parts, feed, replays, requests)
        const lead: Work = (ending) => leadCapture({ ...shared, source: name }, led, ending)
        const leads = settings.roles.includes('capture') ? [lead] : []
        try {
          await together(signal, [(ending) => remote.run(ending), ...leads])
        } finally {
          if (signal.aborted) remote.close()
        }
      },
    }),
    leader: () => leaderIn(store, name),
  }
}

/** While the store does not answer, nobody is known. */
async function leaderIn(store: Store, source: string): Promise<string | null> {
  try {
    return (await leaseHolder(store, `capture:${source}`))?.owner ?? null
  } catch (error) {
    if (error instanceof Failure) return null
    throw error
  }
}

/** Its trouble is not that of capture. */
function kept(part: string, observe: Observe, work: Work): Work {
  return (signal) => supervise({ part, clock: systemClock, observe }, work, signal)
}

function loadOf(
  pipeline: Pipeline,
  settings: Settings,
): Pick<FirstLoadParts, 'group' | 'limits' | 'touches'> {
  const { definition } = pipeline
  return {
    group: groupOf(pipeline),
    limits: loadLimits(settings, definition),
    touches: isJoined(definition),
  }
}

/** Who cannot derive any more says so to all who deliver, and capture goes on. */
function derivingFor(pipeline: string, deriving: Deriving, observe: Observe): Work {
  return async (signal) => {
    try {
      await kept(`deriving for ${pipeline}`, observe, (ending) => deriving.run(ending))(signal)
    } catch (error) {
      await deriving.publish(failureOf(error))
      await new Signal().next(0, signal).catch(() => undefined)
    }
  }
}

function ledBy(
  { name, source, capture, log, settings, pipelines, derivings, observe }: CapturesParts,
  feed: Work,
  replays: Work,
  requests: CaptureRequests,
): Parameters<typeof leadCapture>[1] {
  const reading = pipelines.map((pipeline): Work => {
    const group = groupOf(pipeline)
    const load = new FirstLoad({
      ...loadOf(pipeline, settings),
      source,
      capture,
      clock: systemClock,
      observe,
      // Whoever delivers makes its index ready before it writes rows of a new shape, and sweeps at the end.
      prepare: () => Promise.resolve(),
      sweep: () => Promise.reject(new Error('loads are ended where they are delivered')),
      passed: passedIn(log, group),
    })
    return kept(`loads of ${group}`, observe, (ending) => load.read(ending))
  })
  const describe = async (table: string) => (await source.describe(table)).table
  const deriving = [...derivings].map(([pipeline, each]) => derivingFor(pipeline, each, observe))
  const derive = async (pipeline: string): Promise<void> => await derivings.get(pipeline)?.define()
  const others = [kept(`replays of ${name}`, observe, replays), ...reading, ...deriving]
  return { feed, others, requests, carryOut: carryOutBy({ capture, describe, derive }) }
}
