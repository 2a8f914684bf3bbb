import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Key } from '../../../src/change/change.ts'
import { packRow } from '../../../src/change/row.ts'
import type { Entry } from '../../../src/log/log.ts'
import { PendingOperations } from '../../../src/pipeline/dedupe.ts'
import type { Operation } from '../../../src/sink/sink.ts'

const table = { name: 'shop.items', columns: [], key: [] }

function entryAt(offset: number): Entry {
  const change = { op: 'insert', table, key: '[1]' as Key, before: undefined, after: packRow([]) } as const
  return { offset, version: BigInt(offset), change: { ...change, committedAtMs: offset * 10 } }
}

function operation(id: string, version: number, body: string | undefined): Operation {
  const common = { id, version: BigInt(version), routing: undefined }
  return body === undefined ? { ...common, op: 'delete', body } : { ...common, op: 'index', body }
}

function operationsIn(pending: PendingOperations): Operation[] {
  return [...pending.values()].map((work) => work.operation)
}

const arrivals = fc.array(
  fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    body: fc.option(fc.string(), { nil: undefined }),
  }),
  { maxLength: 60 },
)

test('of several operations on one id the last wins, and settles the offsets of all', () => {
  fc.assert(
    fc.property(arrivals, (all) => {
      const pending = new PendingOperations()
      const [last, offsets] = [new Map<string, Operation>(), new Map<string, number[]>()]
      for (const [offset, { id, body }] of all.entries()) {
        const asked = operation(id, offset, body)
        pending.add(asked, entryAt(offset))
        last.set(id, asked)
        offsets.set(id, [...(offsets.get(id) ?? []), offset])
      }
      assert.equal(pending.count, last.size)
      for (const work of pending.values()) {
        assert.equal(work.operation, last.get(work.operation.id))
        assert.deepEqual(work.offsets, offsets.get(work.operation.id))
        assert.deepEqual(
          work.committedAtMs,
          work.offsets.map((offset) => offset * 10),
        )
      }
    }),
  )
})

test('deduping again what is deduped changes nothing', () => {
  fc.assert(
    fc.property(arrivals, (all) => {
      const [once, twice] = [new PendingOperations(), new PendingOperations()]
      for (const [offset, { id, body }] of all.entries())
        once.add(operation(id, offset, body), entryAt(offset))
      for (const work of once.values()) twice.add(work.operation, entryAt(work.offsets.at(-1) ?? 0))
      assert.deepEqual(operationsIn(twice), operationsIn(once))
      assert.equal(twice.bytes, once.bytes)
    }),
  )
})

test('a request takes the oldest, within its bounds, but at least one; what is removed leaves nothing behind', () => {
  fc.assert(
    fc.property(arrivals, fc.integer({ min: 1, max: 5 }), fc.nat(500), (all, countMax, bytesMax) => {
      const pending = new PendingOperations()
      for (const [offset, { id, body }] of all.entries())
        pending.add(operation(id, offset, body), entryAt(offset))
      const order = [...pending.values()].map((work) => work.operation.id)
      const chosen = pending.first(countMax, bytesMax)
      assert.deepEqual(
        chosen.map((work) => work.operation.id),
        order.slice(0, chosen.length),
      )
      assert.equal(chosen.length > 0, pending.count > 0)
      assert(chosen.length <= countMax)
      const bytes = chosen.reduce((sum, work) => sum + work.bytes, 0)
      assert(chosen.length <= 1 || bytes <= bytesMax)
      for (const work of pending.values()) pending.remove(work)
      assert.deepEqual([pending.count, pending.bytes], [0, 0])
    }),
  )
})

test('a newer operation begins to count its attempts anew', () => {
  const pending = new PendingOperations()
  pending.add(operation('a', 1, '{}'), entryAt(1))
  for (const work of pending.values()) work.attempts = 5
  pending.add(operation('a', 2, '{}'), entryAt(2))
  assert.deepEqual(
    [...pending.values()].map((work) => work.attempts),
    [0],
  )
})
