/** Changes as a source shows them that leaves columns out: key and changed columns only, or nothing but the key. */
import type { Change, Row, Table } from '../../src/change/change.ts'
import { packRow, unpackRow } from '../../src/change/row.ts'
import type { Random } from '../support/random.ts'

export function shorten(change: Change, random: Random): Change {
  const { table, committedAtMs, key } = change
  if (change.op === 'update' && random.next() < 0.3)
    return { table, committedAtMs, key, op: 'touch', before: undefined, after: undefined }
  if (change.op === 'update')
    return { ...change, before: keyOnly(table, change.before), after: without(change.after, table, random) }
  if (change.op === 'delete') return { ...change, before: keyOnly(table, change.before) }
  return change.op === 'insert' ? { ...change, after: without(change.after, table, random) } : change
}

function keyOnly(table: Table, row: Row): Row {
  return packRow(cellsOf(table, row).map((cell, at) => (table.key.includes(at) ? cell : undefined)))
}

function without(row: Row, table: Table, random: Random): Row {
  const isShown = (at: number): boolean => table.key.includes(at) || random.next() < 0.7
  return packRow(cellsOf(table, row).map((cell, at) => (isShown(at) ? cell : undefined)))
}

function cellsOf(table: Table, row: Row): ReturnType<typeof unpackRow> {
  return unpackRow(row, table.columns.length)
}
