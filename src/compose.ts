/** The composition root: a configuration becomes finished parts. The only file that knows every room. */
import { Failure } from './change/failure.ts'
import type { Parts } from './cli/parts.ts'
import type { Configuration } from './config/load.ts'
import type { Pipeline } from './config/pipeline.ts'
import { listsOf } from './document/query-mapper.ts'
import { transformed } from './document/transform.ts'
import { documentTypes } from './offline/document-types.ts'
import { examineCache } from './opening/cache.ts'
import { examineStore, existingStore } from './opening/store.ts'
import { examineJoins } from './offline/join-findings.ts'
import { examineBrokers } from './offline/examine-brokers.ts'
import { examineState } from './parts/examine.ts'
import { letterKinds, lettersOf, type LetterPlace } from './serving/dead-letters.ts'
import type { Log } from './log/log.ts'
import type { Observe } from './pipeline/facts.ts'
import { verify } from './pipeline/verify/verify.ts'
import { openAtRest } from './offline/at-rest.ts'
import { plan } from './offline/plan.ts'
import { comparePipelines, preview } from './offline/preview.ts'
import { previewReplay } from './offline/preview-replay.ts'
import { serve } from './serving/serve.ts'
import { mappingOf } from './sink/search/index-definition.ts'
import { isExpired } from './sink/search/family.ts'
import type { Enricher } from './document/enricher.ts'
import type { IndexAdmin } from './sink/sink.ts'
import type { Finding } from './source/source.ts'
import type { Target } from './parts/target.ts'
import { showPosition } from './opening/source.ts'
import { statusOf } from './status.ts'
import { planLogSwitch, switchLog } from './offline/switch-log.ts'
import { systemClock } from './system-clock.ts'
import { recentIn } from './serving/journal.ts'
import { gigabyte, megabyte } from './units.ts'
import { openTransform } from './parts/upstreams.ts'
import { version } from './version.ts'
import { statusPipeline, tablesOf, Workshop } from './parts/workshop.ts'

/** Ids that verify remembers at a time. */
const verifyIdsMax = 4_000_000

/** `listeners` hear every fact too: crash tests are such listeners. */
export function compose(configuration: Configuration, listeners: readonly Observe[] = []): Parts {
  const workshop = new Workshop(configuration)
  const { settings } = configuration
  return {
    runDaemon: (options, signal) => serve(workshop, options, listeners, signal),
    openSource: (name) => workshop.openSource(name, tablesOf(workshop.pipelinesOf(name))),
    openLog: (source) => workshop.readLog(source),
    planLogSwitch: (request) => planLogSwitch(configuration, request),
    switchLog: (request, copied, signal) => switchLog(configuration, request, copied, signal),
    examineTarget: (pipeline) => examineTarget(workshop, pipeline),
    examineJoins,
    examineState: async () => [
      ...(await examineState(settings.state, settings.log.ceilingGb * gigabyte)),
      ...(await examineStore(configuration)),
      ...(await examineCache(settings)),
      ...(await examineBrokers(configuration)),
    ],
    localStatus: () => localStatus(workshop),
    letterKinds: (choice) => withLogs(workshop, (logs) => letterKinds(placesIn(workshop, logs), choice)),
    letters: (choice, limit) =>
      withLogs(workshop, (logs) => lettersOf(placesIn(workshop, logs), choice, limit)),
    verify: (pipeline, progress, signal) => verifyPipeline(workshop, pipeline, progress, signal),
    documentTypes: (pipelines) => documentTypes(workshop, pipelines),
    transformOf: async (pipeline) => {
      if (pipeline.transform === undefined) return (text) => text
      const transformer = await openTransform(pipeline.transform)
      return (text) => transformed(transformer, text)
    },
    plan: (pipeline, rowsMax, signal) => plan(workshop, pipeline, rowsMax, signal),
    preview: (pipeline, request, signal) => preview(workshop, pipeline, request, signal),
    comparePipelines: (files, rowsMax, signal) => comparePipelines(workshop, files, rowsMax, signal),
    previewReplay: (pipeline, request, signal) => previewReplay(workshop, pipeline, request, signal),
    proposeMappings: (table) =>
      Object.fromEntries(table.columns.map((column) => [column.name, mappingOf(column)])),
  }
}

async function localStatus(workshop: Workshop): ReturnType<Parts['localStatus']> {
  const { pipelines } = workshop.configuration
  return await withLogs(workshop, (logs) =>
    statusOf({
      version,
      nowMs: () => systemClock.now(),
      startedAtMs: undefined,
      board: undefined,
      sources: [...logs].map(([name, log]) => ({
        name,
        log,
        deadLetters: log.deadLetters,
        show: showPosition,
      })),
      pipelines: pipelines.filter(({ source }) => logs.has(source)).map(statusPipeline),
      recent: () => recentOf(workshop.configuration),
    }),
  )
}

/** The logs that there are, by source, to read. */
async function withLogs<T>(
  workshop: Workshop,
  use: (logs: ReadonlyMap<string, Log>) => Promise<T>,
): Promise<T> {
  const logs = new Map<string, Log>()
  try {
    for (const name of Object.keys(workshop.configuration.settings.sources)) {
      const log = await workshop.readLog(name).catch((error: unknown) => {
        if (error instanceof Failure && error.kind === 'lost') return undefined
        throw error
      })
      if (log !== undefined) logs.set(name, log)
    }
    return await use(logs)
  } finally {
    for (const log of logs.values()) await log.close()
  }
}

function placesIn({ configuration }: Workshop, logs: ReadonlyMap<string, Log>): readonly LetterPlace[] {
  return configuration.pipelines.flatMap((pipeline) => {
    const log = logs.get(pipeline.source)
    return log === undefined ? [] : [{ pipeline, deadLetters: log.deadLetters }]
  })
}

/** From the journal, if there is one. */
async function recentOf(configuration: Configuration): ReturnType<typeof recentIn> {
  const store = existingStore(configuration)
  if (store === undefined) return []
  try {
    return await recentIn(store, systemClock)
  } finally {
    await store.close()
  }
}

async function* verifyPipeline(
  workshop: Workshop,
  pipeline: Pipeline,
  progress: Parameters<Parts['verify']>[1],
  signal: AbortSignal,
): ReturnType<Parts['verify']> {
  const { load } = workshop.configuration.settings
  await using parts = await openAtRest(workshop, pipeline)
  const { source, target, enrich, rowsEstimate } = parts
  refuseUnlisted(target, pipeline)
  const index = parts.index()
  await existing(index, pipeline)
  return yield* verify(
    {
      table: pipeline.definition.table,
      source,
      index,
      enrich: keptOnly(pipeline, enrich),
      lists: listsOf(pipeline.definition),
      chunkRows: load.chunkRows,
      chunkBytes: load.chunkMb * megabyte,
      idsMax: verifyIdsMax,
      rowsEstimate,
      progress,
    },
    signal,
  )
}

function refuseUnlisted({ lists }: Target, { target }: Pipeline): void {
  if (lists) return
  throw new Failure('configuration', `the target ${target.name} does not list its documents (lists: false)`, {
    remedy: 'let the service or module list them; nothing can be verified without',
  })
}

async function examineTarget(workshop: Workshop, pipeline: Pipeline): Promise<readonly Finding[]> {
  const target = workshop.target(pipeline.target.name)
  try {
    return await target.examine(pipeline)
  } finally {
    await target.close()
  }
}

/** Without what is of a period that is not kept any more. */
function keptOnly({ target: { family } }: Pipeline, inner: Enricher): Enricher {
  if (family?.keep === undefined) return inner
  return async (entries, signal) => {
    const works = await inner(entries, signal)
    return [...works].filter(({ operation }) => !isExpired(family, operation.index ?? '', systemClock.now()))
  }
}

async function existing(index: IndexAdmin, pipeline: Pipeline): Promise<void> {
  if ((await index.inspect()) !== undefined) return
  throw new Failure('lost', `there is no index ${pipeline.target.index}`, {
    remedy: 'millrace run makes and fills it',
  })
}
