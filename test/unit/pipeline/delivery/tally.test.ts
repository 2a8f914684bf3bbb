import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Key } from '../../../../src/change/change.ts'
import { packRecords } from '../../../../src/change/records.ts'
import { packRow } from '../../../../src/change/row.ts'
import { Entries } from '../../../../src/log/log.ts'
import { PendingOperations } from '../../../../src/pipeline/delivery/dedupe.ts'
import type { PendingWork } from '../../../../src/pipeline/delivery/pending-work.ts'
import { Tally } from '../../../../src/pipeline/delivery/tally.ts'
import { bodyOf } from '../../../support/bodies.ts'

const nowMs = 10_000

/** Works of changes that were committed this long ago; undefined = of a row that was read. */
function worksOf(agesMs: readonly (number | undefined)[]): readonly PendingWork[] {
  const changes = agesMs.map((ageMs, at) => ({
    op: 'insert' as const,
    table: { name: 'shop.items', columns: [], key: [] },
    key: `[${at}]` as Key,
    before: undefined,
    after: packRow([null]),
    committedAtMs: ageMs === undefined ? 0 : nowMs - ageMs,
  }))
  const entries = Entries.all(packRecords(changes), { offset: 0, version: 0n })
  const pending = new PendingOperations()
  for (const at of changes.keys()) {
    const operation = {
      op: 'index',
      id: `${at}`,
      version: 1n,
      routing: undefined,
      repeatable: true,
      body: bodyOf('{}'),
    } as const
    const work = { at, operation }
    pending.add({ entries, works: [work] }, 0, work)
  }
  return [...pending.first(Infinity, Infinity, 0)]
}

test('latencies are those of changes that were finished, not of rows that were read or must wait', () => {
  const works = worksOf([5, undefined, 7, 900])
  const tally = new Tally(nowMs, works.length)
  for (const [at, work] of works.entries())
    tally.add(work, at === 2 ? { kind: 'busy', reason: 'no room' } : { kind: 'applied' })
  const { latenciesMs, indexed, busy } = tally.figures()
  assert.deepEqual({ latenciesMs, indexed, busy }, { latenciesMs: [5, 900], indexed: 3, busy: 1 })
})

test('of a large request every part is sampled, and all are counted', () => {
  const works = worksOf(Array.from({ length: 2500 }, (_, at) => at))
  const tally = new Tally(nowMs, works.length)
  for (const work of works) tally.add(work, { kind: 'applied' })
  const { latenciesMs, indexed } = tally.figures()
  assert.equal(indexed, 2500)
  assert.equal(latenciesMs.length, 100)
  assert.equal(latenciesMs[50], 1250)
})
