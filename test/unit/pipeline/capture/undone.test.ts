/** What a lost server took along: rows that are touched, or else tables that are read again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Position } from '../../../../src/change/change.ts'
import { newLoad } from '../../../../src/pipeline/capture/load-state.ts'
import { CaptureSubject, group, table } from '../../../support/capture-subject.ts'

test('the rows of changes that were lost with a server are touched, in one append with epoch and place', async () => {
  const subject = await capturing()
  subject.insert(1, 2)
  await subject.captured()
  const kept = await subject.source.head()
  subject.insert(3)
  subject.update(1, 'lost')
  subject.insert(4)
  await subject.captured()
  const before = subject.records().length
  await lose(subject, 3)
  assert.deepEqual(subject.records().slice(before), ['touch [3]', 'touch [1]', 'touch [4]'])
  const [fact] = subject.facts.of('history-changed')
  assert.deepEqual([fact?.epoch, fact?.touched], [6, 3])
  const renewed = subject.contents.appends.find(({ control }) => control.epoch === 6)
  assert.equal(renewed?.offset, before)
  assert.equal(renewed?.control.producers['source:main'], `${kept}@1`)
  assert.equal(renewed?.control.producers[`task:load:${group}`], undefined)
  const versions = subject.contents.records.map(({ entry }) => entry.version)
  assert.deepEqual(versions, versions.toSorted(ascending))
  await end(subject)
})

test('rows of a transaction that a lost server gave a part of are touched', async () => {
  const subject = await capturing()
  subject.insert(100)
  await subject.captured()
  const stall = Promise.withResolvers<void>()
  let pieces = 0
  subject.suffer = (call) => (call === 'read' && ++pieces === 2 ? stall.promise : Promise.resolve())
  subject.insert(...Array.from({ length: 10 }, (_, id) => id))
  await subject.clock.until(subject.facts.until('captured', ({ changes }) => changes === 4))
  await subject.clock.advance(100)
  const given = subject.records().slice(1)
  assert.deepEqual(given, ['insert [0]', 'insert [1]', 'insert [2]', 'insert [3]'])
  subject.database.loseServer(1)
  stall.resolve()
  await subject.clock.until(subject.facts.until('history-changed'))
  assert.deepEqual(
    subject.records().slice(5),
    given.map((each) => each.replace('insert', 'touch')),
  )
  await end(subject)
})

test('where a statement without rows is among what was lost, every table is read again', async () => {
  const subject = await capturing()
  subject.insert(1)
  await subject.captured()
  subject.database.truncate(table)
  await subject.captured()
  await lose(subject, 1)
  assertLoads(subject, undefined)
  await end(subject)
})

test('where the log has let go of the place that both have, every table is read again', async () => {
  const subject = await capturing()
  subject.insert(1)
  await subject.captured()
  subject.insert(2)
  await subject.captured()
  const { appends } = subject.contents
  appends.splice(
    0,
    appends.findLastIndex(({ offset }) => offset === 1),
  )
  await lose(subject, 1)
  assertLoads(subject, undefined)
  await end(subject)
})

test('what was lost before the epoch began is not looked for: its positions may be of another history', async () => {
  const subject = await capturing()
  subject.insert(1)
  await subject.captured()
  await subject.clock.until(subject.capture.raiseEpoch(9))
  await lose(subject, 1)
  assertLoads(subject, undefined)
  await end(subject)
})

test('a group that is loading, or whose documents show several rows, reads its table again beside the touches', async () => {
  const load = { table, generation: 1, sweepBelow: 5n, rowsEstimate: 1, reason: 'a test', startedAtMs: 0 }
  for (const [phase, loads] of [
    ['reading', true],
    ['delivering', true],
    ['done', false],
  ] as const) {
    const subject = await capturing()
    await subject.clock.until(subject.capture.setLoad(group, () => ({ ...newLoad(load), phase })))
    subject.insert(1)
    await subject.captured()
    await lose(subject, 1)
    assert.equal(subject.capture.loadState(group)?.generation, loads ? 2 : 1, phase)
    assert.equal(subject.facts.of('history-changed')[0]?.touched, 1)
    await end(subject)
  }
  const joined = await capturing({ showsOneRow: false })
  joined.insert(1)
  await joined.captured()
  await lose(joined, 1)
  assertLoads(joined, 1)
  await end(joined)
})

test('a group whose load put rows among what was lost reads its table again', async () => {
  const subject = await capturing()
  subject.insert(1, 2, 3)
  await subject.captured()
  subject.insert(4)
  await subject.captured()
  await subject.demand(undefined)
  const loading = subject
    .load()
    .run(subject.stop.signal)
    .catch(() => undefined)
  await subject.clock.until(subject.facts.until('load-finished'))
  await lose(subject, 1)
  assert.equal(subject.capture.loadState(group)?.generation, 2)
  await end(subject)
  await loading
})

test('a read counts once the log has all that it may have seen; what a lost server showed never does', async () => {
  const subject = await capturing()
  const signal = subject.stop.signal
  let lets = Promise.withResolvers<void>()
  subject.suffer = (call) => (call === 'read' ? lets.promise : Promise.resolve())
  let reads = 0
  const read = async (): Promise<{ readonly head: Position; readonly reads: number }> => ({
    head: await subject.source.head(),
    reads: ++reads,
  })
  subject.insert(1)
  let isConfirmed = false
  const first = subject.capture.confirmed(read, signal).then(() => (isConfirmed = true))
  await subject.clock.advance(100)
  assert(!isConfirmed && reads === 1, 'it waits for capture')
  lets.resolve()
  await subject.clock.until(first)
  assert.equal(reads, 1)
  lets = Promise.withResolvers()
  subject.insert(2)
  const second = assert.rejects(subject.capture.confirmed(read, signal), /not running/)
  await subject.clock.advance(100)
  subject.database.loseServer(1)
  lets.resolve()
  await subject.clock.until(second)
  assert.deepEqual(subject.facts.of('history-changed'), [], 'nobody saw the loss but the read')
  await end(subject)
})

const ascending = (one: bigint, other: bigint): number => Number(one - other)

async function capturing(changed: { readonly showsOneRow?: boolean } = {}): Promise<CaptureSubject> {
  const subject = new CaptureSubject(changed)
  subject.startCapture()
  await subject.captured()
  return subject
}

/** The server goes with so many transactions, and capture goes on at the next one. */
async function lose(subject: CaptureSubject, transactions: number): Promise<void> {
  subject.database.loseServer(transactions)
  await subject.clock.until(subject.facts.until('history-changed'))
  await subject.captured()
}

function assertLoads(subject: CaptureSubject, touched: number | undefined): void {
  const [fact] = subject.facts.of('history-changed')
  assert.equal(fact?.touched, touched)
  const load = subject.capture.loadState(group)
  assert.equal(load?.phase, 'reading')
  assert.notEqual(load?.sweepBelow, null)
}

async function end(subject: CaptureSubject): Promise<void> {
  subject.stop.abort()
  await subject.clock.until(subject.ended)
}
