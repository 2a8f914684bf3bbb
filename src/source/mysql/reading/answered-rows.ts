/**
 * The rows of an answer, packed one behind the other in one buffer: of the thousands that documents are made from, nothing
 * else need be kept.
 *
 *   row (change/row.ts), then a packed cell for each weight that was selected behind the columns
 */
import type { Key, Table } from '../../../change/change.ts'
import { copyBytes } from '../../../change/bytes.ts'
import { GrowingBytes } from '../../../change/growing-bytes.ts'
import { cellAt, findCells, keyAt, packLength } from '../../../change/row.ts'
import type { RelatedRow } from '../../source.ts'
import type { ColumnType } from '../values/column-type.ts'
import type { TableShape } from '../schema/describe.ts'
import { RawValues } from './raw-answer.ts'
import { shortcutOf, type Shortcut, type TextFormat } from '../values/text-values.ts'

/** What a row is compared by with those that it belongs to. */
export interface Mark {
  readonly at: number
  readonly kind: ColumnType['kind']
  /** What to select to compare the values as the server does; undefined = the cell will do. */
  readonly weight: string | undefined
}

export class AnsweredRows {
  readonly rows: RelatedRow[] = []
  readonly #packed: GrowingBytes
  readonly #parts: Parts
  readonly #formats: readonly TextFormat[]
  readonly #shortcuts: readonly Shortcut[]

  /** `rowsUsual`: so many are expected. */
  constructor({ table, formats }: TableShape, marks: readonly Mark[], rowsUsual: number) {
    this.#packed = new GrowingBytes(Math.min(rowsUsual * rowBytesUsual, bytesAtFirstMax))
    this.#formats = formats
    this.#shortcuts = formats.map(shortcutOf)
    const weighed = marks.filter(({ weight }) => weight !== undefined)
    this.#parts = {
      packed: this.#packed,
      table,
      marks: marks.map((mark) => ({ ...mark, weightAt: weighed.indexOf(mark) })),
      spans: new Int32Array(2 * table.columns.length),
      weightSpans: new Int32Array(2 * weighed.length),
    }
  }

  /** A row as rawRows gives it. */
  take(bytes: Buffer, from: number, to: number): void {
    const into = this.#packed
    const start = into.at
    // Most texts grow by no more than their quotes, and one that does makes its own room.
    into.room(2 * (to - from))
    const values = new RawValues(bytes, from, to)
    for (let column = 0; column < this.#formats.length && values.next(); column++)
      this.#takeValue(values, column)
    const rowEnd = into.at
    while (values.next()) pack(values, 'digits', into)
    this.rows.push(new AnsweredRow(this.#parts, start, rowEnd, into.at))
  }

  #takeValue(values: RawValues, column: number): void {
    const shortcut = this.#shortcuts[column]
    if (values.from < 0 || fits(values, shortcut)) pack(values, shortcut, this.#packed)
    else this.#format(values.text() ?? '', column)
  }

  #format(text: string, column: number): void {
    const into = this.#packed
    const cell = this.#formats[column]?.(text) ?? ''
    into.room(lengthBytesMax + cell.length)
    packLength(cell.length, into)
    into.write(cell)
  }
}

interface Parts {
  readonly packed: GrowingBytes
  readonly table: Table
  /** And the place of its weight among those that were selected; -1 = it has none. */
  readonly marks: readonly (Mark & { readonly weightAt: number })[]
  readonly spans: Int32Array
  readonly weightSpans: Int32Array
}

class AnsweredRow implements RelatedRow {
  readonly #parts: Parts
  readonly from: number
  readonly to: number
  /** Its weights end here. */
  readonly #end: number

  constructor(parts: Parts, from: number, to: number, end: number) {
    this.#parts = parts
    this.from = from
    this.to = to
    this.#end = end
  }

  get bytes(): Buffer {
    return this.#parts.packed.bytes
  }

  get key(): Key {
    const { table, spans, packed } = this.#parts
    findCells(packed.bytes, this.from, this.to, spans)
    return keyAt(table, packed.bytes, spans)
  }

  mark(place: number): string | undefined {
    const { marks, spans, weightSpans, packed } = this.#parts
    const mark = marks[place]
    if (mark === undefined) return undefined
    if (mark.weightAt >= 0) {
      findCells(packed.bytes, this.to, this.#end, weightSpans)
      return cellAt(packed.bytes, weightSpans, mark.weightAt) ?? undefined
    }
    findCells(packed.bytes, this.from, this.to, spans)
    const cell = cellAt(packed.bytes, spans, mark.at) ?? undefined
    return mark.kind === 'decimal' ? cell?.replace(/\.?0*"$/, '"') : cell
  }
}

/** Whether the value's own bytes are its cell, apart from quotes. */
function fits({ bytes, from, to }: RawValues, shortcut: Shortcut): boolean {
  if (shortcut === 'digits') return bytes[from] !== zero || to - from === 1
  if (shortcut === undefined) return false
  for (let at = from; at < to; at++) {
    const byte = bytes[at] ?? 0
    if (byte < space || byte > asciiMax || byte === quote || byte === backslash) return false
  }
  return true
}

/** Writes the value as it is. */
function pack({ bytes, from, to }: RawValues, shortcut: Shortcut, into: GrowingBytes): void {
  into.room(lengthBytesMax + to - from + 2)
  if (from < 0) {
    into.bytes[into.at++] = 0
    return
  }
  const quotes = shortcut === 'characters' ? 2 : 0
  packLength(to - from + quotes, into)
  if (quotes > 0) into.bytes[into.at++] = quote
  copyBytes(bytes, from, to, into)
  if (quotes > 0) into.bytes[into.at++] = quote
}

const [zero, space, quote, backslash, asciiMax] = [48, 32, 34, 92, 127]
const lengthBytesMax = 8
const rowBytesUsual = 96
const bytesAtFirstMax = 1 << 20
