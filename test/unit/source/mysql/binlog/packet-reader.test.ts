import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Failure } from '../../../../../src/change/failure.ts'
import { PacketReader, type Packet } from '../../../../../src/source/mysql/binlog/packet-reader.ts'

const lengthMax = 0xff_ff_ff

test('packets come out whole however their bytes are cut into chunks', () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 })
  const cuts = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(payloads, cuts, fc.integer({ min: 0, max: 255 }), (list, lengths, sequence) => {
      const bytes = frame(
        list.map((payload) => Buffer.from(payload)),
        sequence,
      )
      const read = readAll(bytes, lengths, sequence)
      assert.deepEqual(
        read,
        list.map((payload) => Buffer.from(payload).toString('hex')),
      )
    }),
  )
})

test('a payload of 16 MiB and more is put together from its packets', () => {
  for (const length of [lengthMax - 1, lengthMax, lengthMax + 1, 2 * lengthMax + 5]) {
    const payload = Buffer.alloc(length)
    for (let at = 0; at < length; at += 4096) payload.writeUInt32LE(at, Math.min(at, length - 4))
    const small = Buffer.from('after')
    const reader = new PacketReader(1)
    const bytes = frame([payload, small], 1)
    const read: Buffer[] = []
    for (let at = 0; at < bytes.length; at += 1_000_003) {
      reader.push(bytes.subarray(at, at + 1_000_003))
      for (let packet = reader.next(); packet !== undefined; packet = reader.next())
        read.push(packet.buffer.subarray(packet.from, packet.to))
    }
    assert.equal(read.length, 2)
    assert(read[0]?.equals(payload), `${length} bytes`)
    assert(read[1]?.equals(small))
  }
})

test('a payload that is set aside comes out whole, whatever comes before and after it', () => {
  for (const length of [lengthMax, lengthMax + 1, 2 * lengthMax])
    for (const chunkBytes of [65_536, lengthMax + 9]) {
      const payload = Buffer.alloc(length, 'aside')
      for (let at = 0; at < length; at += 4096) payload.writeUInt32LE(at, Math.min(at, length - 4))
      const list = [Buffer.from('before'), payload, Buffer.from('after'), payload, Buffer.from('end')]
      const reader = new PacketReader(1, (beginning) => beginning.equals(payload.subarray(0, 64)))
      const read = readInChunks(reader, frame(list, 1), chunkBytes)
      const said = `${length} bytes in chunks of ${chunkBytes}`
      assert.deepEqual(
        read.map((each) => each.length),
        list.map((each) => each.length),
        said,
      )
      assert(
        read.every((each, at) => list[at]?.equals(each)),
        said,
      )
    }
})

function readInChunks(reader: PacketReader, bytes: Buffer, chunkBytes: number): readonly Buffer[] {
  const read: Buffer[] = []
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    reader.push(bytes.subarray(at, at + chunkBytes))
    for (let packet = reader.next(); packet !== undefined; packet = reader.next()) read.push(bytesOf(packet))
  }
  return read
}

function bytesOf({ buffer, from, to, whole }: Packet): Buffer {
  if (whole === undefined) return buffer.subarray(from, to)
  // A piece holds only until the next one.
  const bytes = Buffer.concat(Array.from(whole.between(0, whole.length), (piece) => Buffer.from(piece)))
  whole.close()
  return bytes
}

test('a packet out of order is refused', () => {
  const reader = new PacketReader(1)
  reader.push(Buffer.concat([frame([Buffer.from('a')], 1), frame([Buffer.from('b')], 3)]))
  assert.notEqual(reader.next(), undefined)
  assert.throws(
    () => reader.next(),
    (error) =>
      error instanceof Failure && error.kind === 'corrupt' && /packet 3 .* packet 2/.test(error.message),
  )
})

test('a packet within one chunk is not copied', () => {
  const reader = new PacketReader(0)
  const bytes = frame([Buffer.from('abc')], 0)
  reader.push(bytes)
  assert.equal(reader.next()?.buffer, bytes)
})

function frame(payloads: readonly Buffer[], first: number): Buffer {
  let sequence = first
  const parts: Buffer[] = []
  for (const payload of payloads) {
    for (let at = 0; ; at += lengthMax) {
      const part = payload.subarray(at, at + lengthMax)
      const header = Buffer.alloc(4)
      header.writeUIntLE(part.length, 0, 3)
      header[3] = sequence++ & 255
      parts.push(header, part)
      if (part.length < lengthMax) break
    }
  }
  return Buffer.concat(parts)
}

function readAll(bytes: Buffer, lengths: readonly number[], sequence: number): readonly string[] {
  const reader = new PacketReader(sequence)
  const read: string[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length] ?? 1
    reader.push(bytes.subarray(at, at + length))
    at += length
    for (let packet = reader.next(); packet !== undefined; packet = reader.next())
      read.push(packet.buffer.toString('hex', packet.from, packet.to))
  }
  return read
}
