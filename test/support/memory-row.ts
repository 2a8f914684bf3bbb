/** Rows of a database in memory. */
import type { Key, Row, Table } from '../../src/change/change.ts'
import { bytesOf, keyOf, packRow, type Cell } from '../../src/change/row.ts'

/** Column name to value, as JSON has it. */
export type Values = Readonly<Record<string, unknown>>

export interface StoredRow {
  readonly key: Key
  readonly values: Values
  readonly row: Row
}

export function storedRow(table: Table, values: Values): StoredRow {
  const cells = cellsOf(table, values)
  return { key: keyOf(table, cells), values, row: packRow(cells) }
}

export function keyFor(table: Table, values: Values): Key {
  return keyOf(table, cellsOf(table, values))
}

function cellsOf(table: Table, values: Values): Cell[] {
  return table.columns.map(({ name }) => {
    const value = values[name]
    return value === undefined || value === null ? null : bytesOf(JSON.stringify(value))
  })
}
