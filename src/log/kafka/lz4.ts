/**
 * Unpacks what lz4 packed, into a buffer that can be used again: of the client library each batch costs two copies and
 * a buffer for the garbage.
 *
 *   frame     magic 4 · flags 1 · size of blocks 1 · (content size 8) · (dictionary 4) · checksum 1 · blocks · zeros 4 ·
 *             (checksum 4)
 *   block     length 4, whose highest bit says that it is not packed · bytes · (checksum 4)
 *   sequence  token 1: how many literals and how much of what came before · more lengths, literals, distance 2, more
 *             lengths; the last one ends with its literals
 *
 * Checksums are passed over: a batch of records has its own.
 */
import { Failure } from '../../change/failure.ts'
import type { SpareBuffers } from './spare-buffers.ts'

/** The content of a frame. Throws a Failure of kind `corrupt`, or `unsupported` where it needs a dictionary. */
export function unpackLz4(frame: Buffer, spare: SpareBuffers): Buffer {
  const { blocksAt, hasBlockChecksums } = headOf(frame)
  const into = new Unpacked(spare)
  for (let at = blocksAt; ;) {
    if (at + 4 > frame.length) throw cutShort()
    const head = frame.readUInt32LE(at)
    if (head === 0) return into.finish()
    const end = at + 4 + (head & lengthMask)
    if (end > frame.length) throw cutShort()
    if (head > lengthMask) into.store(frame, at + 4, end)
    else into.unpack(frame, at + 4, end)
    at = end + (hasBlockChecksums ? 4 : 0)
  }
}

function headOf(frame: Buffer): { readonly blocksAt: number; readonly hasBlockChecksums: boolean } {
  const flags = frame[4] ?? 0
  if (frame.length < 7 || frame.readUInt32LE(0) !== magic || flags >> 6 !== 1)
    throw corrupt('is no frame of lz4')
  if ((flags & dictionaryFlag) !== 0)
    throw new Failure('unsupported', 'a batch of records needs a dictionary of lz4')
  return {
    blocksAt: 7 + ((flags & contentSizeFlag) === 0 ? 0 : 8),
    hasBlockChecksums: (flags & blockChecksumFlag) !== 0,
  }
}

const magic = 0x184d_2204
const blockChecksumFlag = 16
const contentSizeFlag = 8
const dictionaryFlag = 1
const lengthMask = 0x7fff_ffff

class Unpacked {
  readonly #spare: SpareBuffers
  #bytes: Buffer
  #view: DataView
  #at = 0
  /** The block that is unpacked, and what comes next of it. */
  #from: Buffer = Buffer.alloc(0)
  #next = 0

  constructor(spare: SpareBuffers) {
    this.#spare = spare
    this.#bytes = spare.take(0)
    this.#view = viewOf(this.#bytes)
  }

  /** Content that is much smaller than a buffer gets one of its own: many of them may wait. */
  finish(): Buffer {
    const content = this.#bytes.subarray(0, this.#at)
    if (2 * this.#at >= this.#bytes.length) return content
    const own = Buffer.from(content)
    this.#spare.give(content)
    return own
  }

  store(from: Buffer, at: number, end: number): void {
    this.#room(end - at)
    this.#at += from.copy(this.#bytes, this.#at, at, end)
  }

  /** Blocks may go back to what those before them held. */
  unpack(from: Buffer, begin: number, end: number): void {
    this.#from = from
    this.#next = begin
    while (this.#next < end) {
      const token = from[this.#next++] ?? 0
      const literals = this.#length(token >> 4)
      if (this.#next + literals > end) throw cutShort()
      if (literals > 0) this.#literals(literals)
      if (this.#next === end) return
      const distance = (from[this.#next++] ?? 0) | ((from[this.#next++] ?? 0) << 8)
      const length = this.#length(token & 15) + shortestMatch
      if (this.#next > end) throw cutShort()
      if (distance === 0 || distance > this.#at) throw corrupt('goes back too far')
      this.#again(distance, length)
    }
  }

  /** Where four bits do not hold it, bytes follow, up to the first one that is not full. */
  #length(bits: number): number {
    if (bits < 15) return bits
    let length = bits
    for (let more = 255; more === 255; length += more) more = this.#from[this.#next++] ?? 0
    return length
  }

  #literals(count: number): void {
    this.#room(count)
    const from = this.#from
    const bytes = this.#bytes
    let next = this.#next
    let to = this.#at
    const end = (this.#next = next + count)
    this.#at = to + count
    if (count > shortBytes) from.copy(bytes, to, next, end)
    else while (next < end) bytes[to++] = from[next++] ?? 0
  }

  /** What was unpacked so far back comes again; it may run into what is being written. */
  #again(distance: number, length: number): void {
    this.#room(length)
    const to = this.#at
    const end = (this.#at = to + length)
    if (distance < 4) {
      const bytes = this.#bytes
      for (let next = to; next < end; next++) bytes[next] = bytes[next - distance] ?? 0
    } else if (length > longBytes && distance >= length) {
      this.#bytes.copyWithin(to, to - distance, end - distance)
    } else {
      const view = this.#view
      for (let next = to; next < end; next += 4) view.setInt32(next, view.getInt32(next - distance))
    }
  }

  #room(needed: number): void {
    const size = this.#at + needed + slack
    if (size > this.#bytes.length) this.#grow(size)
  }

  #grow(size: number): void {
    const small = this.#bytes
    this.#bytes = this.#spare.take(Math.max(size, 2 * small.length))
    this.#view = viewOf(this.#bytes)
    small.copy(this.#bytes, 0, 0, this.#at)
    this.#spare.give(small)
  }
}

const shortestMatch = 4
/** Four bytes are copied at a time, up to three of them too many. */
const slack = 3

function viewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}

/** Up to here a loop beats a call of the runtime: byte by byte, and by four. */
const shortBytes = 40
const longBytes = 60

function cutShort(): Failure {
  return corrupt('is cut short')
}

function corrupt(what: string): Failure {
  return new Failure('corrupt', `a batch of records that lz4 packed ${what}`)
}
