/** Definitions of tables by a fingerprint, so that every reader of a record finds the one it was written under. */
import { createHash } from 'node:crypto'
import type { Column, Table } from '../../change/change.ts'

const known = new WeakMap<Table, string>()

/** Sixteen hexadecimal digits; equal for equal definitions. */
export function fingerprintOf(table: Table): string {
  const made = known.get(table)
  if (made !== undefined) return made
  const fingerprint = createHash('sha256').update(tableText(table)).digest('hex').slice(0, 16)
  known.set(table, fingerprint)
  return fingerprint
}

/** The definition as JSON, the same for equal ones. */
export function tableText({ name, columns, key }: Table): string {
  return JSON.stringify({ name, columns: columns.map(columnText), key })
}

function columnText(column: Column): Record<string, unknown> {
  const { name, kind, type, nullable, unsigned, length, precision, scale, mask } = column
  return { name, kind, type, nullable, unsigned, length, precision, scale, mask }
}

export function parseTable(text: string): Table {
  return JSON.parse(text) as Table
}
