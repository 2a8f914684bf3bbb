/**
 * A frame: one batch, its records and its control record, under one checksum. All numbers are little-endian.
 *
 *   byte  size
 *      0     4  "MRL" and the format version
 *      4     4  bytes of payload
 *      8     4  CRC-32 of the payload
 *     12     4  number of records
 *     16     6  offset of the first record
 *     22     6  appended at, ms since 1970
 *     28     6  sequence number of the first record
 *     34     2  epoch
 *     36     2  flags: 1 addressee, 2 table definitions, 4 barriers
 *     38     2  zero
 *     40     4  CRC-32 of bytes 0 to 39
 *     44        payload: [addressee] [table definitions] control [barriers] changes
 *            1  "M": never zero, so that a last sector that was not written shows (frames.ts)
 *
 *   addressee    string
 *   definitions  number of the first, how many, each as a string (JSON text of a table)
 *   control      string (JSON text)
 *   barriers     how many, each as two strings: table, statement
 *   changes      packed changes up to the payload's end (change/codec.ts), where there are any
 *
 * Strings and numbers are as in change/packing.ts. The header has a checksum of its own, so that a length can be believed
 * before the payload is there: that is how an unfinished write is told from damage (frames.ts).
 *
 * A definition is written once per segment, in the frame that uses it first, and numbered from 0 in each segment; so a
 * segment can be read without any other, and old ones can go.
 *
 * Format history: version 1, the above.
 */
import { crc32 } from 'node:zlib'
import type { Barrier, Offset } from '../../change/change.ts'
import { PackedChanges } from '../../change/codec.ts'
import { Failure } from '../../change/failure.ts'
import { packNumber, packString, Unpacker } from '../../change/packing.ts'
import { bytesOf, textOf } from '../../change/row.ts'
import type { Control, LogBatch } from '../log.ts'

/** What a batch adds to a segment's definitions. */
export interface Definitions {
  /** The number of the first of them. */
  readonly first: number
  /** JSON texts of tables, one character per byte (change/codec.ts). */
  readonly texts: readonly string[]
}

export interface FrameHeader {
  readonly payloadBytes: number
  readonly payloadChecksum: number
  readonly count: number
  readonly first: Offset
  readonly appendedAtMs: number
  readonly firstSeq: number
  readonly epoch: number
  readonly flags: number
}

export const headerBytes = 44
const trailer = 0x4d
/** What V8 holds as one string, less a little. */
const payloadBytesMax = 2 ** 29 - 1024
/** An encoder keeps a buffer for the next frame only up to this size. */
const bufferBytesKept = 8 * 2 ** 20

const magic = Buffer.from('MRL', 'latin1')
const formatVersion = 1
const addresseeFlag = 1
const definitionsFlag = 2
const barriersFlag = 4

/** A frame as it was read from its file. */
export class Frame {
  readonly header: FrameHeader
  /** Where it begins and ends in its file. */
  readonly at: number
  readonly end: number
  /** The offset after its last record. */
  readonly next: Offset
  readonly addressee: string | undefined
  readonly definitions: Definitions | undefined
  /** The payload, one character per byte. */
  readonly text: string
  readonly #controlAt: number

  constructor(header: FrameHeader, at: number, text: string) {
    this.header = header
    this.at = at
    this.end = at + frameBytes(header)
    this.next = header.first + header.count
    this.text = text
    const unpacker = new Unpacker(text, 0)
    this.addressee = (header.flags & addresseeFlag) === 0 ? undefined : textOf(unpacker.string())
    this.definitions = (header.flags & definitionsFlag) === 0 ? undefined : unpackDefinitions(unpacker)
    this.#controlAt = unpacker.at
  }

  control(): Control {
    // The text was written by packPayload and has passed the frame's checksum.
    return JSON.parse(textOf(new Unpacker(this.text, this.#controlAt).string())) as Control
  }

  barriers(): readonly Barrier[] {
    return this.#behindControl().barriers
  }

  changes(): PackedChanges {
    return new PackedChanges(this.text, this.#behindControl().at)
  }

  #behindControl(): { readonly barriers: readonly Barrier[]; readonly at: number } {
    const unpacker = new Unpacker(this.text, this.#controlAt)
    const length = unpacker.number()
    unpacker.at += length
    const barriers: Barrier[] = []
    if ((this.header.flags & barriersFlag) !== 0)
      for (let rest = unpacker.number(); rest > 0; rest--)
        barriers.push({ table: textOf(unpacker.string()), statement: textOf(unpacker.string()) })
    return { barriers, at: unpacker.at }
  }
}

function unpackDefinitions(unpacker: Unpacker): Definitions {
  const first = unpacker.number()
  const texts: string[] = []
  for (let rest = unpacker.number(); rest > 0; rest--) texts.push(unpacker.string())
  return { first, texts }
}

/** What a frame's header says apart from what follows from the payload. */
export type FrameFields = Omit<FrameHeader, 'payloadBytes' | 'payloadChecksum'>

/** Makes frames in a buffer that it uses again. */
export class FrameEncoder {
  #buffer = Buffer.allocUnsafe(2 ** 16)

  /** The frame's bytes, valid until the next call. */
  encode(payload: string, fields: FrameFields): Uint8Array {
    if (payload.length > payloadBytesMax)
      throw new Failure(
        'unsupported',
        `a batch of ${payload.length} bytes; one frame holds ${payloadBytesMax}`,
        { remedy: 'exclude the columns with the largest values from the pipeline' },
      )
    const end = headerBytes + payload.length
    const buffer = this.#roomFor(end + 1)
    buffer.write(payload, headerBytes, 'latin1')
    magic.copy(buffer, 0)
    buffer[3] = formatVersion
    buffer.writeUInt32LE(payload.length, 4)
    buffer.writeUInt32LE(crc32(buffer.subarray(headerBytes, end)), 8)
    buffer.writeUInt32LE(fields.count, 12)
    buffer.writeUIntLE(fields.first, 16, 6)
    buffer.writeUIntLE(fields.appendedAtMs, 22, 6)
    buffer.writeUIntLE(fields.firstSeq, 28, 6)
    buffer.writeUInt16LE(fields.epoch, 34)
    buffer.writeUInt16LE(fields.flags, 36)
    buffer.writeUInt16LE(0, 38)
    buffer.writeUInt32LE(crc32(buffer.subarray(0, 40)), 40)
    buffer[end] = trailer
    return buffer.subarray(0, end + 1)
  }

  #roomFor(size: number): Buffer {
    if (size <= this.#buffer.length) return this.#buffer
    const buffer = Buffer.allocUnsafe(Math.max(size, 2 * this.#buffer.length))
    if (buffer.length <= bufferBytesKept) this.#buffer = buffer
    return buffer
  }
}

/** The payload of a batch whose changes are packed already, and the flags that say what is in it. */
export function packPayload(
  batch: LogBatch,
  definitions: Definitions,
  packed: string,
): { readonly payload: string; readonly flags: number } {
  let flags = 0
  let payload = ''
  if (batch.addressee !== undefined) {
    flags |= addresseeFlag
    payload += packString(bytesOf(batch.addressee))
  }
  if (definitions.texts.length > 0) {
    flags |= definitionsFlag
    payload += packNumber(definitions.first) + packNumber(definitions.texts.length)
    for (const text of definitions.texts) payload += packString(text)
  }
  payload += packString(bytesOf(JSON.stringify(batch.control)))
  if (batch.barriers.length > 0) {
    flags |= barriersFlag
    payload += packNumber(batch.barriers.length)
    for (const barrier of batch.barriers)
      payload += packString(bytesOf(barrier.table)) + packString(bytesOf(barrier.statement))
  }
  return { payload: payload + packed, flags }
}

/** All of a frame, from its header to its last byte. */
export function frameBytes(header: FrameHeader): number {
  return headerBytes + header.payloadBytes + 1
}

/** The payload of the whole frame that begins at `at` of the buffer; undefined = it is not what was written. */
export function readPayload(buffer: Buffer, at: number, header: FrameHeader): string | undefined {
  const from = at + headerBytes
  const to = from + header.payloadBytes
  if (buffer[to] !== trailer || crc32(buffer.subarray(from, to)) !== header.payloadChecksum) return undefined
  return buffer.toString('latin1', from, to)
}

/** The header at `at` of the buffer, which holds all of it; undefined = these bytes are none. */
export function readHeader(buffer: Buffer, at: number): FrameHeader | undefined {
  if (magic.compare(buffer, at, at + 3) !== 0) return undefined
  if (crc32(buffer.subarray(at, at + 40)) !== buffer.readUInt32LE(at + 40)) return undefined
  if (buffer[at + 3] !== formatVersion)
    throw new Failure(
      'unsupported',
      `a frame of format ${buffer[at + 3]}; this program knows ${formatVersion}`,
      {
        remedy: 'run the version of millrace that wrote this log, or a newer one',
      },
    )
  return {
    payloadBytes: buffer.readUInt32LE(at + 4),
    payloadChecksum: buffer.readUInt32LE(at + 8),
    count: buffer.readUInt32LE(at + 12),
    first: buffer.readUIntLE(at + 16, 6),
    appendedAtMs: buffer.readUIntLE(at + 22, 6),
    firstSeq: buffer.readUIntLE(at + 28, 6),
    epoch: buffer.readUInt16LE(at + 34),
    flags: buffer.readUInt16LE(at + 36),
  }
}

/** The version of the record at `index` of a frame is this plus `index`. */
export function firstVersion(header: FrameHeader): bigint {
  return (BigInt(header.epoch) << 48n) | BigInt(header.firstSeq)
}
