/** Values of some columns of rows. */
import type { Table } from '../../change/change.ts'
import { cellAt, findCells } from '../../change/row.ts'
import type { RelatedRow } from '../../source/source.ts'

/** The distinct combinations of values, none of them NULL or absent, that the rows have in these columns. */
export function distinctValues(
  table: Table,
  rows: readonly Pick<RelatedRow, 'bytes' | 'from' | 'to'>[],
  columns: readonly string[],
): string[][] {
  const places = columns.map((name) => table.columns.findIndex((column) => column.name === name))
  const spans = new Int32Array(2 * table.columns.length)
  const found = new Map<string, string[]>()
  for (const { bytes, from, to } of rows) {
    findCells(bytes, from, to, spans)
    const cells: string[] = []
    for (const at of places) {
      const cell = cellAt(bytes, spans, at) ?? undefined
      if (cell !== undefined) cells.push(cell)
    }
    if (cells.length < places.length) continue
    const [first = ''] = cells
    found.set(cells.length === 1 ? first : cells.join('\n'), cells)
  }
  return [...found.values()]
}
