import assert from 'node:assert/strict'
import { it } from 'node:test'
import * as fc from 'fast-check'
import { compareDecimals, isDecimal } from '../../../src/document/decimal.ts'

it('decimals compare exactly, however many digits they have', () => {
  assert.equal(compareDecimals('0.10', '0.1'), 0)
  assert.equal(compareDecimals('18446744073709551615', '18446744073709551614'), 1)
  assert.equal(compareDecimals('-0.00000000000000000000000000000001', '0'), -1)
  assert.equal(compareDecimals('1e3', '1000.000000000000000000'), 0)
  assert.equal(compareDecimals('12345678901234567890.12', '1.234567890123456789013e19'), -1)
})

it('decimals compare as their integers at one scale do', () => {
  const digits = fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n })
  const scaled = fc.tuple(digits, fc.integer({ min: 0, max: 30 }))
  fc.assert(
    fc.property(scaled, scaled, ([a, scaleA], [b, scaleB]) => {
      const [left, right] = [a * 10n ** BigInt(30 - scaleA), b * 10n ** BigInt(30 - scaleB)]
      const expected = left === right ? 0 : left < right ? -1 : 1
      assert.equal(compareDecimals(write(a, scaleA), write(b, scaleB)), expected)
    }),
  )
})

it('only numbers are decimals', () => {
  for (const text of ['0', '-1', '+1.5', '1.', '1e-7', '007']) assert.ok(isDecimal(text), text)
  for (const text of ['', 'x', '1,5', '0x10', '1e', '.5', 'NaN', ' 1']) assert.ok(!isDecimal(text), text)
})

function write(value: bigint, scale: number): string {
  const sign = value < 0n ? '-' : ''
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0')
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}
