/**
 * Packets out of a stream of bytes:
 *
 *   length (3 bytes, little-endian), sequence (1), payload ... next packet
 *
 * A payload of 2^24 - 1 bytes is continued by the next packet. A payload that lies within one chunk is shown where it
 * lies; only one that straddles chunks is copied, and that once. A continued one is joined, or set aside as it comes where
 * it may be larger than memory is kept for.
 */
import { strict as assert } from 'node:assert'
import { Failure } from '../../../change/failure.ts'
import { LongBytes } from './long-bytes.ts'

/**
 * A payload: the bytes `from` to `to` of the buffer. One that was set aside begins with them; all of it, from the buffer's
 * first byte on, is in `whole`, which its taker closes.
 */
export interface Packet {
  buffer: Buffer
  from: number
  to: number
  whole?: LongBytes | undefined
}

const headerBytes = 4
const payloadBytesMax = 0xff_ff_ff
/** By which it is known whether a payload is to be set aside. */
const beginningBytes = 64
const nothing: Buffer = Buffer.alloc(0)

interface Aside {
  readonly beginning: Buffer
  readonly whole: LongBytes
  left: number
  isLast: boolean
}

export class PacketReader {
  #chunk = nothing
  #at = 0
  /** A packet that began in an earlier chunk: its header, its beginning or all of it, as far as it has come. */
  #partial: { readonly bytes: Buffer; filled: number } | undefined
  /** Payloads of a packet that is continued. */
  #parts: Buffer[] = []
  /** One that is set aside, and how much its packet under way still lacks. */
  #aside: Aside | undefined
  #sequence: number
  readonly #isSetAside: (beginning: Buffer) => boolean
  readonly #packet: Packet = { buffer: nothing, from: 0, to: 0, whole: undefined }

  /**
   * `sequence` is the number of the first packet that will come; `isSetAside` tells by its beginning whether a continued
   * payload is.
   */
  constructor(sequence: number, isSetAside: (beginning: Buffer) => boolean = () => false) {
    this.#sequence = sequence
    this.#isSetAside = isSetAside
  }

  /** More bytes; only after `next` answered undefined. */
  push(chunk: Buffer): void {
    assert(this.#at === this.#chunk.length, 'a chunk is read to its end before the next one')
    this.#chunk = chunk
    this.#at = 0
  }

  /**
   * The next whole packet, or undefined when more bytes are needed. The object is the same each time; the bytes stay.
   * Throws a Failure: `corrupt` when packets are out of order, and as LongBytes does.
   */
  next(): Packet | undefined {
    for (;;) {
      const packet = this.#partial === undefined ? this.#inChunk() : this.#straddling()
      if (packet === undefined) return undefined
      if (packet.whole !== undefined) return packet
      const { buffer, from } = packet
      this.#checkSequence(buffer[from - 1] ?? 0)
      const length = packet.to - from
      if (length < payloadBytesMax && this.#parts.length === 0) return packet
      this.#parts.push(buffer.subarray(from, packet.to))
      if (length < payloadBytesMax) return this.#joined()
    }
  }

  /** Lets go of what has come of a packet. */
  close(): void {
    this.#aside?.whole.close()
    this.#aside = undefined
  }

  #inChunk(): Packet | undefined {
    if (this.#aside !== undefined) return this.#setAside(this.#aside)
    const chunk = this.#chunk
    const start = this.#at
    const left = chunk.length - start
    if (left === 0) return undefined
    if (left >= headerBytes) {
      const end = start + headerBytes + lengthAt(chunk, start)
      if (chunk.length >= end) {
        this.#at = end
        return this.#show(chunk, start + headerBytes, end)
      }
    }
    this.#partial = { bytes: Buffer.allocUnsafe(headerBytes), filled: 0 }
    return this.#straddling()
  }

  #straddling(): Packet | undefined {
    for (;;) {
      const partial = this.#partial
      assert(partial !== undefined)
      if (!this.#fill(partial)) return undefined
      const { bytes } = partial
      const end = headerBytes + lengthAt(bytes, 0)
      if (this.#aside !== undefined) return this.#goOnAside(this.#aside, bytes)
      if (bytes.length === end) {
        this.#partial = undefined
        return this.#show(bytes, headerBytes, end)
      }
      const isBeginning = bytes.length > headerBytes
      if (isBeginning && this.#isSetAside(bytes.subarray(headerBytes))) return this.#beginAside(bytes)
      const isLong = end === headerBytes + payloadBytesMax && this.#parts.length === 0
      const size = isLong && !isBeginning ? headerBytes + beginningBytes : end
      this.#partial = { bytes: Buffer.allocUnsafeSlow(size), filled: bytes.length }
      bytes.copy(this.#partial.bytes)
    }
  }

  /** Takes what the chunk has for the partial packet; whether that completes it. */
  #fill(partial: { readonly bytes: Buffer; filled: number }): boolean {
    const copied = this.#chunk.copy(partial.bytes, partial.filled, this.#at)
    partial.filled += copied
    this.#at += copied
    return partial.filled === partial.bytes.length
  }

  #beginAside(bytes: Buffer): Packet | undefined {
    this.#checkSequence(bytes[headerBytes - 1] ?? 0)
    this.#partial = undefined
    const beginning = bytes.subarray(headerBytes)
    const whole = new LongBytes()
    whole.add(beginning)
    this.#aside = { beginning, whole, left: payloadBytesMax - beginning.length, isLast: false }
    return this.#setAside(this.#aside)
  }

  #goOnAside(aside: Aside, header: Buffer): Packet | undefined {
    this.#checkSequence(header[headerBytes - 1] ?? 0)
    this.#partial = undefined
    aside.left = lengthAt(header, 0)
    aside.isLast = aside.left < payloadBytesMax
    return this.#setAside(aside)
  }

  #setAside(aside: Aside): Packet | undefined {
    const piece = this.#chunk.subarray(this.#at, this.#at + aside.left)
    this.#at += piece.length
    aside.left -= piece.length
    if (piece.length > 0) aside.whole.add(piece)
    if (aside.left > 0) return undefined
    if (!aside.isLast) {
      this.#partial = { bytes: Buffer.allocUnsafe(headerBytes), filled: 0 }
      return this.#straddling()
    }
    this.#aside = undefined
    const { beginning, whole } = aside
    return this.#show(beginning, 0, beginning.length, whole)
  }

  #joined(): Packet {
    const whole = Buffer.concat(this.#parts)
    this.#parts = []
    return this.#show(whole, 0, whole.length)
  }

  #show(buffer: Buffer, from: number, to: number, whole?: LongBytes): Packet {
    const packet = this.#packet
    packet.whole = whole
    packet.buffer = buffer
    packet.from = from
    packet.to = to
    return packet
  }

  #checkSequence(sequence: number): void {
    if (sequence !== this.#sequence)
      throw new Failure('corrupt', `packet ${sequence} came where packet ${this.#sequence} was due`)
    this.#sequence = (sequence + 1) & 255
  }
}

function lengthAt(buffer: Buffer, at: number): number {
  return (buffer[at] ?? 0) | ((buffer[at + 1] ?? 0) << 8) | ((buffer[at + 2] ?? 0) << 16)
}
