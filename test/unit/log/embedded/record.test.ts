import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import * as fc from 'fast-check'
import type { Change, Table } from '../../../../src/change/change.ts'
import { Failure } from '../../../../src/change/failure.ts'
import { packRecords, RecordsBuilder } from '../../../../src/change/records.ts'
import { packTable, unpackTable } from '../../../../src/log/embedded/definitions.ts'
import { encodeFrame, packHead, piecesOf } from '../../../../src/log/embedded/frame-writing.ts'
import { FrameReader } from '../../../../src/log/embedded/frames.ts'
import {
  Frame,
  frameBytes,
  headerBytes,
  readHeader,
  readPayload,
} from '../../../../src/log/embedded/record.ts'
import type { LogBatch } from '../../../../src/log/log.ts'
import { anyChange, anyTables } from '../../../support/any-change.ts'
import { insertOf, updateOf } from '../../../support/changes.ts'
import { MemoryDisk } from '../../../support/memory-disk.ts'

const [orders, notes] = anyTables
assert(orders !== undefined && notes !== undefined)
const anyTable = orders
const control = { lineage: 'größe', epoch: 3, seq: 500, lanes: 4, producers: { 'source:main': 'here' } }
const full: LogBatch = {
  records: [
    packRecords([insertOf(orders, 1), updateOf(notes, 2, 'Köln')]),
    packRecords([insertOf(notes, 3)]),
  ],
  firstSeq: 498,
  addressee: 'größe@main',
  barriers: [
    { table: 'shop.größe', statement: 'TRUNCATE größe', effect: { kind: 'emptied' } },
    { table: 'shop.orders', statement: 'ALTER' },
  ],
  control,
}

/** The frame, its tables defined in the order in which they come, from the number 3 on. */
function encoded(batch: LogBatch, count = 3): Buffer {
  const texts: string[] = []
  const pieces = piecesOf(batch.records, (table) => {
    const text = packTable(table)
    if (!texts.includes(text)) texts.push(text)
    return 3 + texts.indexOf(text)
  })
  const { head, flags } = packHead(batch, { first: 3, texts })
  const epoch = batch.control.epoch
  return encodeFrame(head, pieces, {
    count: count + batch.barriers.length,
    first: 2 ** 40,
    appendedAtMs: 1e12,
    firstSeq: 498,
    epoch,
    flags,
  })
}

function decoded(bytes: Buffer): Frame | undefined {
  if (bytes.length < headerBytes) return undefined
  const header = readHeader(bytes, 0, 'x.log')
  if (header === undefined || frameBytes(header) !== bytes.length) return undefined
  const payload = readPayload(bytes, 0, header)
  return payload === undefined ? undefined : new Frame(header, 0, payload)
}

function changesOf(frame: Frame | undefined): Change[] {
  assert(frame !== undefined)
  const tables: Table[] = []
  for (const text of frame.definitions?.texts ?? [])
    tables[(frame.definitions?.first ?? 0) + tables.filter(Boolean).length] = unpackTable(text)
  return frame.pieces(tables).flatMap((records) => [...records])
}

test('a frame holds what the batch holds', () => {
  const frame = decoded(encoded(full))
  assert(frame !== undefined)
  assert.deepEqual(frame.control(), control)
  assert.deepEqual(frame.barriers(), full.barriers)
  assert.equal(frame.addressee, full.addressee)
  assert.deepEqual([frame.at, frame.header.first, frame.next], [0, 2 ** 40, 2 ** 40 + 5])
  assert.deepEqual(changesOf(frame), [insertOf(orders, 1), updateOf(notes, 2, 'Köln'), insertOf(notes, 3)])
})

test('a frame without records holds its control record', () => {
  const frame = decoded(encoded({ ...full, records: [], addressee: undefined, barriers: [] }, 0))
  assert.deepEqual(frame?.control(), control)
  assert.deepEqual([frame.barriers(), frame.addressee, frame.definitions], [[], undefined, undefined])
  assert.deepEqual(frame.pieces([]), [])
})

test('runs of changes come out of a frame in their order, whatever tables they mix', () => {
  const runs = fc.array(fc.array(anyChange, { maxLength: 6 }), { maxLength: 6 })
  fc.assert(
    fc.property(runs, (changes) => {
      const records = changes.map((run) => packRecords(run))
      const frame = decoded(encoded({ ...full, records }, changes.flat().length))
      assert.deepEqual(changesOf(frame), changes.flat())
    }),
  )
})

test('small runs of the same tables become one piece, others stay apart', () => {
  const runs = [orders, orders, notes, notes, orders].map((table) => packRecords([insertOf(table, 1)]))
  const frame = decoded(encoded({ ...full, records: [...runs, packRecords([])] }, 5))
  assert(frame !== undefined)
  const tables = [orders, orders, orders, orders, notes]
  assert.deepEqual(
    frame.pieces(tables).map(({ count }) => count),
    [2, 2, 1],
  )
})

test('the form of a frame is fixed: a log of today is read by every later program', () => {
  const batch = { ...full, addressee: undefined, barriers: [], records: [packRecords([insertOf(orders, 7)])] }
  const bytes = encoded(batch, 1)
  assert.equal(bytes.toString('latin1', 0, 3), 'MRL')
  assert.equal(bytes[3], 4)
  const headLength = bytes.readUInt32LE(headerBytes)
  const piece = bytes.subarray(headerBytes + 4 + headLength, -1)
  const record = packRecords([insertOf(orders, 7)]).bytes.toString('hex')
  assert.equal(piece.toString('hex'), `01000000230000000100000003000000${record}`)
  const head = bytes.toString('latin1', headerBytes + 4, headerBytes + 4 + headLength)
  assert(head.startsWith('\u0003\u0001'), 'the first definition has the number 3, and there is one')
})

test('a frame that is cut short or has any bit flipped is found out', () => {
  const bytes = encoded(full)
  assert(decoded(bytes) !== undefined)
  for (let length = 0; length < bytes.length; length++)
    assert.equal(decoded(bytes.subarray(0, length)), undefined, `cut at ${length}`)
  for (let at = 0; at < bytes.length; at++)
    for (let bit = 0; bit < 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[at] = (flipped[at] ?? 0) ^ (1 << bit)
      assert.equal(decoded(flipped), undefined, `byte ${at}, bit ${bit}`)
    }
})

test('a frame of an older or newer format is refused with the file and what to do', () => {
  for (const [version, remedy] of [
    [1, /move the log directory away/],
    [5, /run the version/],
  ] as const) {
    const bytes = Buffer.from(encoded(full))
    bytes[3] = version
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 40)), 40)
    assert.throws(
      () => decoded(bytes),
      (error) =>
        error instanceof Failure &&
        error.kind === 'unsupported' &&
        error.message.includes(`x.log has frames of format ${version}`) &&
        remedy.test(error.remedy ?? ''),
    )
  }
})

test('frames of the formats before, without transactions and numbers of barriers, are read', () => {
  for (const format of [2, 3]) {
    const bytes = encoded({ ...full, barriers: [] })
    bytes[3] = format
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 40)), 40)
    const frame = decoded(bytes)
    assert.deepEqual([frame?.control(), frame?.next], [control, 2 ** 40 + 3])
  }
})

test('a transaction that follows another costs a frame the digits in which they differ', () => {
  const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562'
  const many = Array.from({ length: 90 }, (_, at) => `${uuid}:${at + 10}`)
  const cost = sizeOf(many) - sizeOf(many.map(() => ''))
  assert(cost < uuid.length + 10 + 90 * 6, `${cost} bytes`)
})

function sizeOf(transactions: readonly string[]): number {
  const builder = new RecordsBuilder()
  for (const [at, transaction] of transactions.entries()) {
    builder.within(transaction)
    builder.add(insertOf(anyTable, at))
  }
  return encoded({ ...full, records: [builder.finish()] }, transactions.length).length
}

test('a frame whose inner lengths do not fit is refused, though its checksums hold', () => {
  const whole = decoded(encoded(full))
  assert(whole !== undefined)
  const pieceAt = 4 + whole.payload.readUInt32LE(0)
  const tables = [orders, orders, orders, orders, notes]
  for (const [at, value] of [
    [0, whole.payload.length],
    [0, 0xff_ff_ff_ff],
    [pieceAt, 1],
    [pieceAt, 0],
    [pieceAt + 4, 0xff_ff_ff_ff],
    [pieceAt + 8, 0xff_ff_ff_ff],
    [pieceAt + 12, 5],
  ] as const) {
    const payload = Buffer.from(whole.payload)
    payload.writeUInt32LE(value, at)
    assert.throws(
      () => new Frame(whole.header, 0, payload).pieces(tables),
      (error) => error instanceof Failure && error.kind === 'corrupt',
      `${value} at ${at}`,
    )
  }
})

test('a frame that was read keeps nothing alive but its own bytes', async () => {
  const disk = new MemoryDisk()
  await disk.makeDirectory('/log')
  const file = await disk.create('/log/x.log')
  const bytes = encoded(full)
  for (const at of [0, 1, 2]) await file.write(bytes, at * bytes.length)
  const reader = new FrameReader(file, '/log/x.log', { at: 0, chunkBytes: 64 * 1024 })
  for (const _ of [0, 1, 2]) {
    const next = await reader.next(3 * bytes.length)
    assert(next.kind === 'frame')
    assert.equal(next.frame.payload.buffer.byteLength, next.frame.header.payloadBytes)
  }
})
