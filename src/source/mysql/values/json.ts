/**
 * MySQL's binary JSON, written out as the server writes it: `{"a": [1, 2.0, null]}`.
 *
 *   value   = type byte, content
 *   object  = count, size, count × (key place, key length), count × (type, place or small content), keys, values
 *   array   = count, size, count × (type, place or small content), values
 *
 * Counts, sizes and places have two bytes in small containers and four in large ones; places count from the container's
 * first byte after its type.
 */
import { Failure } from '../../../change/failure.ts'
import { dayText, durationText } from './temporal.ts'
import { decimalBytes, decimalText, signed64Cell, textCell, unsigned64Cell } from './values.ts'

/**
 * The JSON text, one character per UTF-8 byte. `bareDoubles`: whole doubles stand without a point, as MySQL 5.7 shows them.
 * Throws a Failure, `corrupt`, for bytes that break the format.
 */
export function jsonCell(body: Buffer, from: number, to: number, bareDoubles = false): string {
  // The server stores nothing for a column that was added NOT NULL to rows that were there, and shows null.
  if (from === to) return 'null'
  return valueText({ body, to, depth: 0, bareDoubles }, body[from] ?? 0, from + 1)
}

/**
 * A double as MySQL prints it: with an exponent where zeroes would have to fill more than 15 digits before the point, or
 * 14 behind it; plain otherwise, with a point always.
 */
export function doubleText(value: number): string {
  if (Object.is(value, -0)) return '-0.0'
  const [mantissa = '', exponent = '0'] = Math.abs(value).toExponential().split('e')
  const digits = mantissa.replace('.', '')
  const sign = value < 0 ? '-' : ''
  const point = value === 0 ? 1 : Number(exponent) + 1
  if (point < -14 || (point > 15 && digits.length <= point)) {
    const rest = digits.length > 1 ? '.' + digits.slice(1) : ''
    return `${sign}${digits[0]}${rest}e${point - 1}`
  }
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (point >= digits.length) return `${sign}${digits.padEnd(point, '0')}.0`
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

/** A document, or a container in it, that is being read. */
export interface Reading {
  readonly body: Buffer
  /** Nothing of the document lies at or after this. */
  readonly to: number
  readonly depth: number
  readonly bareDoubles?: boolean | undefined
}

export const SMALL_OBJECT = 0
export const LARGE_OBJECT = 1
export const SMALL_ARRAY = 2
export const LARGE_ARRAY = 3
export const LITERAL = 4
export const INT16 = 5
export const UINT16 = 6
export const INT32 = 7
export const UINT32 = 8
export const INT64 = 9
export const UINT64 = 10
export const DOUBLE = 11
export const STRING = 12
export const OPAQUE = 15
/** The server refuses deeper documents. */
const DEPTH_MAX = 100

function valueText(reading: Reading, type: number, at: number): string {
  const { body } = reading
  switch (type) {
    case SMALL_OBJECT:
    case LARGE_OBJECT:
    case SMALL_ARRAY:
    case LARGE_ARRAY:
      return containerText(reading, type, at)
    case STRING: {
      const [length, begin] = lengthAt(reading, at)
      return textCell(body.toString('latin1', begin, need(reading, begin, length)))
    }
    case INT64:
      need(reading, at, 8)
      return signed64Cell(body, at)
    case UINT64:
      need(reading, at, 8)
      return unsigned64Cell(body, at)
    case DOUBLE:
      need(reading, at, 8)
      return doubleOf(reading, at)
    case OPAQUE:
      return opaqueText(reading, at)
    default:
      return smallText(reading, type, at)
  }
}

function doubleOf({ body, bareDoubles }: Reading, at: number): string {
  const text = doubleText(body.readDoubleLE(at))
  return bareDoubles === true && text.endsWith('.0') ? text.slice(0, -2) : text
}

function smallText(reading: Reading, type: number, at: number): string {
  const { body } = reading
  need(reading, at, type === INT32 || type === UINT32 ? 4 : type === LITERAL ? 1 : 2)
  switch (type) {
    case LITERAL: {
      const literal = LITERALS[body[at] ?? 3]
      if (literal === undefined) throw corrupt(`literal ${body[at]}`)
      return literal
    }
    case INT16:
      return String(body.readInt16LE(at))
    case UINT16:
      return String(body.readUInt16LE(at))
    case INT32:
      return String(body.readInt32LE(at))
    case UINT32:
      return String(body.readUInt32LE(at))
    default:
      throw corrupt(`type ${type}`)
  }
}

const LITERALS = ['null', 'true', 'false']

function containerText(reading: Reading, type: number, at: number): string {
  const { body } = reading
  if (reading.depth === DEPTH_MAX) throw corrupt(`more than ${DEPTH_MAX} levels`)
  const width = type === SMALL_OBJECT || type === SMALL_ARRAY ? 2 : 4
  need(reading, at, 2 * width)
  const count = body.readUIntLE(at, width)
  const end = need(reading, at, body.readUIntLE(at + width, width))
  const within: Reading = { ...reading, to: end, depth: reading.depth + 1 }
  const entriesAt = at + 2 * width
  const members: string[] = []
  if (type === SMALL_ARRAY || type === LARGE_ARRAY) {
    need(within, entriesAt, count * (1 + width))
    for (let index = 0; index < count; index++)
      members.push(entryText(within, at, entriesAt + index * (1 + width), width))
    return `[${members.join(', ')}]`
  }
  const valuesAt = entriesAt + count * (width + 2)
  need(within, valuesAt, count * (1 + width))
  for (let index = 0; index < count; index++) {
    const key = keyText(within, at, entriesAt + index * (width + 2), width)
    members.push(`${key}: ${entryText(within, at, valuesAt + index * (1 + width), width)}`)
  }
  return `{${members.join(', ')}}`
}

/** `entry` is where the type is, followed by a small value itself or by the place of a larger one. */
function entryText(within: Reading, at: number, entry: number, width: number): string {
  const { body } = within
  const type = body[entry] ?? 0
  const isInline = type >= LITERAL && type <= (width === 2 ? UINT16 : UINT32)
  return valueText(within, type, isInline ? entry + 1 : at + body.readUIntLE(entry + 1, width))
}

/** `entry` is where the place and the length of the key are, `at` what the place counts from. */
function keyText(within: Reading, at: number, entry: number, width: number): string {
  const from = at + within.body.readUIntLE(entry, width)
  const to = need(within, from, within.body.readUInt16LE(entry + width))
  return textCell(within.body.toString('latin1', from, to))
}

/** A value of an SQL type that JSON lacks: decimals are numbers, dates and times strings, the rest base64. */
function opaqueText(reading: Reading, at: number): string {
  const { body } = reading
  const type = body[at] ?? 0
  const [length, begin] = lengthAt(reading, at + 1)
  const end = need(reading, begin, length)
  const isTemporal = type === 7 || (type >= 10 && type <= 12)
  if (isTemporal && length === 8) return `"${temporalText(type, body.readBigInt64LE(begin))}"`
  if (type === 246 && length >= 2) {
    const precision = body[begin] ?? 0
    const scale = body[begin + 1] ?? 0
    if (scale > precision || begin + 2 + decimalBytes(precision, scale) > end) throw corrupt('a decimal')
    return decimalText(body, begin + 2, precision, scale)
  }
  const base64 = body.toString('base64', begin, end).replace(/.{76}(?=.)/g, '$&\\n')
  return `"base64:type${type}:${base64}"`
}

/** Date in the upper bits, 17 bits of clock, 24 of microseconds; TIME has 10 bits of hours and a sign. */
function temporalText(type: number, packed: bigint): string {
  const size = packed < 0n ? -packed : packed
  const micros = String(Number(size & 0xff_ffffn)).padStart(6, '0')
  const whole = Number(size >> 24n)
  if (type === 11) return `${packed < 0n ? '-' : ''}${durationText(whole)}.${micros}`
  const date = dayText(Math.floor(whole / 0x2_0000))
  return type === 10 ? date : `${date} ${durationText(whole % 0x2_0000)}.${micros}`
}

/** A length, seven bits a byte, low bits first, and where it ends. */
export function lengthAt(reading: Reading, at: number): [length: number, next: number] {
  let length = 0
  for (let index = 0; index < 5; index++) {
    need(reading, at + index, 1)
    const byte = reading.body[at + index] ?? 0
    length += (byte & 127) * 128 ** index
    if (byte < 128) return [length, at + index + 1]
  }
  throw corrupt('a length')
}

/** The end of `bytes` bytes from `at`, which must lie inside. */
export function need(reading: Reading, at: number, bytes: number): number {
  if (at + bytes > reading.to) throw corrupt('a value that ends outside')
  return at + bytes
}

export function corrupt(what: string): Failure {
  return new Failure('corrupt', `binary JSON with ${what}`)
}
