/** Numbers of the binlog written straight into records. */
import type { RecordsBuilder } from '../../../change/records.ts'
import { closeQuoted, type CellWriter, type ImageBytes } from './cell.ts'
import { MINUS, POINT, writeNumber, writePadded, ZERO } from './digits.ts'
import { turned } from './values.ts'

/** Up to 32 bits. */
export function integerWriter(bytes: number, unsigned: boolean): CellWriter {
  // The sign is carried up by moving the value to the top of 32 bits and back.
  const shift = 32 - 8 * bytes
  return ({ body, view }, at, _size, builder) => {
    let bits = 0
    if (bytes === 4) bits = view.getInt32(at, true)
    else for (let index = 0; index < bytes; index++) bits |= (body[at + index] ?? 0) << (8 * index)
    writeInteger(builder, unsigned ? bits >>> 0 : (bits << shift) >> shift)
    return true
  }
}

/** Where a number holds the value: 2^53 and more is rare. */
export function longWriter(unsigned: boolean): CellWriter {
  return ({ view }, at, _size, builder) => {
    const high = unsigned ? view.getUint32(at + 4, true) : view.getInt32(at + 4, true)
    if (high >= 0x20_0000 || high < -0x20_0000) return false
    writeInteger(builder, high * 0x1_0000_0000 + view.getUint32(at, true))
    return true
  }
}

/** A safe integer. */
function writeInteger(builder: RecordsBuilder, value: number): void {
  const out = builder.room(numberBytesMax)
  const start = builder.at
  let to = start + 1
  if (value < 0) out[to++] = MINUS
  to = writeNumber(out, to, value < 0 ? -value : value)
  out[start] = to - start + 1
  builder.at = to
}

/** A safe integer with sign, point and length code. */
const numberBytesMax = 24

export function writeDouble(
  { view }: ImageBytes,
  at: number,
  _size: number,
  builder: RecordsBuilder,
): boolean {
  const value = view.getFloat64(at, true)
  const scaled = Math.abs(value) * 10_000
  // Of decimals with at most 15 digits each has a double of its own: where this one is that of a short decimal, that
  // is its shortest text.
  if (!(scaled < 1e15) || scaled !== Math.floor(scaled) || scaled / 10_000 !== Math.abs(value)) return false
  return writeScaled(builder, value, scaled)
}

/** The same for floats, which hold six digits. */
export function writeFloat(
  { view }: ImageBytes,
  at: number,
  _size: number,
  builder: RecordsBuilder,
): boolean {
  const value = view.getFloat32(at, true)
  const scaled = Math.round(Math.abs(value) * 10_000)
  if (!(scaled < 1e6) || Math.fround(scaled / 10_000) !== Math.abs(value)) return false
  return writeScaled(builder, value, scaled)
}

/** A number that counts ten-thousandths, without zeros at its end. */
function writeScaled(builder: RecordsBuilder, value: number, scaled: number): boolean {
  if (Object.is(value, -0)) return false
  const out = builder.room(numberBytesMax)
  const start = builder.at
  let to = start + 1
  if (value < 0) out[to++] = MINUS
  const whole = Math.floor(scaled / 10_000)
  to = writeNumber(out, to, whole)
  const fraction = scaled - whole * 10_000
  if (fraction > 0) {
    out[to] = POINT
    to = writePadded(out, to + 1, fraction, 4)
    while (out[to - 1] === ZERO) to--
  }
  out[start] = to - start + 1
  builder.at = to
  return true
}

/** See `decimalText` in values.ts for the form. */
export function decimalWriter(precision: number, scale: number): CellWriter {
  const wholeGroups = groupsOf(precision - scale).toReversed()
  const groups = [...wholeGroups, ...groupsOf(scale)]
  const pointBefore = groups[wholeGroups.length]
  return ({ body }, at, _size, builder) => {
    const isNegative = ((body[at] ?? 0) & 0x80) === 0
    const out = builder.room(decimalBytesMax)
    const first = builder.at + (isNegative ? 3 : 2)
    // The sign's bit is in the first byte, whichever group that is.
    let mask = isNegative ? 0x7f : 0x80
    let place = at
    let to = first
    let isFraction = false
    for (const group of groups) {
      const value = turned(body, place, group.bytes, mask)
      if (value >= group.limit) return false
      if (group === pointBefore) {
        isFraction = true
        to = writePoint(out, to, first)
      }
      if (isFraction || to > first) to = writePadded(out, to, value, group.digits)
      else if (value > 0) to = writeNumber(out, to, value)
      mask = isNegative ? 0xff : 0
      place += group.bytes
    }
    if (to === first) out[to++] = ZERO
    // Where there is no sign, the opening quote takes this place.
    out[first - 1] = MINUS
    return closeQuoted(builder, to)
  }
}

/** The point, and a zero before it where nothing else is. */
function writePoint(out: Buffer, at: number, first: number): number {
  let to = at
  if (to === first) out[to++] = ZERO
  out[to++] = POINT
  return to
}

interface DigitGroup {
  readonly digits: number
  readonly bytes: number
  /** Broken rows can hold as much or more. */
  readonly limit: number
}

/** Digits in groups of nine, what is left over last. */
function groupsOf(digits: number): DigitGroup[] {
  const groups: DigitGroup[] = []
  for (let left = digits; left > 0; left -= 9) {
    const some = Math.min(left, 9)
    groups.push({ digits: some, bytes: Math.ceil((4 * some) / 9), limit: 10 ** some })
  }
  return groups
}

/** 65 digits, sign, zero, point, quotes, length code. */
const decimalBytesMax = 72
