/** The daemon put together: sources, pipelines, the control server, and those who listen to facts. */
import { mkdir } from 'node:fs/promises'
import { alertsOf } from './alerting.ts'
import { Failure } from '../change/failure.ts'
import type { RunOptions } from '../cli/parts.ts'
import { groupOf } from '../config/pipeline.ts'
import type { Operations } from '../control/operations.ts'
import { loggerOf } from '../opening/logger.ts'
import { ControlDoor } from '../opening/control.ts'
import { Daemon } from '../daemon.ts'
import { checkRoles } from './captures.ts'
import { createJournal } from './journal.ts'
import { openSharing } from '../opening/cache.ts'
import { reachableStore } from '../opening/store.ts'
import { targetFlows } from '../parts/limits.ts'
import { letterOperations, letterWorks } from './dead-letters.ts'
import { createHealth, type Health } from '../observe/health.ts'
import { createMetrics, type Metrics } from '../observe/metrics.ts'
import { Board } from '../pipeline/board.ts'
import type { Observe } from '../pipeline/facts.ts'
import { showPosition } from '../opening/source.ts'
import { openAll, startingOperations } from './starting.ts'
import { statusOf } from '../status.ts'
import { Steering } from './steering.ts'
import type { Serving } from './serving.ts'
import { openSource, type OpenedSource } from './opened-source.ts'
import { daemonPipeline, daemonSource } from './daemon-parts.ts'
import { systemClock } from '../system-clock.ts'
import { refreshPipelines } from './refresh.ts'
import { replayOperations } from './replay.ts'
import { touchPipeline } from './touch.ts'
import { Upstreams } from '../parts/upstreams.ts'
import { version } from '../version.ts'
import { statusPipeline, type Workshop } from '../parts/workshop.ts'

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
  const sources = [...new Set(own.map(({ source }) => source))]
  const board = new Board()
  const metrics = createMetrics(version)
  const health = createHealth({
    sources,
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
  const control = new ControlDoor(workshop.configuration, startingOperations(metrics, health, board, sources))
  try {
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
