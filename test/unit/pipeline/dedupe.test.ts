import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Key, Offset, Table } from '../../../src/change/change.ts'
import { Holders } from '../../../src/change/holders.ts'
import { packRecords } from '../../../src/change/records.ts'
import { packRow } from '../../../src/change/row.ts'
import type { Work } from '../../../src/document/enricher.ts'
import { Entries } from '../../../src/log/log.ts'
import { PendingOperations, type PendingWork } from '../../../src/pipeline/dedupe.ts'
import type { Operation } from '../../../src/sink/sink.ts'
import { bodyOf } from '../../support/bodies.ts'

const table: Table = { name: 'shop.items', columns: [], key: [] }

/** A hundred entries, at offsets from 0 up, committed at ten times their offset. */
const entries = Entries.all(
  packRecords(
    Array.from({ length: 100 }, (_, offset) => ({
      op: 'insert',
      table,
      key: `[${offset}]` as Key,
      before: undefined,
      after: packRow([null]),
      committedAtMs: offset * 10,
    })),
  ),
  { offset: 0, version: 0n },
)

function work(id: string, at: number, body: string | undefined): Work {
  const common = { id, version: BigInt(at), routing: undefined, repeatable: true }
  if (body === undefined) return { at, operation: { ...common, op: 'delete', body } }
  return { at, operation: { ...common, op: 'index', body: bodyOf(body) } }
}

function all(pending: PendingOperations): readonly PendingWork[] {
  return pending.first(Infinity, Infinity, 0)
}

function entriesSettledBy(pending: PendingWork): readonly (readonly [Offset, number])[] {
  const offsets: Offset[] = []
  pending.forEachOffset((offset) => offsets.push(offset))
  return pending.committedAtMs().map((committedAtMs, at) => [offsets[at] ?? -1, committedAtMs])
}

const arrivals = fc.array(
  fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    body: fc.option(fc.string(), { nil: undefined }),
  }),
  { maxLength: 60 },
)

test('of several operations on one id the last wins, and settles the entries of all', () => {
  fc.assert(
    fc.property(arrivals, (arrived) => {
      const pending = new PendingOperations()
      const [last, offsets] = [new Map<string, Operation>(), new Map<string, number[]>()]
      for (const [offset, { id, body }] of arrived.entries()) {
        const asked = work(id, offset, body)
        pending.add(entries, asked)
        last.set(id, asked.operation)
        offsets.set(id, [...(offsets.get(id) ?? []), offset])
      }
      assert.equal(pending.count, last.size)
      for (const each of all(pending)) {
        assert.equal(each.operation, last.get(each.operation.id))
        assert.deepEqual(
          entriesSettledBy(each),
          offsets.get(each.operation.id)?.map((offset) => [offset, offset * 10]),
        )
      }
    }),
  )
})

test('a request takes the oldest, within its bounds, but at least one; what is removed leaves nothing behind', () => {
  fc.assert(
    fc.property(arrivals, fc.integer({ min: 1, max: 5 }), fc.nat(500), (arrived, countMax, bytesMax) => {
      const pending = new PendingOperations()
      for (const [offset, { id, body }] of arrived.entries()) pending.add(entries, work(id, offset, body))
      const order = [...new Set(arrived.map(({ id }) => id))]
      const chosen = pending.first(countMax, bytesMax, 0)
      assert.deepEqual(
        chosen.map(({ operation }) => operation.id),
        order.slice(0, chosen.length),
      )
      assert.equal(chosen.length > 0, pending.count > 0)
      assert(chosen.length <= countMax)
      const bytes = chosen.reduce((sum, each) => sum + each.bytes, 0)
      assert(chosen.length <= 1 || bytes <= bytesMax)
      for (const each of all(pending)) pending.remove(each)
      assert.deepEqual([pending.count, pending.bytes], [0, 0])
    }),
  )
})

test('a newer operation begins to count its attempts anew', () => {
  const pending = new PendingOperations()
  pending.add(entries, work('a', 1, '{}'))
  for (const each of all(pending)) each.attempts = 5
  pending.add(entries, work('a', 2, '{}'))
  assert.deepEqual(
    all(pending).map(({ attempts }) => attempts),
    [0],
  )
})

test('work tells the table and the key of its latest entry', () => {
  const pending = new PendingOperations()
  pending.add(entries, work('a', 1, '{}'))
  pending.add(entries, work('a', 7, undefined))
  assert.deepEqual(
    all(pending).map(({ table: name, key }) => [name, key]),
    [['shop.items', '[7]']],
  )
})

test('the memory of entries is let go when the last work that needs it is removed', () => {
  const freed: string[] = []
  const [older, newer] = [new Holders(() => freed.push('older')), new Holders(() => freed.push('newer'))]
  const pending = new PendingOperations()
  pending.add(entries, work('a', 1, '{}'), { holders: older })
  pending.add(entries, work('b', 2, '{}'), { holders: older })
  pending.add(entries, work('a', 3, '{}'), { holders: newer })
  older.drop()
  newer.drop()
  const [a, b] = all(pending)
  assert(a !== undefined && b !== undefined)
  pending.remove(b)
  assert.deepEqual(freed, [], 'a still tells of its earlier entry')
  pending.remove(a)
  assert.deepEqual(freed, ['older', 'newer'])
  pending.remove(a)
  assert.deepEqual(freed, ['older', 'newer'])
})

test('a document has an operation for each place, until nobody knows where it lies', () => {
  const pending = new PendingOperations()
  pending.add(entries, placed(0, 'old'))
  pending.add(entries, placed(1, 'new'))
  pending.add(entries, placed(2, 'new'))
  assert.deepEqual(
    all(pending).map(({ operation }) => [operation.op, operation.index, operation.version]),
    [
      ['index', 'old', 0n],
      ['index', 'new', 2n],
    ],
  )
  pending.add(entries, placed(3, 'newest', { everywhere: true }))
  assert.deepEqual(
    all(pending).map(({ operation }) => [operation.op, operation.index, operation.version]),
    [
      ['delete', 'old', 0n],
      ['delete', 'new', 2n],
      ['index', 'newest', 3n],
    ],
  )
  for (const each of all(pending)) pending.remove(each)
  assert.deepEqual([pending.count, pending.bytes], [0, 0])
})

function placed(at: number, index: string, more: Partial<Operation> = {}): Work {
  const { operation } = work('a', at, '{}')
  return { at, operation: { ...operation, index, ...more } as Operation }
}
