/** What a first load of a pipeline will come to, judged by a sample of its rows. */
import { openAtRest } from './at-rest.ts'
import type { Plan } from '../cli/parts.ts'
import type { Pipeline } from '../config/pipeline.ts'
import type { Settings } from '../config/schema.ts'
import { costMeter } from './load-cost.ts'
import { Entries } from '../log/log.ts'
import { chunkRecords } from '../pipeline/capture/chunk-records.ts'
import { textOfBody } from '../sink/sink.ts'
import type { ReadCost } from '../source/source.ts'
import { gigabyte, megabyte } from '../units.ts'
import type { Workshop } from '../parts/workshop.ts'

/** The sample is the first rows of the table, at most so many. Throws a Failure as opening the pipeline's parts does. */
export async function plan(
  workshop: Workshop,
  pipeline: Pipeline,
  rowsMax: number,
  signal: AbortSignal,
): Promise<Plan> {
  const { settings } = workshop.configuration
  const { load } = settings
  await using parts = await openAtRest(workshop, pipeline)
  const { source, target, table, enrich, rowsEstimate } = parts
  const includes = await source.head()
  const spent = await costMeter(source)
  const begun = performance.now()
  const { rows, last } = await source.chunk(
    { table: table.name, after: undefined, rowsMax, bytesMax: sampleBytesMax, includes },
    signal,
  )
  const readSeconds = (performance.now() - begun) / 1000
  const reading = await spent()
  const making = performance.now()
  const records = chunkRecords(table, rows)
  const works = [...(await enrich(Entries.all(records, { offset: 0, version: 1n }), signal))]
  const madeSeconds = readSeconds + (performance.now() - making) / 1000
  const building = await spent()
  const bodies = works.flatMap(({ operation }) => (operation.op === 'index' ? [operation.body] : []))
  const bytes = bodies.reduce((sum, body) => sum + Buffer.byteLength(textOfBody(body)), 0)
  // A sample of the whole table leaves nothing to estimate.
  const count =
    last === undefined || rows.length < rowsMax ? rows.length : Math.max(rowsEstimate, rows.length)
  const documents = Math.round((count * bodies.length) / Math.max(1, rows.length))
  const documentBytes = bodies.length === 0 ? 0 : Math.round(bytes / bodies.length)
  const rate =
    load.rowsPerSecond > 0
      ? Math.min(load.rowsPerSecond, rows.length / madeSeconds)
      : rows.length / madeSeconds
  return {
    pipeline: pipeline.name,
    table: table.name,
    sampled: rows.length,
    rows: count,
    documents,
    documentBytes,
    sourceBytes: documents * documentBytes,
    logBytes: Math.round((records.bytes.length / Math.max(1, rows.length)) * count),
    shards: Math.max(1, Math.ceil((documents * documentBytes) / shardBytes)),
    replicas: replicasFor(await target.dataNodes()),
    chunks: Math.ceil(count / load.chunkRows),
    ...loadOn({ reading, building }, { sampled: rows.length, rows: count }, settings),
    chunkMs: Math.round((readSeconds * 1000 * Math.min(load.chunkRows, count)) / Math.max(1, rows.length)),
    atLeastSeconds: rows.length === 0 ? 0 : Math.ceil(count / rate),
  }
}

/** The cost of the sample's one chunk, and of its documents, as it grows with the table. */
function loadOn(
  { reading, building }: { readonly reading: ReadCost | undefined; readonly building: ReadCost | undefined },
  { sampled, rows }: { readonly sampled: number; readonly rows: number },
  { load, documents }: Pick<Settings, 'load' | 'documents'>,
): Pick<Plan, 'queries' | 'rowsExamined' | 'bytesSent'> {
  if (reading === undefined || building === undefined)
    return { queries: null, rowsExamined: null, bytesSent: null }
  const share = rows / Math.max(1, sampled)
  const chunks = Math.ceil(rows / load.chunkRows)
  const batches = Math.ceil(rows / documents.batch) / Math.max(1, Math.ceil(sampled / documents.batch))
  return {
    queries: Math.round(reading.queries * chunks + building.queries * batches),
    rowsExamined: Math.round((reading.rowsExamined + building.rowsExamined) * share),
    bytesSent: Math.round((reading.bytesSent + building.bytesSent) * share),
  }
}

/** One copy, where there is a second node to hold it. */
function replicasFor(dataNodes: number | undefined): number | null {
  return dataNodes === undefined ? null : Math.min(1, dataNodes - 1)
}

const sampleBytesMax = 64 * megabyte

/** Elasticsearch's own advice is 10 to 50 GB in a shard; the documents' text is about what they take there. */
const shardBytes = 30 * gigabyte
