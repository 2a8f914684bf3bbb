/** Text and bytes of the binlog written straight into records: what `textCell` and `binaryCell` make as strings. */
import { isUtf8 } from 'node:buffer'
import type { RecordsBuilder } from '../../../change/records.ts'
import { charsetOf, decoderOf, holdsAscii } from './charset.ts'
import { QUOTE, ZERO } from './digits.ts'
import { lengthCodeMax, writeLength, type CellWriter, type ImageBytes } from './cell.ts'

/** For text in UTF-8, or in a set in which ASCII text has the same bytes; undefined for other sets. */
export function textWriter(collation: number | undefined): CellWriter | undefined {
  const charset = charsetOf(collation ?? 0) ?? 'utf8mb4'
  if (decoderOf(charset) === undefined) return writeText
  if (!holdsAscii(charset)) return undefined
  return (image, at, size, builder) => isAscii(image, at, size) && writeText(image, at, size, builder)
}

function isAscii({ body }: ImageBytes, at: number, size: number): boolean {
  let bits = 0
  for (let place = at; place < at + size; place++) bits |= body[place] ?? 0
  return bits < 128
}

/** Text in UTF-8: four bytes at a time where none of them is special, one character at a time elsewhere. */
function writeText(image: ImageBytes, at: number, size: number, builder: RecordsBuilder): boolean {
  if (size > shortText) return writeLongText(image, at, size, builder)
  const { body, view } = image
  const out = builder.room(escapeBytesMax * size + textExtra)
  const outView = builder.view
  const start = builder.at
  const end = at + size
  const width = size < oneByteText ? 1 : 2
  let to = start + width
  let place = at
  out[to++] = QUOTE
  while (place < end) {
    const word = place + 4 <= end ? view.getInt32(place, true) : special
    if (!isSpecial(word)) {
      outView.setInt32(to, word, true)
      place += 4
      to += 4
    } else if ((body[place] ?? 0) < 128) {
      to = writeCharacter(out, to, body[place++] ?? 0)
    } else {
      const next = sequenceEnd(body, place, end)
      if (next < 0) return false
      while (place < next) out[to++] = body[place++] ?? 0
    }
  }
  out[to++] = QUOTE
  builder.at = closeText(out, start, width, to)
  return true
}

const special = -1

/** Whether one of four bytes is beyond ASCII, a control character, a quote or a backslash. */
function isSpecial(word: number): boolean {
  const quote = word ^ 0x22222222
  const backslash = word ^ 0x5c5c5c5c
  // A byte from which 1 (or 32) cannot be taken borrows from its highest bit; a false alarm only costs time.
  const borrowed = (word - 0x20202020) | (quote - 0x01010101) | (backslash - 0x01010101)
  return ((borrowed | word) & 0x80808080) !== 0
}

/** Up to so many bytes, each is looked at and copied by itself. */
const shortText = 1000
/** What one byte of text becomes at most: `\u001f`. */
const escapeBytesMax = 6
/** What a cell of text has besides: two bytes of length code, two quotes. */
const textExtra = 4
/** Text of fewer bytes has a length code of one byte, unless it grows by escapes. */
const oneByteText = 124

/** The length code of a cell that stands behind the room left for it; returns the cell's end. */
function closeText(out: Buffer, start: number, width: number, end: number): number {
  const code = end - start - width + 2
  if (width === 1 && code > 127) {
    out.copyWithin(start + 2, start + 1, end)
    return closeText(out, start, 2, end + 1)
  }
  out[start] = width === 1 ? code : (code & 127) | 128
  if (width === 2) out[start + 1] = code >> 7
  return end
}

/** Only what needs no escape. */
function writeLongText({ body }: ImageBytes, at: number, size: number, builder: RecordsBuilder): boolean {
  const end = at + size
  let bits = 0
  for (let place = at; place < end; place++) {
    const byte = body[place] ?? 0
    bits |= byte
    if (SHAPES[byte] === escaped) return false
  }
  if (bits > 127 && !isUtf8(body.subarray(at, end))) return false
  const out = builder.room(size + lengthCodeMax + 2)
  let to = writeLength(out, builder.at, size + 2)
  out[to++] = QUOTE
  to += body.copy(out, to, at, end)
  out[to++] = QUOTE
  builder.at = to
  return true
}

const escaped = 1

/** Which bytes are escaped in a JSON string. */
const SHAPES = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 32 || byte === 34 || byte === 92 ? escaped : 0,
)

const BACKSLASH = 92

/** A character of ASCII. */
function writeCharacter(out: Buffer, at: number, byte: number): number {
  if (SHAPES[byte] !== escaped) {
    out[at] = byte
    return at + 1
  }
  out[at] = BACKSLASH
  const letter = ESCAPES[byte] ?? 0
  if (letter !== 0) {
    out[at + 1] = letter
    return at + 2
  }
  out[at + 1] = LETTER_U
  out[at + 2] = out[at + 3] = ZERO
  out[at + 4] = ZERO + (byte >> 4)
  out[at + 5] = (byte & 15) < 10 ? ZERO + (byte & 15) : LETTER_A - 10 + (byte & 15)
  return at + 6
}

const LETTER_U = 117
const LETTER_A = 97
/** The letters of the escapes that have one. */
const ESCAPES = new Uint8Array(128)
for (const [byte, letter] of [
  [8, 'b'],
  [9, 't'],
  [10, 'n'],
  [12, 'f'],
  [13, 'r'],
  [34, '"'],
  [92, '\\'],
] as const)
  ESCAPES[byte] = letter.charCodeAt(0)

/** Where the character of several bytes at `at` ends; -1 = it is none. */
function sequenceEnd(body: Buffer, at: number, end: number): number {
  const first = body[at] ?? 0
  const next = at + (LENGTHS[first] ?? 0)
  const second = body[at + 1] ?? 0
  if (next === at || next > end || second < (LEAST[first] ?? 0) || second > (MOST[first] ?? 0)) return -1
  return isContinued(body, at + 2, next) ? next : -1
}

function isContinued(body: Buffer, at: number, end: number): boolean {
  for (let place = at; place < end; place++) if (((body[place] ?? 0) & 0xc0) !== 0x80) return false
  return true
}

/** By the first byte of a character: how many it has, 0 = none begins so. */
const LENGTHS = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte < 0xc2 || byte > 0xf4) return 0
  return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
})
/** Its second byte: neither longer than needed, nor half of a pair, nor beyond the last character. */
const LEAST = new Uint8Array(256).fill(0x80)
const MOST = new Uint8Array(256).fill(0xbf)
LEAST[0xe0] = 0xa0
MOST[0xed] = 0x9f
LEAST[0xf0] = 0x90
MOST[0xf4] = 0x8f

/** Bytes as base64, filled up with zero bytes to `padTo`. */
export function binaryWriter(padTo: number): CellWriter {
  return ({ body }, at, size, builder) => {
    const length = Math.max(size, padTo)
    if (length > shortBinary) return false
    const out = builder.room(binaryBytesMax)
    const start = builder.at
    let to = start + 1
    out[to++] = QUOTE
    for (let index = 0; index < length; index += 3) {
      const left = length - index
      let bits = 0
      for (let next = index; next < index + 3; next++)
        bits = (bits << 8) | (next < size ? (body[at + next] ?? 0) : 0)
      out[to++] = SIXES[bits >> 18] ?? 0
      out[to++] = SIXES[(bits >> 12) & 63] ?? 0
      out[to++] = left > 1 ? (SIXES[(bits >> 6) & 63] ?? 0) : EQUALS
      out[to++] = left > 2 ? (SIXES[bits & 63] ?? 0) : EQUALS
    }
    out[to++] = QUOTE
    out[start] = to - start + 1
    builder.at = to
    return true
  }
}

/** Base64 of so many bytes has a length code of one byte. */
const shortBinary = 90
const binaryBytesMax = 128
const EQUALS = 61
const SIXES = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1')
