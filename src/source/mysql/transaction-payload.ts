/**
 * MySQL's binlog_transaction_compression: the events of a transaction, from its BEGIN to its end, packed into one event.
 * Its body:
 *
 *   fields: (kind, length, content) until the kind 0, which stands alone · payload
 *   kinds: 1 = bytes of the payload, 2 = compression (0 = zstd, 255 = none), 3 = bytes of the payload unpacked
 *
 * The events in it bear no checksums; the outer event bears one over all of it. Events are unpacked as they are asked
 * for: what is held is the payload as it came (1 GiB at most, the server's limit for an event) and one piece of its
 * content. The checksum is looked at before anything is unpacked, so that nothing is given that would be taken back.
 */
import { Readable } from 'node:stream'
import { crc32, createZstdDecompress } from 'node:zlib'
import { Failure } from '../../change/failure.ts'
import {
  brokenChecksum,
  checksumBytes,
  eventType,
  headerBytes,
  readEvent,
  type BinlogEvent,
} from './binlog-events.ts'
import type { Packet } from './packet-reader.ts'
import { WireReader } from './wire-reader.ts'

const pieceBytes = 128 * 1024
const nothing: Buffer = Buffer.alloc(0)

export class TransactionPayload {
  /** Where the outer event ends: the only place in the file that the events in it have. */
  readonly #nextOffset: number
  readonly #bytesMax: number
  readonly #pieces: AsyncGenerator<Buffer>
  #unpackedBytes = 0
  #piece = nothing
  #at = 0

  /** Throws a Failure: `corrupt`, `unsupported` for a compression that is not known. */
  static open(packet: Packet, checksums: boolean): TransactionPayload {
    return new TransactionPayload(bodyOf(packet, checksums), packet.buffer.readUInt32LE(packet.from + 13))
  }

  private constructor(body: readonly Buffer[], nextOffset: number) {
    const { compression, unpackedBytes, payload } = readHeader(body)
    this.#nextOffset = nextOffset
    this.#bytesMax = unpackedBytes
    this.#pieces = compression === none ? asTheyAre(payload) : decompressed(payload)
  }

  /** The next event, or undefined when `more` must be called. Throws a Failure, `corrupt`. */
  next(): BinlogEvent | undefined {
    const buffer = this.#piece
    const from = this.#at
    const size = this.#sizeAt(buffer, from)
    if (size === undefined || buffer.length - from < size) return undefined
    this.#at = from + size
    if (neverInside.has(buffer[from + 4] ?? 0))
      throw new Failure('corrupt', `an event of type ${buffer[from + 4]} within a compressed transaction`)
    const event = readEvent({ buffer, from, to: this.#at }, false)
    return { ...event, nextOffset: this.#nextOffset }
  }

  /** Unpacks until the next event is whole; whether there is one. Only after `next` answered undefined. */
  async more(): Promise<boolean> {
    let parts = [this.#piece.subarray(this.#at)]
    let held = this.#piece.length - this.#at
    let needed = this.#sizeAt(this.#piece, this.#at) ?? headerBytes
    while (held < needed) {
      const piece = await this.#pieces.next()
      if (piece.done === true) return this.#ended(held)
      this.#unpackedBytes += piece.value.length
      if (this.#unpackedBytes > this.#bytesMax) throw this.#wrongSize('more')
      parts.push(piece.value)
      held += piece.value.length
      if (needed > headerBytes || held < headerBytes) continue
      parts = [joined(parts)]
      needed = this.#sizeAt(parts[0] ?? nothing, 0) ?? headerBytes
    }
    this.#piece = joined(parts)
    this.#at = 0
    return true
  }

  /** Lets go of what was not unpacked. */
  async close(): Promise<void> {
    await this.#pieces.return(undefined)
  }

  #ended(left: number): false {
    if (this.#unpackedBytes !== this.#bytesMax) throw this.#wrongSize('fewer')
    if (left > 0) throw new Failure('corrupt', 'a compressed transaction ends within an event')
    return false
  }

  /** Undefined = its head is not there yet. */
  #sizeAt(buffer: Buffer, at: number): number | undefined {
    if (buffer.length - at < headerBytes) return undefined
    const size = buffer.readUInt32LE(at + 9)
    if (size >= headerBytes && size <= this.#bytesMax) return size
    throw new Failure('corrupt', `an event of ${size} bytes within a compressed transaction`)
  }

  #wrongSize(comparison: string): Failure {
    return new Failure(
      'corrupt',
      `a compressed transaction has ${comparison} bytes than the ${this.#bytesMax} it says`,
    )
  }
}

/** They stand before a transaction, or between files. */
const neverInside: ReadonlySet<number> = new Set([
  eventType.stop,
  eventType.rotate,
  eventType.formatDescription,
  eventType.heartbeat,
  eventType.heartbeatV2,
  eventType.gtid,
  eventType.gtidTagged,
  eventType.anonymousGtid,
  eventType.previousGtids,
  eventType.transactionPayload,
])

/** The outer event's body, in parts, once size and checksum have been found right. */
function bodyOf({ buffer, from, to, more = [] }: Packet, checksums: boolean): readonly Buffer[] {
  const parts = [buffer.subarray(from, to), ...more]
  const length = lengthOf(parts)
  const size = to - from < headerBytes ? 0 : buffer.readUInt32LE(from + 9)
  const tail = checksums ? checksumBytes : 0
  if (size !== length || length < headerBytes + tail)
    throw new Failure('corrupt', `a compressed transaction of ${length} bytes contradicts its own size`)
  const checked = cut(parts, 0, length - tail)
  if (checksums) {
    let checksum = 0
    for (const part of checked) checksum = crc32(part, checksum)
    if (checksum !== Buffer.concat(cut(parts, length - tail, length)).readUInt32LE(0))
      throw brokenChecksum(eventType.transactionPayload)
  }
  return cut(checked, headerBytes, length - tail)
}

interface PayloadHeader {
  readonly compression: number
  readonly unpackedBytes: number
  readonly payload: Buffer[]
}

const zstd = 0
const none = 255

function readHeader(body: readonly Buffer[]): PayloadHeader {
  const [first = nothing] = body
  const reader = new WireReader(first, 0, first.length, 'the head of a compressed transaction')
  const fields = new Map<number, number>()
  for (let kind = reader.packed(); kind !== 0; kind = reader.packed()) {
    const content = reader.within(reader.packed())
    if (kind <= 3) fields.set(kind, content.packed())
  }
  const [bytes, compression] = [fields.get(1), fields.get(2)]
  const unpackedBytes = fields.get(3) ?? (compression === none ? bytes : undefined)
  const payload = cut(body, reader.at, lengthOf(body))
  if (bytes !== lengthOf(payload) || unpackedBytes === undefined || compression === undefined)
    throw new Failure('corrupt', 'the head of a compressed transaction contradicts its payload')
  if (compression !== zstd && compression !== none)
    throw new Failure(
      'unsupported',
      `a transaction compressed by an unknown algorithm, number ${compression}`,
      {
        remedy:
          'SET GLOBAL binlog_transaction_compression = OFF, then load the pipelines of this source anew',
      },
    )
  return { compression, unpackedBytes, payload }
}

async function* asTheyAre(parts: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* parts
}

/** A stream of the decompressor ends with a frame; a payload may have several. */
async function* decompressed(parts: readonly Buffer[]): AsyncGenerator<Buffer> {
  let rest = parts
  while (rest.length > 0) {
    const stream = createZstdDecompress({ chunkSize: pieceBytes })
    try {
      yield* Readable.from(rest).pipe(stream)
    } catch (cause) {
      throw new Failure('corrupt', 'a compressed transaction cannot be unpacked', { cause })
    }
    if (stream.bytesWritten === 0) throw new Failure('corrupt', 'a compressed transaction without a frame')
    rest = cut(rest, stream.bytesWritten, lengthOf(rest))
  }
}

/** The bytes `from` to `to` of the parts, which are not copied. */
function cut(parts: readonly Buffer[], from: number, to: number): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  for (const part of parts) {
    const piece = part.subarray(Math.max(0, from - at), Math.max(0, to - at))
    if (piece.length > 0) pieces.push(piece)
    at += part.length
  }
  return pieces
}

function lengthOf(parts: readonly Buffer[]): number {
  return parts.reduce((length, part) => length + part.length, 0)
}

function joined(parts: readonly Buffer[]): Buffer {
  const filled = parts.filter((part) => part.length > 0)
  return filled.length === 1 ? (filled[0] ?? nothing) : Buffer.concat(filled)
}
