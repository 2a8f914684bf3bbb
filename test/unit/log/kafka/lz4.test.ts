import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compressionsAlgorithms } from '@platformatic/kafka'
import * as fc from 'fast-check'
import { unpackLz4 } from '../../../../src/log/kafka/lz4.ts'
import { SpareBuffers } from '../../../../src/log/kafka/spare-buffers.ts'

/** Texts that come again at every distance, and runs of every length. */
const repetitive = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 90 }), fc.nat({ max: 40 })), { maxLength: 40 })
  .map((pieces) => Buffer.concat(pieces.flatMap(([piece, times]) => Array<Uint8Array>(times).fill(piece))))

test('what another hand packed is unpacked to what it was, whatever stood in the buffers before', () => {
  const spare = new SpareBuffers()
  fc.assert(
    fc.property(repetitive, (content) => {
      const unpacked = unpackLz4(packed(content), spare)
      assert.deepEqual(unpacked, content)
      spare.give(unpacked.fill(0xee))
    }),
  )
})

test('content of many blocks is unpacked, and buffers grow to hold it', () => {
  const content = Buffer.alloc(9_000_000)
  for (let at = 0; at < content.length; at += 4) content.writeInt32LE((at * at) >> 7, at)
  assert(unpackLz4(packed(content), new SpareBuffers()).equals(content))
})

test('a frame may hold its size, checksums, bytes as they are, and blocks that go back to others', () => {
  const blocks = [
    // Not packed.
    [0x05, 0x00, 0x00, 0x80, ...Buffer.from('hello')],
    // No literals, six bytes from five before; then the literal that ends a block.
    [0x05, 0x00, 0x00, 0x00, 0x02, 0x05, 0x00, 0x10, 0x21],
  ]
  const checksum = [1, 2, 3, 4]
  const head = [0x04, 0x22, 0x4d, 0x18, 0b0101_1100, 0x40, 12, 0, 0, 0, 0, 0, 0, 0, 0x99]
  const content = blocks.flatMap((block) => [...block, ...checksum])
  const frame = Buffer.from([...head, ...content, 0, 0, 0, 0, ...checksum])
  assert.equal(unpackLz4(frame, new SpareBuffers()).toString(), 'hellohelloh!')
})

test('a frame that is cut short or changed is refused, or gives something else: it never runs on', () => {
  const content = Buffer.from(
    '{"id":1,"name":"one"},{"id":2,"name":"two"},{"id":3,"name":"three"}'.repeat(20),
  )
  const whole = packed(content)
  for (let length = 0; length < whole.length; length++)
    assert.throws(() => unpackLz4(whole.subarray(0, length), new SpareBuffers()), /lz4 packed/)
  for (let at = 7; at < whole.length; at++) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] ?? 0) ^ 0xff
    try {
      unpackLz4(changed, new SpareBuffers())
    } catch (error) {
      assert.match(String(error), /lz4 packed/)
    }
  }
})

test('small contents hold no large buffers, however many wait', () => {
  const spare = new SpareBuffers()
  const contents = Array.from({ length: 100 }, () => unpackLz4(packed(Buffer.from('small')), spare))
  const buffers = new Set(contents.map(({ buffer }) => buffer))
  const held = [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0)
  assert(held < 200_000, `${held} bytes are held`)
})

test('what needs a dictionary is not guessed at', () => {
  const frame = packed(Buffer.from('text'))
  frame[4] = (frame[4] ?? 0) | 1
  assert.throws(() => unpackLz4(frame, new SpareBuffers()), { kind: 'unsupported' })
})

test('a buffer goes to the next one only when it came back, and no other than those that were lent', () => {
  const spare = new SpareBuffers()
  const first = spare.take(10)
  assert.notEqual(spare.take(10).buffer, first.buffer)
  spare.give(first.subarray(0, 3))
  spare.give(Buffer.alloc(first.length))
  assert.equal(spare.take(10).buffer, first.buffer)
  assert.notEqual(spare.take(10).buffer, first.buffer)
  assert(spare.take(2_000_000).length >= 2_000_000)
})

function packed(content: Buffer): Buffer {
  return compressionsAlgorithms.lz4.compressSync(content)
}
