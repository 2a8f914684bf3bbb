import assert from 'node:assert/strict'
import { test } from 'node:test'
import { within } from '../../../src/parts/time-limit.ts'

const endless: Readonly<Record<string, () => void>> = {
  'a loop': () => {
    for (;;);
  },
  'a loop that catches what it can': () => {
    for (;;)
      try {
        for (;;);
      } catch {}
  },
  'a pattern that tries everything': () => void /^(a+)+$/.test(`${'a'.repeat(100)}b`),
}

for (const [what, work] of Object.entries(endless))
  test(`${what} is ended`, () => {
    assert.equal(within(20, work), false)
  })

test('work that ends has all that it does and throws', () => {
  let done = 0
  assert.equal(
    within(60_000, () => void done++),
    true,
  )
  assert.equal(done, 1)
  assert.throws(
    () =>
      within(60_000, () => {
        throw new RangeError('too far')
      }),
    RangeError,
  )
})
