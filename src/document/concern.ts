/** Which statements can have altered documents. Pure. */
import type { Barrier } from '../change/change.ts'
import type { ChildDefinition, DocumentDefinition, RowDefinition } from './definition.ts'
import { tablesIn } from './joins.ts'

/** Whether documents may be others since that statement: columns that no document shows or asks for alter none. */
export function mayAlter(definition: DocumentDefinition, { table, effect }: Barrier): boolean {
  if (!tablesIn(definition).includes(table)) return false
  if (effect?.kind !== 'widened') return true
  // A query names the columns that it uses, where it does not say "all", or "those of the same name".
  if (definition.sql !== undefined) return /\*|\b(?:table|natural)\b/i.test(definition.sql.query)
  const uses = definitionsIn(definition).filter((each) => each.table === table)
  // A link table between parents and children shows nothing itself: what it is read for cannot be a new column.
  return uses.some((use) => effect.columns.some((column) => concerns(use, column)))
}

function definitionsIn(definition: RowDefinition): readonly (RowDefinition | ChildDefinition)[] {
  return [definition, ...Object.values(definition.children ?? {}).flatMap(definitionsIn)]
}

/** `column` in small letters: to the servers the case makes no difference. */
function concerns(use: RowDefinition | ChildDefinition, column: string): boolean {
  const isIn = (names: readonly string[]) => names.some((name) => name.toLowerCase() === column)
  if (use.fields === undefined ? !isIn(use.exclude) : isIn(Object.values(use.fields))) return true
  if (isIn(use.where.map((condition) => condition.column))) return true
  return 'on' in use && isIn([...Object.keys(use.on), ...use.order.map((order) => order.column)])
}
