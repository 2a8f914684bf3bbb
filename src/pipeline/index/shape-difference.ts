/** What a change of a table's columns means for documents. Pure. */
import type { Column } from '../../change/change.ts'
import type { Shape } from '../../document/definition.ts'

export interface ShapeDifference {
  /** Fields that documents would get. */
  readonly added: Shape['fields']
  /** What documents need and is gone, or is another than it was: each a sentence. */
  readonly broken: readonly string[]
}

export function compareShapes(accepted: Shape, found: Shape): ShapeDifference {
  const now = new Map(found.fields.map(({ field, column }) => [field, column]))
  const before = new Set(accepted.fields.map(({ field }) => field))
  const conditions = new Map(found.conditions.map((column) => [column.name, column]))
  return {
    added: found.fields.filter(({ field }) => !before.has(field)),
    broken: [
      ...accepted.fields.flatMap(({ field, column }) => changeOf(`field ${field}`, column, now.get(field))),
      ...accepted.conditions.flatMap((column) =>
        changeOf(`the condition on ${column.name}`, column, conditions.get(column.name)),
      ),
      ...keyChange(accepted.key, found.key),
    ],
  }
}

/** For people: one sentence for each thing that is different. */
export function tellDifference({ added, broken }: ShapeDifference): string {
  const sentences = added.map(({ field, column }) => `field ${field} (${column.type}) is new`)
  return [...sentences, ...broken].join('; ')
}

function changeOf(subject: string, before: Column, now: Column | undefined): readonly string[] {
  if (now === undefined) return [`${subject}: the column ${before.name} is gone`]
  return valuesOf(before) === valuesOf(now) ? [] : [`${subject} was ${before.type} and is ${now.type}`]
}

function keyChange(before: readonly Column[], now: readonly Column[]): readonly string[] {
  const [was, is] = [before, now].map((columns) => columns.map(({ name }) => name).join(', '))
  return was === is ? [] : [`the key was (${was}) and is (${is})`]
}

/** What kind of values documents show. How long a text may be, or what labels there are, changes no document. */
function valuesOf({ kind, unsigned = false, length, precision, scale }: Column): string {
  if (kind === 'integer' || kind === 'bit') return JSON.stringify([kind, unsigned, length])
  return kind === 'decimal' ? JSON.stringify([kind, precision, scale]) : kind
}
