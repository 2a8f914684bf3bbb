/** Some of a table's columns, with what reading them needs. */
import type { Table } from '../../../change/change.ts'
import type { TableShape } from '../schema/describe.ts'

/** These columns and those of the key, in the table's order; always the same object for the same columns. */
export function partOf(shape: TableShape, columns: readonly string[]): TableShape {
  const wanted = new Set(columns)
  const name = [...wanted].toSorted().join('\n')
  const parts = partsOf.get(shape) ?? new Map<string, TableShape>()
  partsOf.set(shape, parts)
  const part = parts.get(name) ?? narrowed(shape, wanted)
  parts.set(name, part)
  return part
}

const partsOf = new WeakMap<TableShape, Map<string, TableShape>>()

function narrowed(shape: TableShape, wanted: ReadonlySet<string>): TableShape {
  const { table, types, formats } = shape
  const chosen = [...table.columns.entries()]
    .filter(([at, column]) => wanted.has(column.name) || table.key.includes(at))
    .map(([at]) => at)
  const part: Table = {
    name: table.name,
    columns: chosen.flatMap((at) => table.columns[at] ?? []),
    key: table.key.map((at) => chosen.indexOf(at)),
  }
  return {
    ...shape,
    table: part,
    types: chosen.flatMap((at) => types[at] ?? []),
    formats: chosen.flatMap((at) => formats[at] ?? []),
  }
}
