/**
 * MySQL's binlog_transaction_compression: the events of a transaction, from its BEGIN to its end, packed into one event.
 * Its body:
 *
 *   fields: (kind, length, content) until the kind 0, which stands alone · payload
 *   kinds: 1 = bytes of the payload, 2 = compression (0 = zstd, 255 = none), 3 = bytes of the payload unpacked
 *
 * The events in it bear no checksums; the outer event bears one over all of it. Events are unpacked as they are asked
 * for: what is held is the payload as it came (1 GiB at most, the server's limit for an event; in a scratch file where it
 * is long) and one piece of its content. The checksum is looked at before anything is unpacked, so that nothing is given that would be taken back.
 */
import type { Transform } from 'node:stream'
import { crc32, createZstdDecompress } from 'node:zlib'
import { Failure } from '../../../change/failure.ts'
import {
  brokenChecksum,
  checksumBytes,
  eventType,
  headerBytes,
  readEvent,
  type BinlogEvent,
} from './binlog-events.ts'
import { LongBytes } from './long-bytes.ts'
import type { Packet } from './packet-reader.ts'
import { WireReader } from '../values/wire-reader.ts'

const pieceBytes = 64 * 1024
const nothing: Buffer = Buffer.alloc(0)

export class TransactionPayload {
  /** Where the outer event ends: the only place in the file that the events in it have. */
  readonly #nextOffset: number
  readonly #bytesMax: number
  readonly #bytes: LongBytes
  readonly #pieces: AsyncGenerator<Buffer>
  #unpackedBytes = 0
  #piece = nothing
  #at = 0

  /** Throws a Failure: `corrupt`, `unsupported` for a compression that is not known, and as LongBytes does. */
  static open(packet: Packet, checksums: boolean): TransactionPayload {
    const outer = outerOf(packet)
    try {
      return new TransactionPayload(outer, readHeader(outer, checksums), packet)
    } catch (error) {
      outer.bytes.close()
      throw error
    }
  }

  private constructor({ bytes }: OuterEvent, header: PayloadHeader, { buffer, from }: Packet) {
    const { compression, unpackedBytes, payload } = header
    this.#nextOffset = buffer.readUInt32LE(from + 13)
    this.#bytesMax = unpackedBytes
    this.#bytes = bytes
    this.#pieces =
      compression === none ? asTheyAre(bytes.between(payload.from, payload.to)) : decompressed(bytes, payload)
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
    this.#bytes.close()
  }

  #ended(left: number): false {
    if (this.#unpackedBytes !== this.#bytesMax) throw this.#wrongSize('fewer')
    if (left > 0) throw new Failure('corrupt', 'a compressed transaction ends within an event')
    this.#bytes.close()
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

/** An event as it came: a part of some bytes. */
interface OuterEvent {
  readonly bytes: LongBytes
  readonly from: number
  readonly to: number
}

function outerOf({ buffer, from, to, whole }: Packet): OuterEvent {
  if (whole !== undefined) return { bytes: whole, from, to: whole.length }
  const bytes = new LongBytes({ bytesMax: Infinity })
  bytes.add(buffer)
  return { bytes, from, to }
}

interface PayloadHeader {
  readonly compression: number
  readonly unpackedBytes: number
  /** Where it is among the outer event's bytes. */
  readonly payload: Stretch
}

interface Stretch {
  readonly from: number
  readonly to: number
}

const zstd = 0
const none = 255

/** What is before the payload is short. */
const headBytesMax = 64 * 1024

/** Of an event whose size and checksum have been found right. */
function readHeader(outer: OuterEvent, checksums: boolean): PayloadHeader {
  const body = bodyOf(outer, checksums)
  const first = Buffer.concat([
    ...outer.bytes.between(body.from, Math.min(body.to, body.from + headBytesMax)),
  ])
  const reader = new WireReader(first, 0, first.length, 'the head of a compressed transaction')
  const fields = new Map<number, number>()
  for (let kind = reader.packed(); kind !== 0; kind = reader.packed()) {
    const content = reader.within(reader.packed())
    if (kind <= 3) fields.set(kind, content.packed())
  }
  const [bytes, compression] = [fields.get(1), fields.get(2)]
  const unpackedBytes = fields.get(3) ?? (compression === none ? bytes : undefined)
  const payload = { from: body.from + reader.at, to: body.to }
  if (bytes !== payload.to - payload.from || unpackedBytes === undefined || compression === undefined)
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

/** Where the event's body is, once size and checksum have been found right. */
function bodyOf({ bytes, from, to }: OuterEvent, checksums: boolean): Stretch {
  const length = to - from
  const [head = nothing] = bytes.between(from, to)
  const size = head.length < headerBytes ? 0 : head.readUInt32LE(9)
  const tail = checksums ? checksumBytes : 0
  if (size !== length || length < headerBytes + tail)
    throw new Failure('corrupt', `a compressed transaction of ${length} bytes contradicts its own size`)
  const end = to - tail
  if (checksums) {
    let checksum = 0
    for (const piece of bytes.between(from, end)) checksum = crc32(piece, checksum)
    if (checksum !== Buffer.concat([...bytes.between(end, to)]).readUInt32LE(0))
      throw brokenChecksum(eventType.transactionPayload)
  }
  return { from: from + headerBytes, to: end }
}

async function* asTheyAre(pieces: Iterable<Buffer>): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece)
}

/** A stream of the decompressor ends with a frame; a payload may have several. */
async function* decompressed(bytes: LongBytes, { from, to }: Stretch): AsyncGenerator<Buffer> {
  for (let at = from; at < to;) {
    const stream = createZstdDecompress({ chunkSize: pieceBytes })
    const feeding = feed(stream, bytes.between(at, to))
    try {
      yield* stream
    } catch (cause) {
      if (cause instanceof Failure) throw cause
      throw new Failure('corrupt', 'a compressed transaction cannot be unpacked', { cause })
    } finally {
      stream.destroy()
      await feeding
    }
    if (stream.bytesWritten === 0) throw new Failure('corrupt', 'a compressed transaction without a frame')
    at += stream.bytesWritten
  }
}

/** One piece after the other, each once the one before it is done with; until the stream has enough. */
async function feed(stream: Transform, pieces: Iterable<Buffer>): Promise<void> {
  let taken = Promise.withResolvers<boolean>()
  stream.once('close', () => taken.resolve(false))
  try {
    for (const piece of pieces) {
      const { promise, resolve } = (taken = Promise.withResolvers())
      if (stream.destroyed) return
      stream.write(piece, () => resolve(!stream.destroyed))
      if (!(await promise)) return
    }
    stream.end()
  } catch (error) {
    stream.destroy(error instanceof Error ? error : new Error(String(error)))
  }
}

function joined(parts: readonly Buffer[]): Buffer {
  const filled = parts.filter((part) => part.length > 0)
  return filled.length === 1 ? (filled[0] ?? nothing) : Buffer.concat(filled)
}
