import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { VersionDigits } from '../../../../src/log/kafka/headers.ts'

test('the digits of a version are right after any other, where there is one digit more too', () => {
  // The versions of epoch 3 get their sixteenth digit here.
  const sixteenth = { epoch: 3, first: 155_575_069_868_032 - 3 }
  const anywhere = fc.record({
    epoch: fc.integer({ min: 1, max: 32_767 }),
    first: fc.nat({ max: 2 ** 48 - 301 }),
  })
  fc.assert(
    fc.property(fc.oneof(anywhere, fc.constant(sixteenth)), fc.nat(300), ({ epoch, first }, count) => {
      const digits = new VersionDigits()
      digits.next(epoch, 0)
      for (let seq = first; seq < first + count; seq++) {
        const text = digits.next(epoch, seq)
        assert.equal(text.toString('latin1', 1), String((BigInt(epoch) << 48n) + BigInt(seq)))
        assert.equal(text[0], 2 * (text.length - 1))
      }
    }),
  )
})
