/** What the daemon runs for each source and each pipeline. */
import { randomUUID } from 'node:crypto'
import { epochsSeen, startKind, startPosition } from './beginning.ts'
import type { RunOptions } from '../cli/parts.ts'
import { difference, fingerprint } from '../config/fingerprint.ts'
import { groupOf, isMeant, type Pipeline as PipelineFile } from '../config/pipeline.ts'
import type { DaemonPipeline, DaemonSource } from '../daemon.ts'
import { enricherOf, finishedFor } from './enrichers.ts'
import { checkExcluded, describeChildren } from '../parts/joined.ts'
import { canariesOf } from './canaries.ts'
import type { Shape } from '../document/definition.ts'
import { tablesIn } from '../document/joins.ts'
import { breakerLimits, deliveryLimits } from '../parts/limits.ts'
import { findsBy } from './finds-by.ts'
import type { Wishes } from '../pipeline/index/binding.ts'
import { Feed } from '../pipeline/feed.ts'
import { Pipeline } from '../pipeline/pipeline.ts'
import type { IndexAdmin } from '../sink/sink.ts'
import { sinkOf, targetNamed } from '../parts/sinks.ts'
import type { OpenedSource } from './opened-source.ts'
import type { Serving } from './serving.ts'
import { systemClock } from '../system-clock.ts'
import { refreshSchedules } from './refresh.ts'
import { together } from '../pipeline/together.ts'
import { columnsOf, fedGroup } from '../parts/workshop.ts'

const guardEveryMs = 5_000

export function daemonSource(
  { workshop, options, observe, board }: Serving,
  opened: OpenedSource,
): DaemonSource {
  const { name, source, log, leading, captures, targets, replays, misses } = opened
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
    misses,
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

export function daemonPipeline(serving: Serving, opened: OpenedSource, file: PipelineFile): DaemonPipeline {
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
    if (!checked) await checkExcluded(file.definition, source)
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
    tables: tablesIn(file.definition),
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
