/** Whether the columns that a pipeline names are there. */
import type { Pipeline } from '../config/pipeline.ts'
import { nearest } from '../config/problems.ts'
import type { Finding, TableDescription } from '../source/source.ts'

/** One finding for each column that the table lacks, or one that says that all are there. */
export function examineColumns(
  { name, definition, key }: Pipeline,
  { table, excluded }: Pick<TableDescription, 'table' | 'excluded'>,
): readonly Finding[] {
  const known = [...table.columns.map((column) => column.name), ...excluded]
  const named: readonly (readonly [string, readonly string[]])[] = [
    ['fields', Object.values(definition.fields ?? {})],
    ['exclude', definition.exclude],
    ['where', definition.where.map(({ column }) => column)],
    ['id.columns', definition.id ?? []],
    ['key', key ?? []],
  ]
  const fact = `columns of ${name}`
  const missing = named.flatMap(([where, columns]) =>
    columns.filter((column) => !known.includes(column)).map((column) => ({ where, column })),
  )
  if (missing.length === 0) return [{ level: 'ok', fact, found: `all are in ${table.name}` }]
  return missing.map(({ where, column }) => {
    const suggestion = nearest(column, known)
    const remedy = suggestion === undefined ? `it has: ${known.join(', ')}` : `did you mean "${suggestion}"?`
    return {
      level: 'fatal',
      fact,
      found: `${where}: ${table.name} has no column "${column}"`,
      remedies: { mysql: remedy },
    }
  })
}
