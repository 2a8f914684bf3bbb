import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { packNumber, packString, Unpacker } from '../../../src/change/packing.ts'
import { bytesOf } from '../../../src/change/row.ts'

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('', '東京', '\u0000\u0001\u007f\u0080ÿ', '🦀'.repeat(50), 'x'.repeat(70_000)),
)

test('numbers and strings come out of packed text as they went in', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.maxSafeNat(), text)), (pairs) => {
      const packed = pairs.map(([number, value]) => packNumber(number) + packString(bytesOf(value))).join('')
      const unpacker = new Unpacker(packed, 0)
      for (const [number, value] of pairs) {
        assert.equal(unpacker.number(), number)
        assert.equal(unpacker.string(), bytesOf(value))
      }
      assert.equal(unpacker.at, packed.length)
    }),
  )
})
