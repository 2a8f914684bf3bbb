import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { DecimalDigits } from '../../../../src/sink/search/decimal-digits.ts'

function written(digits: DecimalDigits, value: bigint): string {
  const target = Buffer.alloc(40, '#')
  const end = digits.write(value, target, 3)
  assert.equal(target.toString('latin1', 0, 3), '###')
  return target.toString('latin1', 3, end)
}

const versions = fc.oneof(
  fc.bigInt(0n, 2n ** 63n - 1n),
  fc.constantFrom(0n, 1n, 999_999_999n, 1_000_000_000n, 2n ** 48n, 2n ** 63n - 1n),
)

test('the digits are those of the number, in whatever order numbers come', () => {
  const steps = fc.array(fc.bigInt(-2_000_000_000n, 2_000_000_000n), { maxLength: 20 })
  fc.assert(
    fc.property(versions, steps, (first, others) => {
      const digits = new DecimalDigits()
      let value = first
      for (const step of [0n, ...others]) {
        value = value + step < 0n ? 0n : value + step
        assert.equal(written(digits, value), String(value))
      }
    }),
  )
})
