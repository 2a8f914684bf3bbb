/** The canary that a pipeline file asks for: its row, and the document that a search must find. */
import { keyFrom } from '../change/key.ts'
import { Failure } from '../change/failure.ts'
import { groupOf, type Pipeline } from '../config/pipeline.ts'
import { describeFields } from '../parts/joined.ts'
import { watchCanary } from '../pipeline/canary.ts'
import type { Observe } from '../pipeline/facts.ts'
import type { IndexAdmin } from '../sink/sink.ts'
import { CanaryRow } from '../source/mysql/reading/canary-row.ts'
import type { SourceAdmin } from '../source/source.ts'
import { systemClock } from '../system-clock.ts'
import type { Target } from '../parts/target.ts'
import { mapperOf, type Workshop } from '../parts/workshop.ts'

export interface CanarySurroundings {
  readonly workshop: Workshop
  readonly source: Pick<SourceAdmin, 'describe' | 'describeQuestion'>
  readonly target: Target
  readonly observe: Observe
}

/** Works beside the pipeline: none, or the canary. */
export function canariesOf(
  file: Pipeline,
  surroundings: CanarySurroundings,
): readonly ((ending: AbortSignal) => Promise<void>)[] {
  const { canary } = file.policy
  if (canary === undefined) return []
  return [(ending) => keepCanary(file, canary, surroundings, ending)]
}

async function keepCanary(
  file: Pipeline,
  canary: NonNullable<Pipeline['policy']['canary']>,
  { workshop, source, target, observe }: CanarySurroundings,
  ending: AbortSignal,
): Promise<void> {
  const { table } = await source.describe(file.definition.table)
  const fields = await describeFields(file.definition, source)
  const field = fields.find(({ column }) => column.name === canary.column)?.field
  if (field === undefined)
    throw new Failure('configuration', `policy.canary: no field of the documents shows ${canary.column}`, {
      remedy: `the columns that they show are ${fields.map(({ column }) => column.name).join(', ')}`,
    })
  const key = keyFrom(table, canary.row)
  const { id } = mapperOf(file, undefined).gone(table, key, 0n)
  const index = await workshop.openIndex(file, target, source)
  const row = new CanaryRow(workshop.serverOf(file.source), { table: table.name, key, column: canary.column })
  try {
    await watchCanary(
      {
        group: groupOf(file),
        everyMs: canary.everySeconds * 1000,
        withinMs: canary.withinSeconds * 1000,
        clock: systemClock,
        observe,
        change: (value) => row.change(value),
        found: () => foundIn(index, id, field),
      },
      ending,
    )
  } finally {
    row.close()
  }
}

/** What a search finds in a field of the document. */
async function foundIn(index: IndexAdmin, id: string, field: string): Promise<number | undefined> {
  const text = (await index.found?.(id))?.source
  if (text === undefined) return undefined
  const value = Number((JSON.parse(text) as Readonly<Record<string, unknown>>)[field])
  return Number.isNaN(value) ? undefined : value
}
