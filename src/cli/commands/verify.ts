import type { Pipeline } from '../../config/pipeline.ts'
import { composed, configured, pipelinesNamed } from '../configured.ts'
import { exit, UsageError, type Context } from '../context.ts'
import { showCount } from '../format.ts'
import type { Difference, Parts } from '../parts.ts'
import { configurationOptions, jsonOption, type Command } from '../usage.ts'

export const verify: Command = {
  name: 'verify',
  summary: 'Compare a table with its index, row by row and field by field.',
  positionals: 'PIPELINE[@TARGET]',
  options: {
    ...configurationOptions,
    ...jsonOption,
    limit: { value: 'COUNT', help: 'Stop after so many differences. Default: 100; 0 = never' },
  },
  about: `Walks the whole table in the order of its key, makes each row's document anew and holds it against the stored one; then
looks for documents that no row accounts for. Reads only. What differs is looked at twice, so that changes under way are not
reported; the answer is exact when nothing is being written.

  missing    the table has the row, the index has no document
  orphan     the index has a document, the table has no row for it
  different  both are there; the fields that differ are named. Where a query of the pipeline's own (sql:) makes lists by
             JSON_ARRAYAGG, whose order no server promises, their order is not compared
  unmade     the row's document cannot be made, or not whole: a transform fails on it, or an upstream does not answer; so
             nobody knows whether the stored one is right

A pipeline with several targets is compared with each, unless one is named. With --json each difference is one line, and the
last line of each target is its summary. millrace run --reload PIPELINE mends what is found.`,
  examples: [
    ['millrace verify orders', 'prints what differs'],
    ['millrace verify orders --limit 0 --json > differences.jsonl', 'all of it, for a program'],
  ],
  exits: ['0  table and index are equal', '1  they differ', '3  the source or the target cannot be reached'],
  async run(args, context) {
    const limit = limitOf(args.value('limit') ?? '100')
    const configuration = configured(args, context)
    const pipelines = pipelinesNamed(configuration, args.positionals[0] ?? '')
    const parts = await composed(configuration, context)
    let equal = true
    for (const pipeline of pipelines) {
      if (pipelines.length > 1 && !args.has('json')) context.out(pipeline.label)
      equal = (await compare(parts, pipeline, { limit, json: args.has('json') }, context)) && equal
    }
    return equal ? exit.ok : exit.bad
  },
}

/** Prints what differs, and how much was looked at. */
async function compare(
  parts: Parts,
  pipeline: Pipeline,
  { limit, json }: { readonly limit: number; readonly json: boolean },
  context: Context,
): Promise<boolean> {
  const counts = { missing: 0, orphan: 0, different: 0, unmade: 0 }
  let seen = { rows: 0, documents: 0 }
  let total = 0
  const progress = (done: typeof seen): void => {
    seen = { ...done }
    context.progress(
      `${showCount(seen.rows)} rows, ${showCount(seen.documents)} documents, ${showCount(total)} differences`,
    )
  }
  const walk = parts.verify(pipeline, progress, context.signal)
  let complete = false
  while (!complete && total < limit) {
    const step = await walk.next()
    complete = step.done === true
    if (step.done === true) {
      seen = step.value
      continue
    }
    total++
    counts[step.value.kind]++
    context.out(json ? JSON.stringify(step.value) : describe(step.value))
  }
  await walk.return(seen)
  const { name, target } = pipeline
  const summary = { pipeline: name, target: target.name, equal: total === 0, complete, ...seen, ...counts }
  context.out(json ? JSON.stringify(summary) : summarise(summary))
  return total === 0
}

function limitOf(text: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`--limit needs a whole number, not "${text}"`)
  return text === '0' ? Number.POSITIVE_INFINITY : Number(text)
}

function describe(difference: Difference): string {
  const { kind, id } = difference
  return `${kind.padEnd(9)}  ${id}${detailOf(difference)}`
}

function detailOf(difference: Difference): string {
  if (difference.kind === 'different') return `  ${difference.fields.join(', ')}`
  return difference.kind === 'unmade' ? `  ${difference.reason}` : ''
}

interface Summary {
  readonly equal: boolean
  readonly complete: boolean
  readonly rows: number
  readonly documents: number
  readonly missing: number
  readonly orphan: number
  readonly different: number
  readonly unmade: number
}

function summarise(summary: Summary): string {
  if (summary.equal) return `equal: ${summary.documents} documents`
  const counts = `${summary.missing} missing, ${summary.orphan} orphans, ${summary.different} different, ${summary.unmade} unmade`
  const seen = `after ${showCount(summary.rows)} rows and ${showCount(summary.documents)} documents`
  return summary.complete ? `${counts}, ${seen}` : `${counts} so far, ${seen}; stopped at the limit`
}
