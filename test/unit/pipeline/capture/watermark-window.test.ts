import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Change, Key } from '../../../../src/change/change.ts'
import { packRecords, type Records } from '../../../../src/change/records.ts'
import { packRow } from '../../../../src/change/row.ts'
import { WatermarkWindow } from '../../../../src/pipeline/capture/watermark-window.ts'

function change(table: string, key: string): Change {
  return {
    table: { name: table, columns: [], key: [] },
    op: 'insert',
    key: key as Key,
    before: undefined,
    after: packRow([null]),
    committedAtMs: 0,
  }
}

function append(...changes: readonly Change[]): readonly Records[] {
  return [packRecords(changes)]
}

const changed = fc.record({ table: fc.constantFrom('a', 'b'), key: fc.nat(30).map((id) => `[${id}]`) })
const appends = fc.array(fc.array(changed, { maxLength: 10 }), { maxLength: 10 })
const chunkKeys = fc.uniqueArray(
  fc.nat(30).map((id) => `[${id}]`),
  { maxLength: 20 },
)

test('the rows that remain are those whose key no append in the window has: the same as brute force finds', () => {
  fc.assert(
    fc.property(appends, chunkKeys, (batches, keys) => {
      const window = new WatermarkWindow('a', 1000)
      for (const batch of batches)
        window.observe(append(...batch.map(({ table, key }) => change(table, key))))
      const rows = keys.map((key) => ({ key: key as Key }))
      const overtaken = batches.flat().filter((each) => each.table === 'a')
      const expected = rows.filter((row) => !overtaken.some((each) => each.key === row.key))
      assert.equal(window.state, 'open')
      assert.deepEqual(window.close(rows), expected)
      assert.equal(window.state, 'closed')
    }),
  )
})

test('more keys than a window may hold mean that the chunk is read again', () => {
  const window = new WatermarkWindow('a', 2)
  window.observe(append(change('a', '[1]'), change('b', '[9]'), change('a', '[1]'), change('a', '[2]')))
  assert.equal(window.state, 'open')
  window.observe(append(change('a', '[3]')))
  assert.equal(window.state, 'repeat')
})

test('a window that must be repeated stays so, and one that is closed is not opened again', () => {
  const repeated = new WatermarkWindow('a', 10)
  repeated.repeat()
  repeated.observe(append(change('a', '[1]')))
  assert.equal(repeated.state, 'repeat')
  const closed = new WatermarkWindow('a', 10)
  closed.close([])
  closed.repeat()
  assert.equal(closed.state, 'closed')
})
