/** What a definition makes of a table's columns. Pure. */
import type { Table } from '../change/change.ts'
import type { DocumentDefinition, Shape } from './definition.ts'
import { documentFields, knownFields } from './mapping.ts'

/** Columns that the definition names and the table lacks are missing from it. */
export function shapeOf(definition: DocumentDefinition, table: Table): Shape {
  const known = new Map(table.columns.map((column) => [column.name, column]))
  const fields = documentFields(knownFields(definition, known), table)
  const { routing = [], period } = definition.placing ?? {}
  const placed = period === undefined ? routing : [...routing, period.column]
  const conditions = [...new Set([...definition.where.map(({ column }) => column), ...placed])]
  return {
    fields: fields.map(({ field, column }) => ({ field, column })),
    conditions: conditions.flatMap((name) => known.get(name) ?? []),
    key: table.key.flatMap((at) => table.columns[at] ?? []),
  }
}

/** The same documents with no other fields than these, whatever columns the table gets. */
export function limitedTo(definition: DocumentDefinition, { fields }: Shape): DocumentDefinition {
  const columns = Object.fromEntries(fields.map(({ field, column }) => [field, column.name]))
  return { ...definition, fields: columns, exclude: [] }
}
