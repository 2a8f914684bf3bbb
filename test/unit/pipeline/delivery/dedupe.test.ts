import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Key, Offset, Table } from '../../../../src/change/change.ts'
import { Holders } from '../../../../src/change/holders.ts'
import { packRecords } from '../../../../src/change/records.ts'
import { packRow } from '../../../../src/change/row.ts'
import type { Work } from '../../../../src/document/enricher.ts'
import { Entries } from '../../../../src/log/log.ts'
import { PendingOperations } from '../../../../src/pipeline/delivery/dedupe.ts'
import type { PendingWork, Taking } from '../../../../src/pipeline/delivery/pending-work.ts'
import type { Operation } from '../../../../src/sink/sink.ts'
import { bodyOf } from '../../../support/bodies.ts'

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
  return [...pending.first(Infinity, Infinity, 0)]
}

function add(pending: PendingOperations, asked: Work, more: Partial<Taking> = {}): void {
  pending.add({ entries, works: [asked], ...more }, 0, asked)
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
        add(pending, asked)
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
      for (const [offset, { id, body }] of arrived.entries()) add(pending, work(id, offset, body))
      const order = [...new Set(arrived.map(({ id }) => id))]
      const chosen = [...pending.first(countMax, bytesMax, 0)]
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
  add(pending, work('a', 1, '{}'))
  for (const each of all(pending)) each.fail()
  add(pending, work('a', 2, '{}'))
  assert.deepEqual(
    all(pending).map(({ attempts }) => attempts),
    [0],
  )
})

test('work tells the table and the key of its latest entry', () => {
  const pending = new PendingOperations()
  add(pending, work('a', 1, '{}'))
  add(pending, work('a', 7, undefined))
  assert.deepEqual(
    all(pending).map(({ table: name, key }) => [name, key]),
    [['shop.items', '[7]']],
  )
})

test('the memory of entries is let go when the last work that needs it is removed', () => {
  const freed: string[] = []
  const [older, newer] = [new Holders(() => freed.push('older')), new Holders(() => freed.push('newer'))]
  const pending = new PendingOperations()
  add(pending, work('a', 1, '{}'), { holders: older })
  add(pending, work('b', 2, '{}'), { holders: older })
  add(pending, work('a', 3, '{}'), { holders: newer })
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

test('what cannot be written yet keeps its turn while tens of thousands pass by', () => {
  const pending = new PendingOperations()
  const stuck = ['a', 'b', 'c']
  for (const id of stuck) add(pending, work(id, 1, '{}'))
  for (const each of all(pending)) each.putOff(5)
  for (let round = 0; round < 30; round++) {
    for (let at = 0; at < 1000; at++) add(pending, work(`${round}-${at}`, at % 100, '{}'))
    const chosen = [...pending.first(Infinity, Infinity, 0)]
    assert.equal(chosen.length, 1000)
    for (const each of chosen) pending.remove(each)
  }
  add(pending, work('b', 2, '{}'))
  assert.deepEqual([pending.count, pending.dueAtMs], [3, 0])
  assert.deepEqual(
    [...pending.first(Infinity, Infinity, 5)].map(({ operation, delays }) => [operation.id, delays]),
    [
      ['a', 1],
      ['b', 0],
      ['c', 1],
    ],
  )
})

test('a document has an operation for each place, until nobody knows where it lies', () => {
  const pending = new PendingOperations()
  add(pending, placed(0, 'old'))
  add(pending, placed(1, 'new'))
  add(pending, placed(2, 'new'))
  assert.deepEqual(
    all(pending).map(({ operation }) => [operation.op, operation.index, operation.version]),
    [
      ['index', 'old', 0n],
      ['index', 'new', 2n],
    ],
  )
  add(pending, placed(3, 'newest', { everywhere: true }))
  const inTurn = Array.from({ length: 2 }, () => {
    const works = all(pending)
    const shown = works.map(({ operation: { op, index, version } }) => [op, index, version])
    for (const each of works) pending.remove(each)
    return shown
  })
  assert.deepEqual(inTurn, [
    [['index', 'newest', 3n]],
    [
      ['delete', 'old', 0n],
      ['delete', 'new', 2n],
    ],
  ])
  assert.deepEqual([pending.count, pending.bytes], [0, 0])
})

test('a document that is looked for is looked for although a later entry knows where it was', () => {
  const pending = new PendingOperations()
  const shown = (): readonly (readonly unknown[])[] =>
    all(pending).map(({ operation: { op, index, version, everywhere } }) => [op, index, version, everywhere])
  add(pending, placed(0, 'here', { everywhere: true }))
  add(pending, placed(1, 'here'))
  assert.deepEqual(shown(), [['index', 'here', 1n, true]])
  add(pending, placed(2, 'there'))
  add(pending, placed(2, 'here', { op: 'delete', body: undefined, vacates: true }))
  assert.deepEqual(shown(), [['index', 'there', 2n, true]])
  add(pending, placed(3, 'there', { op: 'delete', body: undefined }))
  assert.deepEqual(shown(), [
    ['delete', 'here', 2n, undefined],
    ['delete', 'there', 3n, true],
  ])
  for (const each of all(pending)) pending.remove(each)
  assert.deepEqual([pending.count, pending.bytes], [0, 0])
})

test('a document leaves a place when it has come to the other, and not before', () => {
  const pending = new PendingOperations()
  add(pending, placed(0, 'here'))
  add(pending, placed(0, 'there', { op: 'delete', body: undefined, vacates: true }))
  const [coming] = all(pending)
  coming?.putOff(7)
  assert.deepEqual(all(pending), [])
  assert.equal(pending.dueAtMs, 7)
  const [come] = [...pending.first(Infinity, Infinity, 7)]
  assert.equal(come?.operation.index, 'here')
  if (come !== undefined) pending.remove(come)
  assert.deepEqual(
    all(pending).map(({ operation: { op, index } }) => [op, index]),
    [['delete', 'there']],
  )
})

test('two documents are two, whatever characters are in their ids and routings', () => {
  const pending = new PendingOperations()
  const places = [
    ['c', 'a\0b'],
    ['b\0c', 'a'],
    ['\u00000,1\0ac', undefined],
    ['c', 'a'],
  ] as const
  for (const [at, [id, routing]] of places.entries())
    add(pending, { at, operation: { ...work(id, at, '{}').operation, routing } })
  assert.equal(pending.count, places.length)
})

function placed(at: number, index: string, more: Partial<Operation> = {}): Work {
  const { operation } = work('a', at, '{}')
  return { at, operation: { ...operation, index, ...more } as Operation }
}
