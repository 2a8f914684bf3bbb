/** The daemon put together: sources, pipelines, the control server, and those who listen to facts. */
import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { alertsOf } from './alerting.ts'
import { epochsSeen, startKind, startPosition } from './beginning.ts'
import { Failure } from '../change/failure.ts'
import type { OpenSource, RunOptions } from '../cli/parts.ts'
import { difference, fingerprint } from '../config/fingerprint.ts'
import { groupOf, isMeant, type Pipeline as PipelineFile } from '../config/pipeline.ts'
import type { Operations } from '../control/operations.ts'
import { loggerOf } from '../opening/logger.ts'
import { ControlDoor } from '../opening/control.ts'
import { Daemon, type DaemonPipeline, type DaemonSource } from '../daemon.ts'
import { mayAlter } from '../document/concern.ts'
import { enricherOf, finishedFor } from './enrichers.ts'
import { derivingsOf, describeChildren, readingBounds, type ReadingBounds } from '../parts/joined.ts'
import { canariesOf } from './canaries.ts'
import { capturesOf, checkRoles, type Captures } from './captures.ts'
import { createJournal, type Journal } from './journal.ts'
import type { Shape } from '../document/definition.ts'
import type { Log } from '../log/log.ts'
import { openSharing } from '../opening/cache.ts'
import { reachableStore } from '../opening/store.ts'
import { breakerLimits, deliveryLimits, targetFlows } from '../parts/limits.ts'
import { letterOperations, letterWorks } from './dead-letters.ts'
import { findsBy } from './finds-by.ts'
import { createHealth, type Health } from '../observe/health.ts'
import { createMetrics, type Metrics } from '../observe/metrics.ts'
import type { Wishes } from '../pipeline/index/binding.ts'
import { Board } from '../pipeline/board.ts'
import { isDealtWith } from '../pipeline/index/barriers.ts'
import { Capture } from '../pipeline/capture/capture.ts'
import type { Captured } from '../pipeline/capture/captured.ts'
import type { Observe } from '../pipeline/facts.ts'
import { Feed } from '../pipeline/feed.ts'
import type { Replays } from '../pipeline/replay/replay.ts'
import type { ReplayStates } from '../pipeline/replay/replay-state.ts'
import { Pipeline } from '../pipeline/pipeline.ts'
import type { IndexAdmin } from '../sink/sink.ts'
import type { Source } from '../source/source.ts'
import { showPosition } from '../opening/source.ts'
import { sinkOf, targetNamed, targetNames } from '../parts/sinks.ts'
import { awaitedLog, openAll, startingOperations } from './starting.ts'
import { statusOf } from '../status.ts'
import { Steering } from './steering.ts'
import type { Store } from '../store/store.ts'
import { systemClock } from '../system-clock.ts'
import { refreshPipelines, refreshSchedules } from './refresh.ts'
import { replayOperations, replaysOf } from './replay.ts'
import type { Target } from '../parts/target.ts'
import { touchPipeline } from './touch.ts'
import type { TargetFlow } from '../pipeline/delivery/target-flow.ts'
import { together } from '../pipeline/together.ts'
import { Upstreams } from '../parts/upstreams.ts'
import { version } from '../version.ts'
import {
  columnsOf,
  fedGroup,
  statusPipeline,
  tablesOf,
  unusedByAll,
  type Workshop,
} from '../parts/workshop.ts'

const guardEveryMs = 5_000
/** Keys changed while a chunk is read, in chunks' rows: beyond that the chunk is read again, smaller. */
const windowKeysPerRow = 50

interface Serving {
  readonly workshop: Workshop
  readonly options: RunOptions
  readonly observe: Observe
  readonly board: Board
  readonly journal: Journal
  readonly upstreams: Upstreams
  readonly store: Store
  readonly abort: AbortController
  readonly flows: ReadonlyMap<string, TargetFlow>
  readonly steering: Steering
}

interface OpenedSource {
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
}

/** Runs until the signal aborts and everything is drained; throws when nothing is left to run. */
export async function serve(
  workshop: Workshop,
  options: RunOptions,
  listeners: readonly Observe[],
  signal: AbortSignal,
): Promise<void> {
  const { settings } = workshop.configuration
  checkRoles(workshop.configuration)
  await mkdir(settings.state, { recursive: true })
  const store = await reachableStore(workshop.configuration)
  const own = workshop.configuration.pipelines
  const board = new Board()
  const metrics = createMetrics(version)
  const health = createHealth({
    sources: [...new Set(own.map(({ source }) => source))],
    groups: settings.roles.includes('deliver') ? own.map(groupOf) : [],
  })
  const logger = loggerOf(workshop.configuration)
  const journal = createJournal(store, systemClock)
  const alerts = alertsOf(workshop.configuration, journal.note)
  const hearing: readonly Observe[] = [
    (fact) => board.observe(fact),
    metrics.observe,
    health.observe,
    logger.observe,
    journal.observe,
    alerts.observe,
    ...listeners,
  ]
  const observe: Observe = (fact) => {
    for (const listener of hearing) listener(fact)
  }
  const sharing = openSharing(settings, observe)
  const upstreams = await Upstreams.open(workshop, own, { sharing, observe })
  const serving: Serving = {
    workshop,
    options,
    store,
    observe,
    board,
    journal,
    upstreams,
    abort: new AbortController(),
    flows: targetFlows(workshop.configuration, sharing, observe),
    steering: await Steering.open(store, own),
  }
  const startedAtMs = systemClock.now()
  journal.note(`started: millrace ${version}, process ${process.pid}`)
  const control = new ControlDoor(workshop.configuration, startingOperations(metrics, health))
  try {
    const sources = [...new Set(own.map(({ source }) => source))]
    const open = (name: string, ending: AbortSignal) => openSource(serving, name, control, ending)
    const opened = await openAll(sources, open, signal)
    if (opened === undefined) return
    await control.answerBy(operationsOf(serving, opened, { startedAtMs, metrics, health }))
    await daemonOf(serving, opened).run(signal)
  } finally {
    await control.close()
    await upstreams.close()
    await sharing.close()
    await alerts.close()
    journal.note('stopped')
    await journal.close()
    logger.close()
  }
}

function operationsOf(
  serving: Serving,
  opened: readonly OpenedSource[],
  seen: { readonly startedAtMs: number; readonly metrics: Metrics; readonly health: Health },
): Operations {
  const { workshop, observe, steering, abort } = serving
  const own = workshop.configuration.pipelines
  return {
    status: () => statusOf(statusParts(serving, opened, seen.startedAtMs)),
    ...replayOperations(own, opened, systemClock),
    refresh: (request) => refreshPipelines(own, opened, request, systemClock),
    touch: (request) => touchPipeline(own, opened, request, abort.signal),
    ...letterOperations(letterWorks(own, opened), observe, abort.signal),
    steer: (pipeline, action) => steering.steer(pipeline, action),
    metrics: () => seen.metrics.text(),
    live: () => seen.health.live(),
    ready: () => seen.health.ready(),
  }
}

async function openSource(
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
  const source = await workshop.openSource(name, tablesOf(own), {
    unused: unusedByAll(own, unsettled),
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
    targets: new Map(
      targetNames(own).map((target) => [target, workshop.target(target, flows.get(target)?.nodes)]),
    ),
  }
}

function daemonOf(serving: Serving, opened: readonly OpenedSource[]): Daemon {
  const { observe, abort, workshop } = serving
  return new Daemon({
    sources: opened.map((each) => daemonSource(serving, each)),
    pipelines: workshop.configuration.settings.roles.includes('deliver')
      ? opened.flatMap((each) =>
          workshop.pipelinesOf(each.name).map((pipeline) => daemonPipeline(serving, each, pipeline)),
        )
      : [],
    helpers: opened.flatMap(({ captures: { derivings } }) =>
      [...derivings].map(([name, deriving]) => ({
        name: `deriving for ${name}`,
        run: (signal: AbortSignal) => deriving.run(signal),
        failed: (failure: Failure) => deriving.fail(failure),
      })),
    ),
    clock: systemClock,
    observe,
    drainMs: workshop.configuration.settings.shutdownSeconds * 1000,
    abort,
  })
}

function daemonSource({ workshop, options, observe, board }: Serving, opened: OpenedSource): DaemonSource {
  const { name, source, log, leading, captures, targets, replays } = opened
  const own = workshop.pipelinesOf(name)
  const feed = new Feed({
    name,
    log,
    capture: leading,
    lanes: workshop.configuration.settings.log.lanes,
    lineage: () => randomUUID(),
    start: () => startPosition(source, own),
    epochsSeen: () =>
      epochsSeen(workshop, { source, target: (each) => targetNamed(targets, each.target.name) }, own),
    clock: systemClock,
    observe,
    groups: own.map(fedGroup),
    restart: own.every((pipeline) => isMeant(pipeline, options.reload)),
  })
  const schedules = refreshSchedules(own, { source, capture: leading, clock: systemClock, observe })
  return {
    name,
    feed: captures.work(
      (ending) => feed.run(ending),
      (ending) => together(ending, [(over) => replays.run(over), ...schedules]),
    ),
    watch: {
      source: name,
      log,
      clock: systemClock,
      observe,
      groups: own.map((pipeline) => ({
        group: groupOf(pipeline),
        pipeline: pipeline.name,
        target: pipeline.target.name,
        isPrimary: pipeline.target.isPrimary,
      })),
      headroom: () => source.headroom(),
      capturedToMs: () => board.source(name).capturedToMs ?? systemClock.now(),
    },
    close: async () => {
      await source.close()
      await log.close()
      for (const target of targets.values()) await target.close()
    },
  }
}

function daemonPipeline(serving: Serving, opened: OpenedSource, file: PipelineFile): DaemonPipeline {
  const { workshop, options, observe, abort, flows, upstreams } = serving
  const { settings } = workshop.configuration
  const { source, log } = opened
  const target = targetNamed(opened.targets, file.target.name)
  const limits = deliveryLimits(settings, file)
  const deriving = opened.captures.derivedOf(file)
  const rowsPerSecond = settings.delivery.lookUpsPerSecond
  const documentsOf = enricherOf({ ...opened, observe, rowsPerSecond }, file)
  let checked = false
  const openIndex = async (shape?: Shape): Promise<IndexAdmin> => {
    if (shape !== undefined)
      return target.index(file, shape.fields, await describeChildren(file.definition, source))
    // Only at the start: a column that is dropped while we run is left out all the same.
    if (!checked) await workshop.checkExcluded(file, source)
    checked = true
    return await workshop.openIndex(file, target, source)
  }
  const refine = upstreams.refineFor(file, () => opened.capture.loadState(groupOf(file)))
  const pipeline = new Pipeline({
    name: file.name,
    label: file.label,
    group: groupOf(file),
    target: file.target.name,
    table: file.definition.table,
    alias: file.target.index,
    ...opened.captures.waysOf(file),
    log,
    deadLetters: log.deadLetters,
    openIndex,
    sinkFor: (index) => sinkOf(file, index, { ...opened, ...limits, flows }),
    columns: columnsOf(file, source),
    cascades: {
      findsBy: findsBy(file, settings),
      describe: async () => (await source.describe(file.definition.table)).table,
    },
    enricher: (shown, admit) => finishedFor(file, refine(documentsOf(shown, admit))),
    clock: systemClock,
    observe,
    limits,
    breaker: breakerLimits(settings),
    guardEveryMs,
    definition: fingerprint(file),
    differences: difference,
    start: startKind(file.policy.start, source),
    wishes: wishesOf(file, options),
    deriving,
    reloadsWhenLost: file.policy.onLost === 'reload',
    companions: [
      ...upstreams.companionsOf(file, opened),
      ...canariesOf(file, { workshop, source, target, observe }),
      ...(deriving === undefined ? [] : [(ending: AbortSignal) => deriving.fit(ending)]),
    ],
    rowsEstimate: async () => (await source.describe(file.definition.table)).rowsEstimate,
    abort: abort.signal,
  })
  const lever = serving.steering.lever(groupOf(file), () => pipeline.wishReload())
  return { name: file.name, group: groupOf(file), pipeline, lever, close: () => Promise.resolve() }
}

function wishesOf(file: PipelineFile, { reload, keep, adopt }: RunOptions): Wishes {
  return {
    reload: isMeant(file, reload),
    keep: isMeant(file, keep),
    adopt: file.target.adopt || isMeant(file, adopt),
  }
}

function statusParts(
  { workshop, board, journal }: Serving,
  opened: readonly OpenedSource[],
  startedAtMs: number,
): Parameters<typeof statusOf>[0] {
  return {
    version,
    nowMs: () => systemClock.now(),
    startedAtMs,
    board,
    sources: opened.map(({ name, log, captures: { leader } }) => ({
      name,
      log,
      deadLetters: log.deadLetters,
      show: showPosition,
      leader,
    })),
    pipelines: workshop.configuration.pipelines.map(statusPipeline),
    recent: journal.recent,
  }
}
