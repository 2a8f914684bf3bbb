/** Dates and times of the binlog written straight into records: what temporal.ts and values.ts make as strings. */
import type { RecordsBuilder } from '../../../change/records.ts'
import { MINUS, POINT, writePadded, writePair } from './digits.ts'
import { closeQuoted, type CellWriter, type ImageBytes } from './cell.ts'

/** The longest: `"2024-05-31T12:34:56.123456Z"` and its length code. */
const temporalBytesMax = 32
const DASH = 45
const COLON = 58
const LETTER_T = 84
const LETTER_Z = 90

export function writeDate({ body }: ImageBytes, at: number, _size: number, builder: RecordsBuilder): boolean {
  const packed = (body[at] ?? 0) | ((body[at + 1] ?? 0) << 8) | ((body[at + 2] ?? 0) << 16)
  if (packed >> 9 > yearMax) return false
  const out = builder.room(temporalBytesMax)
  const to = writeDay(out, builder.at + 2, packed >> 9, ((packed & 31) << 4) | ((packed >> 5) & 15))
  return closeQuoted(builder, to)
}

export function datetimeWriter(digits: number): CellWriter {
  return ({ body }, at, _size, builder) => {
    const second = body[at + 2] ?? 0
    const yearMonth = (((body[at] ?? 0) & 127) << 10) | ((body[at + 1] ?? 0) << 2) | (second >> 6)
    const clock = ((second & 1) << 16) | ((body[at + 3] ?? 0) << 8) | (body[at + 4] ?? 0)
    const fraction = fractionOf(body, at + 5, digits)
    const year = (yearMonth / 13) | 0
    if (year > yearMax || fraction < 0) return false
    const out = builder.room(temporalBytesMax)
    const monthDay = (((second >> 1) & 31) << 4) | (yearMonth - year * 13)
    let to = writeDay(out, builder.at + 2, year, monthDay)
    out[to++] = LETTER_T
    to = writeClock(out, to, clock)
    return closeQuoted(builder, writeFraction(out, to, fraction, digits))
  }
}

export function timestampWriter(digits: number): CellWriter {
  return ({ body, view }, at, _size, builder) => {
    const seconds = view.getUint32(at)
    const fraction = fractionOf(body, at + 4, digits)
    // The zero timestamp is no second of 1970.
    if (seconds === 0 || fraction < 0) return false
    const out = builder.room(temporalBytesMax)
    const days = Math.floor(seconds / 86_400)
    let to = writeDayOf(out, builder.at + 2, days)
    out[to++] = LETTER_T
    to = writeClock(out, to, clockOf(seconds - days * 86_400))
    to = writeFraction(out, to, fraction, digits)
    out[to++] = LETTER_Z
    return closeQuoted(builder, to)
  }
}

/** The number is moved up by half of its range so that it sorts; below that, with a fraction, it is left to the string. */
export function timeWriter(digits: number): CellWriter {
  return ({ body }, at, _size, builder) => {
    const moved = (((body[at] ?? 0) << 16) | ((body[at + 1] ?? 0) << 8) | (body[at + 2] ?? 0)) - 0x80_0000
    if (moved < 0 && digits > 0) return false
    const size = moved < 0 ? -moved : moved
    const fraction = fractionOf(body, at + 3, digits)
    const hours = size >> 12
    if (hours > hoursMax || fraction < 0) return false
    const out = builder.room(temporalBytesMax)
    let to = builder.at + 2
    if (moved < 0) out[to++] = MINUS
    to = hours < 100 ? writePair(out, to, hours) : writePadded(out, to, hours, 3)
    out[to++] = COLON
    to = writePair(out, to, (size >> 6) & 63)
    out[to++] = COLON
    to = writePair(out, to, size & 63)
    return closeQuoted(builder, writeFraction(out, to, fraction, digits))
  }
}

/** Broken rows can hold more. */
const yearMax = 9999
const hoursMax = 999

/** `monthDay`: the month in the lower four bits. */
function writeDay(out: Buffer, at: number, year: number, monthDay: number): number {
  let to = writePadded(out, at, year, 4)
  out[to++] = DASH
  to = writePair(out, to, monthDay & 15)
  out[to++] = DASH
  return writePair(out, to, monthDay >> 4)
}

/** The day that is so many days after 1970-01-01, of a year that begins in March, so that leap days come last. */
function writeDayOf(out: Buffer, at: number, days: number): number {
  const since = days + daysTo1970
  const ofCentury = since % daysOf400Years
  const century400 = (since / daysOf400Years) | 0
  const leaps = ((ofCentury / 1460) | 0) - ((ofCentury / 36_524) | 0) + ((ofCentury / 146_096) | 0)
  const year = ((ofCentury - leaps) / 365) | 0
  const ofYear = ofCentury - (365 * year + (year >> 2) - ((year / 100) | 0))
  const fromMarch = ((5 * ofYear + 2) / 153) | 0
  const day = ofYear - (((153 * fromMarch + 2) / 5) | 0) + 1
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
  return writeDay(out, at, year + century400 * 400 + (month < 3 ? 1 : 0), (day << 4) | month)
}

/** From 0000-03-01. */
const daysTo1970 = 719_468
const daysOf400Years = 146_097

/** Five bits of hours, six of minutes, six of seconds, as the binlog has them. */
function clockOf(seconds: number): number {
  const minutes = (seconds / 60) | 0
  const hours = (minutes / 60) | 0
  return (hours << 12) | ((minutes - hours * 60) << 6) | (seconds - minutes * 60)
}

function writeClock(out: Buffer, at: number, clock: number): number {
  let to = writePair(out, at, clock >> 12)
  out[to++] = COLON
  to = writePair(out, to, (clock >> 6) & 63)
  out[to++] = COLON
  return writePair(out, to, clock & 63)
}

/** The fraction as a number of so many digits; -1 = broken. It is stored as hundredths, ten-thousandths or millionths. */
function fractionOf(body: Buffer, at: number, digits: number): number {
  if (digits === 0) return 0
  let stored = body[at] ?? 0
  if (digits > 2) stored = (stored << 8) | (body[at + 1] ?? 0)
  if (digits > 4) stored = (stored << 8) | (body[at + 2] ?? 0)
  if (stored >= (LIMITS[digits] ?? 0)) return -1
  return (digits & 1) === 0 ? stored : (stored / 10) | 0
}

const LIMITS: readonly number[] = [0, 100, 100, 10_000, 10_000, 1_000_000, 1_000_000]

function writeFraction(out: Buffer, at: number, fraction: number, digits: number): number {
  if (digits === 0) return at
  out[at] = POINT
  return writePadded(out, at + 1, fraction, digits)
}
