/** Makes the bytes of a frame (record.ts). */
import { crc32 } from 'node:zlib'
import type { Barrier, Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { joinedOrigins, type Origin } from '../../change/origins.ts'
import { packNumber, packString } from '../../change/packing.ts'
import type { Records } from '../../change/records.ts'
import { bytesOf } from '../../change/row.ts'
import type { LogBatch } from '../log.ts'
import {
  addresseeFlag,
  barriersFlag,
  definitionsFlag,
  formatVersion,
  headerBytes,
  headLengthBytes,
  magic,
  pieceHeadBytes,
  trailer,
  transactionsFlag,
  type Definitions,
  type FrameHeader,
} from './record.ts'

/** Whoever looks at a value as text can have no more than about so much of it in one string. */
const payloadBytesMax = 2 ** 29 - 1024

/** Runs of records that become one piece, because they number their tables alike. */
export interface Piece {
  readonly runs: readonly Records[]
  /** For each number of a table in the records: the number of its definition. */
  readonly numbers: readonly number[]
}

/** What a frame's header says apart from what follows from the payload. */
export type FrameFields = Omit<FrameHeader, 'payloadBytes' | 'payloadChecksum'>

/** Small transactions that were gathered into one append become one piece, so that a reader gets them together. */
export function piecesOf(runs: readonly Records[], numberOf: (table: Table) => number): Piece[] {
  const pieces: { readonly runs: Records[]; readonly numbers: readonly number[] }[] = []
  for (const run of runs) {
    if (run.count === 0) continue
    const numbers = run.tables.map(numberOf)
    const last = pieces.at(-1)
    if (last !== undefined && isAlike(last.numbers, numbers)) last.runs.push(run)
    else pieces.push({ runs: [run], numbers })
  }
  return pieces
}

function isAlike(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((number, at) => number === other[at])
}

/** The head of a batch, and the flags that say what is in it. */
export function packHead(batch: LogBatch, definitions: Definitions): { head: string; flags: number } {
  let flags = 0
  let head = ''
  if (batch.addressee !== undefined) {
    flags |= addresseeFlag
    head += packString(bytesOf(batch.addressee))
  }
  if (definitions.texts.length > 0) {
    flags |= definitionsFlag
    head += packNumber(definitions.first) + packNumber(definitions.texts.length)
    for (const text of definitions.texts) head += packString(text)
  }
  const origins = joinedOrigins(batch.records)
  if (origins.length > 0) {
    flags |= transactionsFlag
    head += packOrigins(origins)
  }
  head += packString(bytesOf(JSON.stringify(batch.control)))
  if (batch.barriers.length > 0) {
    flags |= barriersFlag
    head += packNumber(batch.barriers.length)
    for (const barrier of batch.barriers) head += packBarrier(barrier)
  }
  return { head, flags }
}

/** Transactions that follow each other mostly differ in their last digits. */
function packOrigins(origins: readonly Origin[]): string {
  let packed = packNumber(origins.length)
  let before = { from: 0, name: '' }
  for (const { from, transaction } of origins) {
    const name = bytesOf(transaction)
    const shared = sharedLength(before.name, name)
    packed += packNumber(from - before.from) + packNumber(shared) + packString(name.slice(shared))
    before = { from, name }
  }
  return packed
}

function sharedLength(one: string, other: string): number {
  let length = 0
  while (length < one.length && one[length] === other[length]) length++
  return length
}

function packBarrier({ table, statement, effect }: Barrier): string {
  const texts = [table, statement, effect === undefined ? '' : JSON.stringify(effect)]
  return texts.map((text) => packString(bytesOf(text))).join('')
}

/** The frame in a buffer of its own, which `room` makes; `head` has one character per byte. */
export function encodeFrame(
  head: string,
  pieces: readonly Piece[],
  fields: FrameFields,
  room: (bytes: number) => Buffer = (bytes) => Buffer.allocUnsafeSlow(bytes),
): Buffer {
  const payloadBytes = payloadBytesOf(head, pieces)
  if (payloadBytes > payloadBytesMax)
    throw new Failure('unsupported', `a batch of ${payloadBytes} bytes; one frame holds ${payloadBytesMax}`, {
      remedy: 'exclude the columns with the largest values from the pipeline',
    })
  const end = headerBytes + payloadBytes
  const buffer = room(end + 1).subarray(0, end + 1)
  buffer.writeUInt32LE(head.length, headerBytes)
  buffer.write(head, headerBytes + headLengthBytes, 'latin1')
  let at = headerBytes + headLengthBytes + head.length
  for (const piece of pieces) at = writePiece(buffer, at, piece)
  magic.copy(buffer, 0)
  buffer[3] = formatVersion
  buffer.writeUInt32LE(payloadBytes, 4)
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
  return buffer
}

function payloadBytesOf(head: string, pieces: readonly Piece[]): number {
  let bytes = headLengthBytes + head.length
  for (const { runs, numbers } of pieces) {
    bytes += pieceHeadBytes + 4 * numbers.length
    for (const run of runs) bytes += run.bytes.length
  }
  return bytes
}

function writePiece(buffer: Buffer, start: number, { runs, numbers }: Piece): number {
  let at = start + pieceHeadBytes
  for (const number of numbers) at = buffer.writeUInt32LE(number, at)
  const from = at
  let count = 0
  for (const run of runs) {
    at += run.bytes.copy(buffer, at)
    count += run.count
  }
  buffer.writeUInt32LE(count, start)
  buffer.writeUInt32LE(at - from, start + 4)
  buffer.writeUInt32LE(numbers.length, start + 8)
  return at
}
