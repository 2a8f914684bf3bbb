/** Values of some columns of rows. */
import type { Row, Table } from '../change/change.ts'
import { cellAt, findCells } from '../change/row.ts'

/** The distinct combinations of values, none of them NULL or absent, that the rows have in these columns. */
export function distinctValues(
  table: Table,
  rows: readonly { readonly row: Row }[],
  columns: readonly string[],
): string[][] {
  const places = columns.map((name) => table.columns.findIndex((column) => column.name === name))
  const spans = new Int32Array(2 * table.columns.length)
  const found = new Map<string, string[]>()
  for (const { row } of rows) {
    const bytes = Buffer.from(row, 'latin1')
    findCells(bytes, 0, bytes.length, spans)
    const cells = places.flatMap((at) => cellAt(bytes, spans, at) ?? [])
    if (cells.length === places.length) found.set(cells.join('\n'), cells)
  }
  return [...found.values()]
}
