/**
 * Columns that leave this room unreadable: each value's cell is replaced where it is decoded, from the binlog and from
 * queries alike, and the column is described as what is left of it.
 *
 *   hash:1f0c22ab   a keyed digest, the same for the same value: it can be found and counted, and not read
 *   truncate:3      the first characters of a text
 *   drop            nothing: the column is left out
 */
import { createHmac } from 'node:crypto'
import type { Column } from '../../../change/change.ts'
import { parseDigits } from '../../../change/exact-json.ts'
import { Failure } from '../../../change/failure.ts'
import { bytesOf, textOf } from '../../../change/row.ts'
import { describeColumn, type ColumnType } from '../values/column-type.ts'
import type { MysqlSettings } from '../server/connection.ts'

/** What becomes of one column. */
export interface Mask {
  /** As the configuration names it. */
  readonly name: string
  /** From the cell that the column has to the one that leaves. */
  readonly cell: (cell: string) => string
}

/** The masks of a table, by column. */
export type Masks = ReadonlyMap<string, Mask>

export const noMasks: Masks = new Map()

/** What the settings say of a table's columns. */
export function hiddenColumns(
  { excluded, masks, maskKey = '' }: Pick<MysqlSettings, 'excluded' | 'masks' | 'maskKey'>,
  table: string,
): { readonly excluded: ReadonlySet<string>; readonly masks: Masks } {
  const own = Object.entries(masks?.[table] ?? {})
  const dropped = own.filter(([, name]) => name === 'drop').map(([column]) => column)
  return {
    excluded: new Set([...(excluded?.[table] ?? []), ...dropped]),
    masks: new Map(
      own
        .filter(([, name]) => name !== 'drop')
        .map(([column, name]) => [column, { name, cell: maskingOf(name, maskKey) }]),
    ),
  }
}

/** The column as it leaves. Throws a Failure, `configuration`, where values of its type cannot be masked that way. */
export function maskedColumn(
  table: string,
  { name, nullable }: Pick<Column, 'name' | 'nullable'>,
  type: ColumnType,
  mask: Mask | undefined,
): Column {
  const column = describeColumn(name, nullable, type)
  if (mask === undefined) return column
  if (mask.name.startsWith('hash:')) return { ...describeColumn(name, nullable, digest), mask: mask.name }
  if (type.kind === 'string' || type.kind === 'text') return { ...column, mask: mask.name }
  throw new Failure('configuration', `masks.${name}: ${table}.${name} (${column.type}) cannot be truncated`, {
    remedy: 'only texts can: take hash, or drop',
  })
}

/**
 * Throws a Failure, `configuration`, where a column that is to be masked is not among the table's: under another name it
 * would leave as it is.
 */
export function demandMasked(table: string, masks: Masks, names: readonly string[]): void {
  const missing = [...masks.keys()].find((column) => !names.includes(column))
  if (missing === undefined) return
  throw new Failure('configuration', `${table} has no column ${missing}, which is to be masked`, {
    remedy: `if it was renamed, mask it under its new name; if it was dropped, take it out of masks in the pipeline file`,
  })
}

/** A masked key would be one in documents' ids, and another where the row is read by it. */
export function demandPlainKey(table: string, key: readonly string[], masks: Masks): void {
  const masked = key.find((column) => masks.has(column))
  if (masked === undefined) return
  throw new Failure('configuration', `masks.${masked}: ${table}.${masked} is part of the key`, {
    remedy: 'the key finds the rows, so it cannot be masked: give the table another one',
  })
}

const digest: ColumnType = { kind: 'string', fixed: true, characters: 64 }

function maskingOf(name: string, key: string): Mask['cell'] {
  const [kind, length] = name.split(':')
  if (kind === 'hash') return (cell) => `"${createHmac('sha256', key).update(cell, 'latin1').digest('hex')}"`
  return (cell) => truncated(cell, Number(length))
}

function truncated(cell: string, length: number): string {
  const text = String(parseDigits(textOf(cell)))
  return bytesOf(JSON.stringify(Array.from(text).slice(0, length).join('')))
}
