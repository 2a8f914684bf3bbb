import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { packRecords } from '../../../src/change/records.ts'
import { Entries, noEntries } from '../../../src/log/log.ts'
import { anyChange } from '../../support/any-change.ts'

test('entries are the chosen records of a run, with the offsets and versions of their places in it', () => {
  const chosen = fc.array(fc.tuple(anyChange, fc.boolean()), { maxLength: 20 })
  fc.assert(
    fc.property(chosen, fc.maxSafeNat(), (choices, start) => {
      const records = packRecords(choices.map(([change]) => change))
      const first = { offset: Math.floor(start / 2), version: (7n << 48n) | BigInt(start % 2 ** 40) }
      const every = Entries.all(records, first)
      const ordinals = choices.flatMap(([, isChosen], at) => (isChosen ? [at] : []))
      const places = ordinals.map((at) => every.place(at))
      const entries = new Entries(records, places, ordinals, first)
      assert.equal(entries.length, ordinals.length)
      assert.deepEqual(
        [...entries],
        ordinals.map((at) => ({
          offset: first.offset + at,
          version: first.version + BigInt(at),
          change: choices[at]?.[0],
        })),
      )
    }),
  )
})

test('there is no entry beyond the last', () => {
  const entries = Entries.all(packRecords([]), { offset: 5, version: 5n })
  assert.throws(() => entries.offset(0), RangeError)
  assert.throws(() => entries.version(0), RangeError)
  assert.deepEqual([...noEntries], [])
})
