/**
 * A frame: one batch, its records and its control record, under one checksum. All numbers are little-endian.
 *
 *   byte  size
 *      0     4  "MRL" and the format version
 *      4     4  bytes of payload
 *      8     4  CRC-32 of the payload
 *     12     4  number of records and numbered barriers
 *     16     6  offset of the first record
 *     22     6  appended at, ms since 1970
 *     28     6  sequence number of the first record
 *     34     2  epoch
 *     36     2  flags: 1 addressee, 2 table definitions, 4 barriers, 8 numbered barriers, 16 transactions
 *     38     2  zero
 *     40     4  CRC-32 of bytes 0 to 39
 *     44        payload: length of the head (4 bytes), head, pieces
 *            1  "M": never zero, so that a last sector that was not written shows (frames.ts)
 *
 *   head         [addressee] [definitions] [transactions] control [barriers]: text, one character per byte
 *   addressee    string
 *   definitions  number of the first, how many, each as a string (JSON text of a table)
 *   transactions how many, each as two numbers and a string: bytes of records since the one before, how many characters
 *                it shares with the one before, the others (change/origins.ts)
 *   control      string (JSON text)
 *   barriers     how many, each as two strings: table, statement; a numbered one has a third, the JSON text of its effect
 *                (empty = not known)
 *
 * Strings and numbers in the head are as in change/packing.ts. A piece is a run of records:
 *
 *      0     4  number of records, not zero
 *      4     4  bytes of the records
 *      8     4  number of tables
 *     12   4 n  for each number of a table in the records: the number of its definition
 *               the records, as they came from the source (change/records.ts)
 *
 * The header has a checksum of its own, so that a length can be believed before the payload is there: that is how an
 * unfinished write is told from damage (frames.ts).
 *
 * Numbered barriers come behind the records: each takes the next offset and sequence number. Barriers without a number,
 * which were written until their statements' effects were told apart, take none.
 *
 * A definition is written once per segment, in the frame that uses it first, and numbered from 0 in each segment; so a
 * segment can be read without any other, and old ones can go.
 *
 * Format history:
 *   1  the head, then packed changes as one text; never released
 *   2  without numbered barriers; still read
 *   3  without transactions; still read
 *   4  the above
 */
import { crc32 } from 'node:zlib'
import type { Barrier, BarrierEffect, Offset, Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import type { Holders } from '../../change/holders.ts'
import { noOrigins, originsBetween, type Origin } from '../../change/origins.ts'
import { Unpacker } from '../../change/packing.ts'
import { Records } from '../../change/records.ts'
import { textOf } from '../../change/row.ts'
import type { Control } from '../log.ts'

/** What a batch adds to a segment's definitions. */
export interface Definitions {
  /** The number of the first of them. */
  readonly first: number
  /** JSON texts of tables, one character per byte (definitions.ts). */
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

export const formatVersion = 4
const oldestFormatVersion = 2
export const magic = Buffer.from('MRL', 'latin1')
export const headerBytes = 44
export const trailer = 0x4d
export const headLengthBytes = 4
/** What comes before the numbers of a piece's tables. */
export const pieceHeadBytes = 12

export const addresseeFlag = 1
export const definitionsFlag = 2
const unnumberedBarriersFlag = 4
export const barriersFlag = 8
export const transactionsFlag = 16
const flagsBeforeControl = addresseeFlag | definitionsFlag | transactionsFlag

/** A frame whose checksums hold. */
export class Frame {
  readonly header: FrameHeader
  /** Where it begins and ends in its file. */
  readonly at: number
  readonly end: number
  /** The offset after its last record. */
  readonly next: Offset
  readonly addressee: string | undefined
  readonly definitions: Definitions | undefined
  /** Kept alive as long as any of its records; nothing else is in the same buffer. */
  readonly payload: Buffer
  /** Of its memory. Who got the frame is one of them, and may let go when nobody looks at it or its records any more. */
  readonly holders: Holders | undefined
  readonly #piecesAt: number
  readonly #origins: readonly Origin[]
  /** Where the control record begins in the head. */
  readonly #controlAt: number

  constructor(header: FrameHeader, at: number, payload: Buffer, holders?: Holders) {
    this.header = header
    this.holders = holders
    this.at = at
    this.end = at + frameBytes(header)
    this.next = header.first + header.count
    this.payload = payload
    this.#piecesAt = headEnd(payload)
    const { flags } = header
    const unpacker = new Unpacker((flags & flagsBeforeControl) === 0 ? '' : this.head, 0)
    this.addressee = (flags & addresseeFlag) === 0 ? undefined : textOf(unpacker.string())
    this.definitions = (flags & definitionsFlag) === 0 ? undefined : unpackDefinitions(unpacker)
    this.#origins = (flags & transactionsFlag) === 0 ? noOrigins : unpackOrigins(unpacker)
    this.#controlAt = unpacker.at
  }

  /** The head, one character per byte; made anew each time, because most readers never ask. */
  get head(): string {
    return this.payload.toString('latin1', headLengthBytes, this.#piecesAt)
  }

  control(): Control {
    // The text was written by packHead and has passed the frame's checksum.
    return JSON.parse(textOf(new Unpacker(this.head, this.#controlAt).string())) as Control
  }

  barriers(): readonly Barrier[] {
    const { flags } = this.header
    if ((flags & (unnumberedBarriersFlag | barriersFlag)) === 0) return []
    const unpacker = new Unpacker(this.head, this.#controlAt)
    const controlBytes = unpacker.number()
    unpacker.at += controlBytes
    const barriers: Barrier[] = []
    for (let rest = unpacker.number(); rest > 0; rest--)
      barriers.push(unpackBarrier(unpacker, (flags & barriersFlag) !== 0))
    return barriers
  }

  /** Those of the barriers that have an offset and a number, with how far each lies behind the first record. */
  numberedBarriers(): readonly { readonly barrier: Barrier; readonly ordinal: number }[] {
    if ((this.header.flags & barriersFlag) === 0) return []
    const barriers = this.barriers()
    const first = this.header.count - barriers.length
    return barriers.map((barrier, at) => ({ barrier, ordinal: first + at }))
  }

  /** Its records, piece by piece, without copying them; `tables`: the segment's, by the number of their definition. */
  pieces(tables: readonly Table[]): Records[] {
    const pieces: Records[] = []
    let count = 0
    let bytes = 0
    for (let at = this.#piecesAt; at < this.payload.length;) {
      const { piece, end } = pieceAt(this.payload, at, tables)
      const origins = originsBetween(this.#origins, bytes, bytes + piece.bytes.length)
      pieces.push(new Records(piece.bytes, piece.tables, piece.count, origins))
      count += piece.count
      bytes += piece.bytes.length
      at = end
    }
    const told = this.header.count - this.numberedBarriers().length
    if (count !== told) throw malformed(`holds ${count} records, not ${told}`)
    return pieces
  }
}

function headEnd(payload: Buffer): number {
  const end = payload.length < headLengthBytes ? 0 : headLengthBytes + payload.readUInt32LE(0)
  if (end < headLengthBytes || end > payload.length) throw malformed('ends inside its head')
  return end
}

function unpackDefinitions(unpacker: Unpacker): Definitions {
  const first = unpacker.number()
  const texts: string[] = []
  for (let rest = unpacker.number(); rest > 0; rest--) texts.push(unpacker.string())
  return { first, texts }
}

function unpackOrigins(unpacker: Unpacker): readonly Origin[] {
  const origins: Origin[] = []
  let from = 0
  let name = ''
  for (let rest = unpacker.number(); rest > 0; rest--) {
    from += unpacker.number()
    const shared = unpacker.number()
    name = name.slice(0, shared) + unpacker.string()
    origins.push({ from, transaction: textOf(name) })
  }
  return origins
}

function unpackBarrier(unpacker: Unpacker, isNumbered: boolean): Barrier {
  const told = { table: textOf(unpacker.string()), statement: textOf(unpacker.string()) }
  const effect = isNumbered ? unpacker.string() : ''
  // The text was written by packHead and has passed the frame's checksum.
  return effect === '' ? told : { ...told, effect: JSON.parse(textOf(effect)) as BarrierEffect }
}

function pieceAt(payload: Buffer, at: number, tables: readonly Table[]): { piece: Records; end: number } {
  const numbersAt = at + pieceHeadBytes
  if (numbersAt > payload.length) throw malformed('ends inside the head of a piece')
  const count = payload.readUInt32LE(at)
  const tableCount = payload.readUInt32LE(at + 8)
  const from = numbersAt + 4 * tableCount
  const end = from + payload.readUInt32LE(at + 4)
  if (count === 0 || end > payload.length) throw malformed('ends inside a piece')
  const own: Table[] = []
  for (let number = 0; number < tableCount; number++)
    own.push(tableOf(tables, payload.readUInt32LE(numbersAt + 4 * number)))
  return { piece: new Records(payload.subarray(from, end), own, count), end }
}

function tableOf(tables: readonly Table[], number: number): Table {
  const table = tables[number]
  if (table === undefined) throw malformed(`uses the table ${number}, which its segment does not define`)
  return table
}

/** Its checksums hold, so no disk did it. */
function malformed(why: string): Failure {
  return new Failure('corrupt', `a frame of the log ${why}`, {
    remedy: 'report it: whoever wrote the frame wrote it wrong',
  })
}

/** All of a frame, from its header to its last byte. */
export function frameBytes(header: FrameHeader): number {
  return headerBytes + header.payloadBytes + 1
}

/** The payload of the whole frame that begins at `at` of the buffer, in place; undefined = it is not what was written. */
export function readPayload(buffer: Buffer, at: number, header: FrameHeader): Buffer | undefined {
  const from = at + headerBytes
  const payload = buffer.subarray(from, from + header.payloadBytes)
  if (buffer[from + header.payloadBytes] !== trailer || crc32(payload) !== header.payloadChecksum)
    return undefined
  return payload
}

/** The header at `at` of the buffer, which holds all of it; undefined = these bytes are none. */
export function readHeader(buffer: Buffer, at: number, path: string): FrameHeader | undefined {
  if (magic.compare(buffer, at, at + 3) !== 0) return undefined
  if (crc32(buffer.subarray(at, at + 40)) !== buffer.readUInt32LE(at + 40)) return undefined
  const format = buffer[at + 3] ?? 0
  if (format < oldestFormatVersion || format > formatVersion) throw unknownFormat(path, format)
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

function unknownFormat(path: string, found: number): Failure {
  const remedy =
    found < oldestFormatVersion
      ? 'move the log directory away: millrace then begins a new log and loads every index again'
      : 'run the version of millrace that wrote this log, or a newer one'
  return new Failure(
    'unsupported',
    `${path} has frames of format ${found}; this program knows ${formatVersion}`,
    {
      remedy,
    },
  )
}

/** The version of the record at `index` of a frame is this plus `index`. */
export function firstVersion(header: FrameHeader): bigint {
  return (BigInt(header.epoch) << 48n) | BigInt(header.firstSeq)
}
