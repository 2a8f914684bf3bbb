/**
 * The values of a change event: one JSON text for each value, whichever way it was read. This file makes it from the
 * bytes of a row image; text-values.ts makes the same from a query's answer.
 *
 * | column                        | JSON                                                                             |
 * |-------------------------------|----------------------------------------------------------------------------------|
 * | TINYINT to BIGINT, BOOL       | number, all digits: `18446744073709551615`                                        |
 * | YEAR                          | number; `0` is the year 0000                                                      |
 * | DECIMAL                       | string, all digits of the scale: `"12.30"`                                        |
 * | FLOAT                         | number, the shortest that gives the same 32-bit float: `0.1`                      |
 * | DOUBLE                        | number, the shortest that gives the same double                                   |
 * | BIT                           | number, unsigned                                                                  |
 * | DATE                          | string `"2024-05-31"`; zeroes stay: `"0000-00-00"`, `"2024-00-00"`                |
 * | DATETIME(n)                   | string `"2024-05-31T12:34:56.789"`, n digits of a second, no zone                 |
 * | TIMESTAMP(n)                  | string `"2024-05-31T12:34:56.789Z"`, UTC; zero is `"0000-00-00T00:00:00Z"`        |
 * | TIME(n)                       | string `"-838:59:59.000"`                                                         |
 * | CHAR, VARCHAR, TEXT           | string, from any character set; a byte that is no character is U+FFFD             |
 * | BINARY, VARBINARY, BLOB       | string, base64; BINARY(n) with its padding                                        |
 * | ENUM                          | string, the label; `""` for the index 0 of an invalid value                       |
 * | SET                           | array of labels in the order of the definition                                    |
 * | JSON (MySQL)                  | the value, in the server's own text                                               |
 * | JSON (MariaDB)                | string: there it is a LONGTEXT, and its binlog says no more                       |
 * | VECTOR                        | array of numbers, each the shortest text of its 32-bit float                      |
 * | POINT to GEOMETRYCOLLECTION   | GeoJSON with `"srid"` beside it (geometry.ts)                                     |
 * | UUID, INET4, INET6 (MariaDB)  | string, the server's own text (fixed-bytes.ts)                                    |
 *
 * A COMPRESSED column (MariaDB) is what it is without that; generated and invisible columns are columns like any other.
 * SQL NULL is the null cell of row.ts, not a JSON text. Cells hold one character per UTF-8 byte.
 */
import { isUtf8 } from 'node:buffer'
import { Failure } from '../../../change/failure.ts'
import { bytesOf } from '../../../change/row.ts'
import type { TextDecode } from './charset.ts'
import {
  clockText,
  dayText,
  durationText,
  fractionText,
  openedDay,
  openedSeconds,
  twoDigits,
} from './temporal.ts'

/** The cell of text in UTF-8: `bytes` has one character per byte. */
export function textCell(bytes: string): string {
  if (!/[^ !#-[\]-\x7f]/.test(bytes)) return '"' + bytes + '"'
  if (!/[\x80-\xff]/.test(bytes)) return JSON.stringify(bytes)
  const buffer = Buffer.from(bytes, 'latin1')
  // Bytes above 127 need no escape, so JSON.stringify may take them for characters; they only must be whole ones.
  return JSON.stringify(isUtf8(buffer) ? bytes : bytesOf(buffer.toString('utf8')))
}

/** The cell of text in any other character set. */
export function decodedCell(bytes: Uint8Array, decode: TextDecode): string {
  return JSON.stringify(bytesOf(decode(bytes)))
}

/** The cell of bytes without a character set, filled up with zero bytes to `padTo`. */
export function binaryCell(body: Buffer, from: number, to: number, padTo: number): string {
  if (to - from >= padTo) return '"' + body.toString('base64', from, to) + '"'
  const filled = Buffer.alloc(padTo)
  body.copy(filled, 0, from, to)
  return '"' + filled.toString('base64') + '"'
}

export function signed64Cell(body: Buffer, at: number): string {
  const high = word(body, at + 4) | 0
  if (high >= -0x200000 && high < 0x200000) return '' + (high * 0x1_0000_0000 + (word(body, at) >>> 0))
  return body.readBigInt64LE(at).toString()
}

export function unsigned64Cell(body: Buffer, at: number): string {
  const high = word(body, at + 4) >>> 0
  if (high < 0x200000) return '' + (high * 0x1_0000_0000 + (word(body, at) >>> 0))
  return body.readBigUInt64LE(at).toString()
}

/** 32 bits, low byte first. */
function word(body: Buffer, at: number): number {
  return (
    (body[at] ?? 0) | ((body[at + 1] ?? 0) << 8) | ((body[at + 2] ?? 0) << 16) | ((body[at + 3] ?? 0) << 24)
  )
}

/** BIT: big-endian, as many bytes as its bits need. */
export function bitCell(body: Buffer, at: number, bytes: number): string {
  if (bytes <= 6) return String(body.readUIntBE(at, bytes))
  return BigInt('0x' + body.toString('hex', at, at + bytes)).toString()
}

/** Throws a Failure, `corrupt`, for what is no number: the servers store none such. */
export function doubleCell(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value)
  throw new Failure('corrupt', `a number that is ${value}`)
}

/** Any 32-bit float needs six to nine digits, except the very small ones, which are not as exact. */
export function floatCell(value: number): string {
  if (Number.isSafeInteger(value) && Math.abs(value) < 0x100_0000) return doubleCell(value)
  for (let digits = Math.abs(value) < 1.2e-38 ? 1 : 6; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits))
    if (Math.fround(shorter) === value) return String(shorter)
  }
  return doubleCell(Number(value.toPrecision(9)))
}

export function decimalCell(body: Buffer, at: number, precision: number, scale: number): string {
  return '"' + decimalText(body, at, precision, scale) + '"'
}

/**
 * DECIMAL: nine digits in four bytes, big-endian; what is left over, at the outer ends, in as few bytes as it needs. The
 * first bit is set for positive numbers, and all bits of a negative one are turned.
 */
export function decimalText(body: Buffer, at: number, precision: number, scale: number): string {
  const turn = ((body[at] ?? 0) & 0x80) === 0 ? 0xff : 0
  const whole = precision - scale
  // The sign's bit is in the first byte, whichever part of the decimal that is.
  const first = turn ^ 0x80
  const text = (turn === 0 ? '' : '-') + wholeText(body, at, whole, first)
  if (scale === 0) return text
  const point = at + digitBytes(whole)
  return text + '.' + fractionDigits(body, point, scale, whole === 0 ? first : turn)
}

function wholeText(body: Buffer, at: number, whole: number, first: number): string {
  let mask = first
  let place = at
  let text = ''
  for (let left = whole; left > 0;) {
    const digits = left % 9 || 9
    const bytes = DECIMAL_BYTES[digits] ?? 0
    const value = turned(body, place, bytes, mask)
    if (text !== '') text += padded(value, digits)
    else if (value !== 0) text = '' + value
    place += bytes
    left -= digits
    mask = (first & 0x7f) === 0 ? 0 : 0xff
  }
  return text === '' ? '0' : text
}

function fractionDigits(body: Buffer, at: number, scale: number, first: number): string {
  let mask = first
  let place = at
  let text = ''
  for (let left = scale; left > 0;) {
    const digits = left > 9 ? 9 : left
    const bytes = DECIMAL_BYTES[digits] ?? 0
    text += padded(turned(body, place, bytes, mask), digits)
    place += bytes
    left -= digits
    mask = (first & 0x7f) === 0 ? 0 : 0xff
  }
  return text
}

/** A big-endian number of 1 to 4 bytes; the first is changed by `mask`, the others by its lower bits' pattern. */
export function turned(body: Buffer, at: number, bytes: number, mask: number): number {
  const rest = (mask & 0x7f) === 0 ? 0 : 0xff
  let value = (body[at] ?? 0) ^ mask
  for (let index = 1; index < bytes; index++) value = value * 256 + ((body[at + index] ?? 0) ^ rest)
  return value
}

function padded(value: number, digits: number): string {
  return digits < 3 ? (digits === 2 ? twoDigits(value) : '' + value) : ('' + value).padStart(digits, '0')
}

/** How many bytes a DECIMAL takes. */
export function decimalBytes(precision: number, scale: number): number {
  return digitBytes(precision - scale) + digitBytes(scale)
}

function digitBytes(digits: number): number {
  return Math.floor(digits / 9) * 4 + (DECIMAL_BYTES[digits % 9] ?? 0)
}

/** DATE: 15 bits of year, 4 of month, 5 of day. */
export function dateCell(body: Buffer, at: number): string {
  const packed = (body[at] ?? 0) | ((body[at + 1] ?? 0) << 8) | ((body[at + 2] ?? 0) << 16)
  return '"' + dayText((((packed >> 9) * 13 + ((packed >> 5) & 15)) << 5) | (packed & 31)) + '"'
}

export function datetimeCell(body: Buffer, at: number, digits: number): string {
  const second = body[at + 2] ?? 0
  const day = (((body[at] ?? 0) & 127) << 15) | ((body[at + 1] ?? 0) << 7) | (second >> 1)
  const clock = ((second & 1) << 16) | ((body[at + 3] ?? 0) << 8) | (body[at + 4] ?? 0)
  if (digits === 0) return openedDay(day) + clockText(clock) + '"'
  return openedDay(day) + clockText(clock) + fraction(body, at + 5, digits) + '"'
}

export function timestampCell(body: Buffer, at: number, digits: number): string {
  const seconds = body.readUInt32BE(at)
  const text = seconds === 0 ? '"0000-00-00T00:00:00' : openedSeconds(seconds)
  return digits === 0 ? text + 'Z"' : text + fraction(body, at + 4, digits) + 'Z"'
}

/** TIME: hours, minutes, seconds and fraction are one number, moved up by half of its range so that it sorts. */
export function timeCell(body: Buffer, at: number, digits: number): string {
  const fractionBytes = (digits + 1) >> 1
  const unit = 256 ** fractionBytes
  const moved = body.readUIntBE(at, 3 + fractionBytes) - 0x80_0000 * unit
  const size = Math.abs(moved)
  const whole = Math.floor(size / unit)
  return `"${moved < 0 ? '-' : ''}${durationText(whole)}${fractionText(size - whole * unit, digits)}"`
}

/** Types of before MySQL 5.6, which remain in tables that were never rebuilt. */
export function oldTimestampCell(body: Buffer, at: number): string {
  const seconds = body.readUInt32LE(at)
  return seconds === 0 ? '"0000-00-00T00:00:00Z"' : openedSeconds(seconds) + 'Z"'
}

export function oldDatetimeCell(body: Buffer, at: number): string {
  const digits = body.readBigUInt64LE(at).toString().padStart(14, '0')
  return digits.replace(/^(.{4})(..)(..)(..)(..)(..)$/, '"$1-$2-$3T$4:$5:$6"')
}

export function oldTimeCell(body: Buffer, at: number): string {
  const value = body.readIntLE(at, 3)
  const digits = String(Math.abs(value)).padStart(6, '0')
  return `"${value < 0 ? '-' : ''}${digits.slice(0, -4)}:${digits.slice(-4, -2)}:${digits.slice(-2)}"`
}

/** The labels of a set's members, lowest bit first; `labels` are JSON texts. */
export function setCell(members: bigint, labels: readonly string[]): string {
  if (members >> BigInt(labels.length) > 0n)
    throw new Failure('corrupt', `a SET has ${labels.length} labels, a row has more`)
  let cell = ''
  for (let index = 0, rest = members; rest > 0n; index++, rest >>= 1n)
    if ((rest & 1n) === 1n) cell += (cell === '' ? '' : ',') + (labels[index] ?? '')
  return '[' + cell + ']'
}

/** VECTOR: 32-bit floats, little-endian. */
export function vectorCell(body: Buffer, from: number, to: number): string {
  if ((to - from) % 4 !== 0) throw new Failure('corrupt', `a VECTOR of ${to - from} bytes`)
  let cell = ''
  for (let at = from; at < to; at += 4) cell += (cell === '' ? '' : ',') + floatCell(body.readFloatLE(at))
  return '[' + cell + ']'
}

function fraction(body: Buffer, at: number, digits: number): string {
  let stored = body[at] ?? 0
  if (digits > 2) stored = (stored << 8) | (body[at + 1] ?? 0)
  if (digits > 4) stored = (stored << 8) | (body[at + 2] ?? 0)
  return fractionText(stored, digits)
}

const DECIMAL_BYTES: readonly number[] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4]
