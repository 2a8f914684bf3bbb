import { composed, configured, pipelinesNamed } from '../configured.ts'
import { exit, UsageError } from '../context.ts'
import { showBytes, showCount, showDuration } from '../format.ts'
import type { Plan } from '../parts.ts'
import { aligned, configurationOptions, jsonOption, type Command } from '../usage.ts'

export const plan: Command = {
  name: 'plan',
  summary:
    'Estimate what a first load comes to: documents, sizes, shards, time, and what it asks of the database.',
  positionals: 'PIPELINE',
  options: {
    ...configurationOptions,
    ...jsonOption,
    sample: { value: 'COUNT', help: 'How many rows are read and made into documents. Default: 1000' },
  },
  about: `Reads the first rows of the table, makes their documents with all that the pipeline file says, and extends what was found to
the table, whose size is the server's own estimate. Nothing is written. The time is that of reading and of making documents
here, one after the other: a daemon does both at once, and the target may be slower than both. What the database is asked is
counted by its own counters of our connections: rows looked at are rows that it read of tables, and of what it sorts.

Shards: one for every 30 GB of documents. Replicas: one, or none where the cluster has no second node to hold it. Write both into
target.settings (number_of_shards, number_of_replicas) before the first run.`,
  examples: [
    ['millrace plan orders', 'before the first run'],
    ['millrace plan orders --sample 10000 --json', 'closer, for a program'],
  ],
  exits: ['0  estimated', '3  the source or an upstream cannot be reached'],
  async run(args, context) {
    const configuration = configured(args, context)
    const [pipeline] = pipelinesNamed(configuration, args.positionals[0] ?? '')
    const parts = await composed(configuration, context)
    const found = await parts.plan(pipeline, sampleOf(args.value('sample')), context.signal)
    context.out(args.has('json') ? JSON.stringify(found) : describe(found))
    return exit.ok
  },
}

function sampleOf(text = '1000'): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new UsageError(`--sample needs a whole number from 1 to 999999, not "${text}"`)
}

function describe(found: Plan): string {
  const { pipeline, table, sampled, rows, documents, chunks, chunkMs, shards, atLeastSeconds } = found
  const replicas =
    found.replicas === null ? '' : `, ${found.replicas} ${found.replicas === 1 ? 'replica' : 'replicas'}`
  const head = `${pipeline}, by a sample of ${showCount(sampled)} of about ${showCount(rows)} rows of ${table}`
  return `${head}\n${aligned([
    ['documents', `${showCount(documents)}, ${showCount(found.documentBytes)} bytes each`],
    [
      'index',
      `about ${showBytes(found.sourceBytes)}: ${shards} ${shards === 1 ? 'shard' : 'shards'}${replicas}`,
    ],
    ['log', `about ${showBytes(found.logBytes)} for the load, kept until it is delivered`],
    ['database', `${showCount(chunks)} reads of about ${showCount(chunkMs)} ms each`],
    ...loadOn(found),
    ['time', `at least ${showDuration(atLeastSeconds)}`],
  ])}`
}

function loadOn({ queries, rowsExamined, bytesSent }: Plan): readonly (readonly [string, string])[] {
  if (queries === null || rowsExamined === null || bytesSent === null) return []
  const asked = `about ${showCount(queries)} queries, which look at ${showCount(rowsExamined)} rows`
  return [['', `${asked} and answer with ${showBytes(bytesSent)}`]]
}
