import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change } from '../../../../src/change/change.ts'
import { packRecords } from '../../../../src/change/records.ts'
import { Entries, noEntries, type LaneBatch } from '../../../../src/log/log.ts'
import { mergeFirst } from '../../../../src/pipeline/delivery/merging.ts'
import { insert, table } from '../../../support/delivery-subject.ts'

/** A batch of these changes; the first has the offset, and versions exceed offsets by `distance`. */
function batch(offset: number, changes: readonly Change[], distance = 1n): LaneBatch {
  const first = { offset, version: BigInt(offset) + distance }
  const entries = changes.length === 0 ? noEntries : Entries.all(packRecords(changes), first)
  return { lane: 0, entries, bytes: 10 * changes.length, next: offset + changes.length }
}

function shown({ entries }: LaneBatch): readonly string[] {
  return [...entries].map(({ offset, version, change }) => `${offset} ${version} ${change.key}`)
}

test('batches become one, with the offset and the version of each entry; what is empty only moves on', () => {
  const released: number[] = []
  const one = { ...batch(3, [insert(1, 'a'), insert(2, 'b')]), release: () => released.push(1) }
  const queue = [one, batch(7, []), { ...batch(20, [insert(3, 'c')]), release: () => released.push(2) }]
  mergeFirst(queue, 100)
  assert.equal(queue.length, 1)
  assert.deepEqual(shown(queue[0] ?? one), ['3 4 [1]', '4 5 [2]', '20 21 [3]'])
  assert.deepEqual([queue[0]?.next, queue[0]?.bytes], [21, 30])
  assert.deepEqual(released, [1, 2], 'the memory of what was copied is free')
  const [, second] = [...(queue[0]?.entries ?? noEntries)]
  assert.deepEqual(second?.change, insert(2, 'b'))
})

test('a batch ends before so many entries, a barrier, another epoch, and a table that is another one', () => {
  const wider = {
    ...table,
    columns: [...table.columns, { ...table.columns[1], name: 'more' }],
  } as typeof table
  const barrier = { ...batch(2, []), barrier: { table: table.name, statement: 'ALTER', version: 3n } }
  const others: readonly LaneBatch[] = [
    batch(2, [insert(3, 'c'), insert(4, 'd')]),
    barrier,
    batch(2, [insert(3, 'c')], 1n << 48n),
    batch(2, [{ ...insert(3, 'c'), table: wider }]),
  ]
  for (const other of others) {
    const queue = [batch(0, [insert(1, 'a')]), batch(1, [insert(2, 'b')]), other]
    mergeFirst(queue, 3)
    assert.deepEqual(
      queue.map(({ entries }) => entries.length),
      [2, other.entries.length],
    )
    assert.equal(queue[1], other)
  }
})
