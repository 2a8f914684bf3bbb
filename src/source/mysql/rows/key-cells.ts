/** Where the cells of a row's key stand among the records that are being made. */
import { copyBytes } from '../../../change/bytes.ts'
import type { RecordsBuilder } from '../../../change/records.ts'

const COMMA = 44
const OPENING = 91
const CLOSING = 93
const nullText = Buffer.from('null', 'latin1')

export class KeyCells {
  /** Of each cell, in key order: its first byte (-1 = SQL NULL, -2 = absent), and its end. */
  readonly #spans: Float64Array

  constructor(columns: number) {
    this.#spans = new Float64Array(2 * columns)
  }

  /** The cell at `index` was just written, with its length code, from `start` to the builder's place. */
  is(index: number, start: number, { bytes, at }: RecordsBuilder): void {
    let from = start
    while ((bytes[from] ?? 0) > 127) from++
    this.#spans[2 * index] = from + 1
    this.#spans[2 * index + 1] = at
  }

  isNull(index: number): void {
    this.#spans[2 * index] = this.#spans[2 * index + 1] = -1
  }

  isAbsent(index: number): void {
    this.#spans[2 * index] = this.#spans[2 * index + 1] = -2
  }

  get isWhole(): boolean {
    return !this.#spans.includes(-2)
  }

  /** Cells that are absent did not change: they are those of the key before. */
  fill(before: KeyCells): void {
    for (const [span, from] of this.#spans.entries())
      if (from === -2) this.#spans[span] = before.#spans[span] ?? from
  }

  /** Whether another key, of a row in the same records, is the same. */
  equals(other: KeyCells, bytes: Buffer): boolean {
    for (let span = 0; span < this.#spans.length; span += 2) {
      const from = this.#spans[span] ?? -1
      const otherFrom = other.#spans[span] ?? -1
      const length = (this.#spans[span + 1] ?? -1) - from
      if (from < 0 !== otherFrom < 0 || length !== (other.#spans[span + 1] ?? -1) - otherFrom) return false
      for (let at = 0; at < length; at++) if (bytes[from + at] !== bytes[otherFrom + at]) return false
    }
    return true
  }

  /** Writes the key: the text of a JSON array. */
  write(builder: RecordsBuilder): void {
    const spans = this.#spans
    let needed = 2
    for (let span = 0; span < spans.length; span += 2)
      needed += (spans[span + 1] ?? 0) - (spans[span] ?? 0) + nullText.length + 1
    const out = builder.room(needed)
    for (let span = 0; span < spans.length; span += 2) {
      out[builder.at++] = span === 0 ? OPENING : COMMA
      const from = spans[span] ?? -1
      if (from < 0) copyBytes(nullText, 0, nullText.length, builder)
      else copyBytes(out, from, spans[span + 1] ?? 0, builder)
    }
    out[builder.at++] = CLOSING
  }
}
