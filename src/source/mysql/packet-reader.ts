/**
 * Packets out of a stream of bytes:
 *
 *   length (3 bytes, little-endian), sequence (1), payload ... next packet
 *
 * A payload of 2^24 - 1 bytes is continued by the next packet. A payload that lies within one chunk is shown where it
 * lies; only one that straddles chunks is copied, and that once. A continued one is joined, unless it is wanted in parts.
 */
import { strict as assert } from 'node:assert'
import { Failure } from '../../change/failure.ts'

/** A payload: the bytes `from` to `to` of the buffer, and of one that is wanted in parts, the parts after the first. */
export interface Packet {
  buffer: Buffer
  from: number
  to: number
  more?: readonly Buffer[]
}

const headerBytes = 4
const payloadBytesMax = 0xff_ff_ff
const nothing: Buffer = Buffer.alloc(0)
const noParts: readonly Buffer[] = []

export class PacketReader {
  #chunk = nothing
  #at = 0
  /** A packet that began in an earlier chunk: its header or all of it, as far as it has come. */
  #partial: { readonly bytes: Buffer; filled: number } | undefined
  /** Payloads of a packet that is continued. */
  #parts: Buffer[] = []
  #sequence: number
  readonly #staysInParts: (first: Buffer) => boolean
  readonly #packet: Required<Packet> = { buffer: nothing, from: 0, to: 0, more: noParts }

  /**
   * `sequence` is the number of the first packet that will come; `staysInParts` tells by its first 16 MB whether a
   * continued payload is wanted in parts.
   */
  constructor(sequence: number, staysInParts: (first: Buffer) => boolean = () => false) {
    this.#sequence = sequence
    this.#staysInParts = staysInParts
  }

  /** More bytes; only after `next` answered undefined. */
  push(chunk: Buffer): void {
    assert(this.#at === this.#chunk.length, 'a chunk is read to its end before the next one')
    this.#chunk = chunk
    this.#at = 0
  }

  /**
   * The next whole packet, or undefined when more bytes are needed. The object is the same each time; the bytes stay.
   * Throws a Failure ('corrupt') when packets are out of order.
   */
  next(): Packet | undefined {
    for (;;) {
      const packet = this.#partial === undefined ? this.#inChunk() : this.#straddling()
      if (packet === undefined) return undefined
      const { buffer, from } = packet
      this.#checkSequence(buffer[from - 1] ?? 0)
      const length = packet.to - from
      if (length < payloadBytesMax && this.#parts.length === 0) return packet
      this.#parts.push(buffer.subarray(from, packet.to))
      if (length < payloadBytesMax) return this.#continued()
    }
  }

  #inChunk(): Packet | undefined {
    const chunk = this.#chunk
    const start = this.#at
    const left = chunk.length - start
    if (left >= headerBytes) {
      const length = lengthAt(chunk, start)
      if (left >= headerBytes + length) {
        this.#at = start + headerBytes + length
        return this.#show(chunk, start + headerBytes, this.#at)
      }
      this.#partial = { bytes: Buffer.allocUnsafeSlow(headerBytes + length), filled: 0 }
    } else {
      if (left === 0) return undefined
      this.#partial = { bytes: Buffer.allocUnsafe(headerBytes), filled: 0 }
    }
    this.#fill(this.#partial)
    return undefined
  }

  #straddling(): Packet | undefined {
    let partial = this.#partial
    assert(partial !== undefined)
    if (!this.#fill(partial)) return undefined
    if (partial.bytes.length === headerBytes && lengthAt(partial.bytes, 0) > 0) {
      const whole = Buffer.allocUnsafeSlow(headerBytes + lengthAt(partial.bytes, 0))
      partial.bytes.copy(whole)
      partial = this.#partial = { bytes: whole, filled: headerBytes }
      if (!this.#fill(partial)) return undefined
    }
    this.#partial = undefined
    return this.#show(partial.bytes, headerBytes, partial.bytes.length)
  }

  /** Takes what the chunk has for the partial packet; whether that completes it. */
  #fill(partial: { readonly bytes: Buffer; filled: number }): boolean {
    const copied = this.#chunk.copy(partial.bytes, partial.filled, this.#at)
    partial.filled += copied
    this.#at += copied
    return partial.filled === partial.bytes.length
  }

  #continued(): Packet {
    const parts = this.#parts
    this.#parts = []
    const [first = nothing, ...more] = parts
    if (this.#staysInParts(first)) return this.#show(first, 0, first.length, more)
    const whole = Buffer.concat(parts)
    return this.#show(whole, 0, whole.length)
  }

  #show(buffer: Buffer, from: number, to: number, more = noParts): Packet {
    const packet = this.#packet
    packet.more = more
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
