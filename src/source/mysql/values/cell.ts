/** Cells of packed rows (change/row.ts) as they are written into records. */
import type { RecordsBuilder } from '../../../change/records.ts'
import { QUOTE } from './digits.ts'

/** What is read: the event's bytes up to `to`, and a view of the same bytes. */
export interface ImageBytes {
  readonly body: Buffer
  readonly view: DataView
  readonly to: number
}

/**
 * Writes the cell of the value that has `size` bytes at `at`, with its length code, and moves the builder on. False = it
 * wrote nothing, and the cell must be made as a string.
 */
export type CellWriter = (image: ImageBytes, at: number, size: number, builder: RecordsBuilder) => boolean

/** Writes a cell that was made as a string. */
export function writeCell(builder: RecordsBuilder, cell: string): void {
  const out = builder.room(cell.length + lengthCodeMax)
  let to = writeLength(out, builder.at, cell.length)
  if (cell.length > shortCell) to += out.write(cell, to, 'latin1')
  else for (let index = 0; index < cell.length; index++) out[to++] = cell.charCodeAt(index)
  builder.at = to
}

/** Writes the cell of SQL NULL. */
export function writeNull(builder: RecordsBuilder): void {
  builder.room(1)[builder.at++] = 0
}

/** Writes that the image does not show the column. */
export function writeAbsent(builder: RecordsBuilder): void {
  builder.room(1)[builder.at++] = 1
}

/** A short string is copied sooner by a loop than by a call of the runtime. */
const shortCell = 24
/** The most bytes of a length code: LEB128 of 32 bits. */
export const lengthCodeMax = 5

/** The code of a cell of so many bytes (change/row.ts); returns where the cell begins. */
export function writeLength(out: Buffer, at: number, length: number): number {
  let code = length + 2
  let to = at
  for (; code > 127; code = Math.floor(code / 128)) out[to++] = (code % 128) | 128
  out[to++] = code
  return to
}

/** The quotes around, and the length code in front of, what stands from two bytes behind the builder's place. */
export function closeQuoted(builder: RecordsBuilder, end: number): true {
  const { bytes, at } = builder
  bytes[at] = end - at + 2
  bytes[at + 1] = QUOTE
  bytes[end] = QUOTE
  builder.at = end + 1
  return true
}
