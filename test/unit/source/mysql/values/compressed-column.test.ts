import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateRawSync, deflateSync } from 'node:zlib'
import * as fc from 'fast-check'
import { Failure } from '../../../../../src/change/failure.ts'
import { uncompressed } from '../../../../../src/source/mysql/values/compressed-column.ts'

function unpack(body: Buffer): string {
  return uncompressed(body, 0, body.length).toString()
}

/** As MariaDB packs it. */
function packed(value: string, isBare: boolean): Buffer {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  const head = Buffer.of(0x80 | (isBare ? 8 : 0) | 2)
  return Buffer.concat([head, length, isBare ? deflateRawSync(bytes) : deflateSync(bytes)])
}

test('a value comes back as it was given, packed in either way or not at all', () => {
  const value = 'ж'.repeat(500)
  assert.equal(unpack(packed(value, true)), value)
  assert.equal(unpack(packed(value, false)), value)
  assert.equal(unpack(Buffer.from('\0short')), 'short')
  assert.equal(unpack(Buffer.alloc(0)), '')
  // From MariaDB 10.11: 200 bytes of ж in UTF-8 are 400 bytes, of latin1 `?` 200.
  assert.equal(unpack(Buffer.from('89c8b3b71f1e0000', 'hex')), '?'.repeat(200))
})

test('a value that is cut short or damaged is a Failure and nothing else', () => {
  const body = packed('abc '.repeat(200), true)
  for (let end = 1; end < body.length; end++) assert.throws(() => unpack(body.subarray(0, end)), Failure)
  fc.assert(
    fc.property(fc.nat(body.length - 1), fc.nat(255), (at, value) => {
      const damaged = Buffer.from(body)
      damaged[at] = value
      try {
        unpack(damaged)
      } catch (error) {
        assert.ok(error instanceof Failure, String(error))
      }
    }),
  )
})

test('no more is unpacked than the value says, and another method is refused', () => {
  const bomb = Buffer.concat([Buffer.of(0x89, 10), deflateRawSync(Buffer.alloc(1_000_000))])
  assert.throws(() => unpack(bomb), { kind: 'corrupt' })
  assert.throws(() => unpack(Buffer.of(0x19, 1, 1)), { kind: 'unsupported' })
})
