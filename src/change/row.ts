/**
 * Packed rows. A row is one string in which each character stands for one byte, so that it goes to disk and into request
 * bodies by plain copying. Column after column:
 *
 *   length code, then that many bytes of JSON text in UTF-8
 *   0 = SQL NULL, 1 = absent (not in the image), n + 2 = n bytes of JSON text; LEB128, 7 bits a byte, low bits first
 *
 * The JSON text `null` inside a value (length 4) is a JSON null, which is not SQL NULL.
 */
import type { Writing } from './bytes.ts'
import type { Column, Key, Row, Table } from './change.ts'
import { Failure } from './failure.ts'
import { packNumber } from './packing.ts'

/** One column of a packed row: JSON text (one character per UTF-8 byte), null = SQL NULL, undefined = absent. */
export type Cell = string | null | undefined

export function packRow(cells: readonly Cell[]): Row {
  let packed = ''
  for (const cell of cells) packed += packCell(cell)
  return packed as Row
}

export function packCell(cell: Cell): string {
  if (cell === null) return '\u0000'
  if (cell === undefined) return '\u0001'
  return packNumber(cell.length + 2) + cell
}

/** Writes what goes before a cell of so many bytes, where there is room for it. */
export function packLength(bytes: number, into: Writing): void {
  let rest = bytes + 2
  for (; rest > 127; rest = Math.floor(rest / 128)) into.bytes[into.at++] = (rest % 128) | 128
  into.bytes[into.at++] = rest
}

/** The cells of a row. */
export function unpackRow(row: Row, count: number): Cell[] {
  const bytes = Buffer.from(row, 'latin1')
  const spans = new Int32Array(2 * count)
  findCells(bytes, 0, bytes.length, spans)
  return Array.from({ length: count }, (_, column) => cellAt(bytes, spans, column))
}

/**
 * Where the cells of a packed row lie in a buffer: two numbers for each column, its first byte and its end. The first is
 * `nullCell` or `absentCell` where there are no bytes. Writes to an array that the caller may use again, and returns
 * whether no column is absent.
 */
export function findCells(bytes: Buffer, from: number, to: number, spans: Int32Array): boolean {
  let at = from
  let whole = true
  for (let span = 0; span < spans.length; span += 2) {
    let code = bytes[at++] ?? 0
    for (let scale = 128, next = code; next > 127; scale *= 128) {
      next = bytes[at++] ?? 0
      code = (code % scale) + (next & 127) * scale + (next > 127 ? scale * 128 : 0)
    }
    spans[span] = code > 1 ? at : code === 0 ? nullCell : absentCell
    if (code > 1) at += code - 2
    else if (code === 1) whole = false
    spans[span + 1] = at
  }
  if (at !== to) throw new Failure('corrupt', `a packed row of ${to - from} bytes ends at byte ${at - from}`)
  return whole
}

export const nullCell = -1
export const absentCell = -2

/** The cell that `findCells` found for a column. */
export function cellAt(bytes: Buffer, spans: Int32Array, column: number): Cell {
  const from = spans[2 * column] ?? absentCell
  if (from < 0) return from === nullCell ? null : undefined
  return bytes.toString('latin1', from, spans[2 * column + 1])
}

/** The key of a row from its cells. */
export function keyOf(table: Table, cells: readonly Cell[]): Key {
  return keyFrom(table, (column) => cells[column])
}

/** The key of a row whose cells `findCells` found. */
export function keyAt(table: Table, bytes: Buffer, spans: Int32Array): Key {
  return keyFrom(table, (column) => cellAt(bytes, spans, column))
}

function keyFrom(table: Table, cellOf: (column: number) => Cell): Key {
  let key = '['
  for (let at = 0; at < table.key.length; at++) {
    const cell = cellOf(table.key[at] ?? -1)
    if (cell === undefined) throw new Failure('corrupt', `${table.name}: a key column is absent from the row`)
    key += (at === 0 ? '' : ',') + (cell ?? 'null')
  }
  return (key + ']') as Key
}

/** The cells of a key, in its order. */
export function keyCells(key: Key): Cell[] {
  const cells: Cell[] = []
  const end = key.length - 1
  for (let from = 1; from < end;) {
    const to = endOfElement(key, from, end)
    const text = key.slice(from, to)
    cells.push(text === 'null' ? null : text)
    from = to + 1
  }
  return cells
}

/** Where the element of a JSON array that begins at `from` ends: at a comma outside of strings and brackets, or at `end`. */
function endOfElement(text: string, from: number, end: number): number {
  let depth = 0
  for (let at = from; at < end; at++) {
    const sign = text[at]
    if (sign === '"') at = endOfString(text, at)
    else if (sign === '[') depth++
    else if (sign === ']') depth--
    else if (sign === ',' && depth === 0) return at
  }
  return end
}

function endOfString(text: string, from: number): number {
  let at = from + 1
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}

/** Text from bytes: undoes the one-character-per-byte form. */
export function textOf(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8')
}

/** Text to the one-character-per-byte form. */
export function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** A cell as a plain value for people and for filters; integers beyond 2^53 become bigint. */
export function valueOf(column: Column, cell: Cell): unknown {
  if (cell === null || cell === undefined) return cell
  if (column.kind === 'integer' && cell.length > 15) return BigInt(cell)
  return JSON.parse(textOf(cell))
}
