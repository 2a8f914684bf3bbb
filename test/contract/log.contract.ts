/** What every change log keeps to. One suite, run over each implementation. */
import assert from 'node:assert/strict'
import { Failure } from '../../src/change/failure.ts'
import type { ChangeLog, Entry, LaneBatch, LogAdmin } from '../../src/log/log.ts'
import {
  allReached,
  begunLog,
  deleteOf,
  entriesOf,
  insertOf,
  keyFor,
  Numbering,
  readOf,
  readUntil,
  testTable,
  updateOf,
} from '../support/changes.ts'

import { barrierRules } from './log-barriers.contract.ts'
import { groupRules } from './log-groups.contract.ts'
import { originRules } from './log-origins.contract.ts'
import { rangeRules } from './log-ranges.contract.ts'
import { rulesOf } from '../support/rules.ts'

type Log = ChangeLog & LogAdmin

/** One log and the means to leave it. */
export interface LogSubject {
  readonly log: Log
  /** Closes the log and opens it again. */
  readonly reopen: () => Promise<Log>
  /** The process dies without closing anything, another one opens the log. */
  readonly crash: () => Promise<Log>
  /** Appends so much that retention has to drop what no group has delivered; absent where nothing is ever dropped. */
  readonly overflow?: (log: Log, numbering: Numbering) => Promise<void>
  readonly close: () => Promise<void>
}

const lanes = 4
const group = 'orders@main'
const orders = testTable('shop.orders')
const notes = testTable('shop.notes')

export function testLog(name: string, open: () => Promise<LogSubject>): void {
  const check = rulesOf(name, open)
  check('a new log has no tail, and the tail is the last control record from then on', tail)
  check('nothing is appended before the tail was read', appendBeforeTail)
  check('entries come back as they were appended, with offsets and versions', roundTrip)
  check('a key stays in its lane, in the order of the log, over reopening', keyOrder)
  check('a group gets its own tables and what is addressed to it or to all', ownRecords)
  check('what is addressed to a pipeline is for each of its groups, and for no other', ownPipeline)
  check('a lane begins after what it committed, over reopening and crashes', committed)
  check('a reader at the end waits, and wakes for the next append', waiting)
  check('a reader of a log that has not begun waits for its beginning', readingBeforeBeginning)
  check('reading ends when it is aborted, at the end and in the middle', aborting)
  check('lanes that get nothing are told how far the log has passed', idleLanes)
  check('defining again changes tables and attributes, and the places only where told', redefining)
  check('lag counts from the oldest undelivered change of the group', lag)
  check('every record of a key is found, with its addressee', finding)
  for (const [rule, body] of Object.entries(groupRules)) check(rule, body)
  for (const [rule, body] of Object.entries(rangeRules)) check(rule, body)
  for (const [rule, body] of Object.entries(originRules)) check(rule, body)
  for (const [rule, body] of Object.entries(barrierRules)) check(rule, body)
  check('what survives a crash is whole appends, and numbering goes on from the tail', crashing)
  check('retention marks the group that it leaves behind, and its reader is told', lostGroup)
}

async function tail({ log, reopen, crash }: LogSubject): Promise<void> {
  assert.equal(await log.tail(), undefined)
  assert.equal(await log.control(), undefined)
  const numbering = new Numbering(lanes)
  assert.equal(await log.append(numbering.batch([])), 0)
  assert.deepEqual(await log.tail(), numbering.control)
  assert.equal(await log.append(numbering.batch([insertOf(orders, 1), insertOf(orders, 2)])), 2)
  assert.deepEqual(await log.control(), numbering.control)
  const again = await reopen()
  assert.deepEqual(await again.tail(), numbering.control)
  assert.equal(await again.append(numbering.batch([])), 2)
  const third = await crash()
  assert.deepEqual(await third.tail(), numbering.control)
}

async function appendBeforeTail({ log }: LogSubject): Promise<void> {
  const batch = new Numbering(lanes).batch([insertOf(orders, 1)])
  await assert.rejects(log.append(batch), (error) => error instanceof Failure && error.kind === 'conflict')
  assert.equal(await log.tail(), undefined)
}

async function roundTrip({ log }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  const first = [insertOf(orders, 1, 'Köln 東京'), updateOf(orders, 1, ''), deleteOf(orders, 1)]
  const second = [readOf(orders, 7)]
  await log.append(numbering.batch(first))
  await log.append(numbering.batch(second, { barriers: [{ table: 'shop.orders', statement: 'TRUNCATE' }] }))
  await log.append(numbering.batch([insertOf(orders, 8, 'x'.repeat(300_000))]))
  const entries = entriesOf(await readAll(log, 6))
  assert.deepEqual(
    entries.map(({ offset, version }) => ({ offset, version })),
    // The barrier has the offset 4 and the number 5.
    [0, 1, 2, 3, 5].map((offset) => ({ offset, version: (1n << 48n) | BigInt(offset + 1) })),
  )
  assert.deepEqual(
    entries.map(({ change }) => change),
    [...first, ...second, insertOf(orders, 8, 'x'.repeat(300_000))],
  )
}

async function keyOrder({ log, reopen }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  for (let round = 0; round < 10; round++) {
    const changes = Array.from({ length: 20 }, (_, id) => updateOf(orders, id, `round ${round}`))
    await log.append(numbering.batch(changes))
  }
  const before = laneOfKeys(await readAll(log, 200))
  assert.equal(new Set(before.values()).size, lanes, 'twenty keys use every lane')
  const again = await reopen()
  const batches = await readAll(again, 200)
  assert.deepEqual(laneOfKeys(batches), before)
  for (const batch of batches) assertAscends([...batch.entries])
  assert.equal(entriesOf(batches).length, 200)
}

async function ownRecords({ log }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  await log.define({ name: 'both@main', tables: ['shop.orders', 'shop.notes'], at: 0, attributes: {} })
  await log.append(numbering.batch([insertOf(orders, 1), insertOf(notes, 2), insertOf(orders, 3)]))
  await log.append(numbering.batch([insertOf(orders, 4)], { addressee: group }))
  await log.append(numbering.batch([insertOf(orders, 5)], { addressee: 'both@main' }))
  await log.append(numbering.batch([insertOf(notes, 6)]))
  assert.deepEqual(ids(await readAll(log, 6)), [1, 3, 4])
  assert.deepEqual(ids(await readAll(log, 6, 'both@main')), [1, 2, 3, 5, 6])
}

async function ownPipeline({ log, reopen }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  for (const name of ['both@main', 'both@spare', 'bothered@main'])
    await log.define({ name, tables: ['shop.orders'], at: 0, attributes: {} })
  await log.append(numbering.batch([insertOf(orders, 1)], { addressee: 'both' }))
  await log.append(numbering.batch([insertOf(orders, 2)], { addressee: 'both@spare' }))
  await log.append(numbering.batch([insertOf(orders, 3)]))
  for (const opened of [() => Promise.resolve(log), reopen]) {
    const each = await opened()
    assert.deepEqual(ids(await readAll(each, 3, 'both@main')), [1, 3])
    assert.deepEqual(ids(await readAll(each, 3, 'both@spare')), [1, 2, 3])
    assert.deepEqual(ids(await readAll(each, 3, 'bothered@main')), [3])
    assert.deepEqual(ids(await readAll(each, 3)), [3])
  }
}

async function committed({ log, reopen, crash }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  await log.append(numbering.batch(Array.from({ length: 40 }, (_, id) => insertOf(orders, id))))
  const batches = await readAll(log, 40)
  const lane = batches.find(({ entries }) => entries.length > 2)
  assert(lane !== undefined)
  const third = [...lane.entries][2]
  assert(third !== undefined)
  await log.commit(group, lane.lane, third.offset)
  const own = new Set([...lane.entries].map(({ offset }) => offset))
  const left = entriesOf(batches).filter(({ offset }) => offset >= third.offset || !own.has(offset))
  assert.deepEqual(entriesOf(await readAll(log, 40)), left)
  const again = await reopen()
  assert.deepEqual(entriesOf(await readAll(again, 40)), left)
  await Promise.all(Array.from({ length: lanes }, (_, each) => again.commit(group, each, 40)))
  const third2 = await crash()
  assert.deepEqual((await third2.groups())[0]?.lanes, [40, 40, 40, 40])
  await third2.tail()
  await third2.append(numbering.batch([insertOf(orders, 99)]))
  assert.deepEqual(ids(await readAll(third2, 41)), [99])
}

async function waiting({ log }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  const reading = readUntil(log.read(group, new AbortController().signal), (read) => ids(read).length === 3)
  for (const id of [1, 2, 3]) {
    await turn()
    await log.append(numbering.batch([insertOf(orders, id)]))
  }
  assert.deepEqual(ids(await reading), [1, 2, 3])
}

async function readingBeforeBeginning({ log }: LogSubject): Promise<void> {
  await log.tail()
  await log.define({ name: group, tables: ['shop.orders'], at: 0, attributes: {} })
  const reading = readUntil(log.read(group, new AbortController().signal), (read) => ids(read).length === 1)
  await turn()
  await log.append(new Numbering(lanes).batch([insertOf(orders, 5)]))
  assert.deepEqual(ids(await reading), [5])
}

async function aborting({ log }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  await log.append(numbering.batch(Array.from({ length: 40 }, (_, id) => insertOf(orders, id))))
  const early = new AbortController()
  let batches = 0
  for await (const _ of log.read(group, early.signal)) {
    batches++
    early.abort()
  }
  assert.equal(batches, 1)
  const late = new AbortController()
  const read: LaneBatch[] = []
  for await (const batch of log.read(group, late.signal)) {
    read.push(batch)
    if (allReached(40, lanes)(read)) setImmediate(() => late.abort())
  }
  assert.equal(ids(read).length, 40)
  const never = AbortSignal.abort()
  for await (const _ of log.read(group, never)) assert.fail('an aborted reader gets nothing')
}

async function idleLanes({ log }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  await log.append(numbering.batch(Array.from({ length: 10 }, (_, id) => insertOf(notes, id))))
  const batches = await readUntil(log.read(group, new AbortController().signal), allReached(10, lanes))
  assert.deepEqual(ids(batches), [])
  for (const { lane, next } of batches) await log.commit(group, lane, next)
  assert.deepEqual((await log.groups())[0]?.lanes, [10, 10, 10, 10])
}

async function redefining({ log, reopen }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  await log.append(numbering.batch([insertOf(orders, 1), insertOf(notes, 2)]))
  for (let lane = 0; lane < lanes; lane++) await log.commit(group, lane, 1)
  await log.define({ name: group, tables: ['shop.notes'], attributes: { index: 'a' } })
  const again = await reopen()
  assert.deepEqual(await again.groups(), [
    { name: group, tables: ['shop.notes'], lanes: [1, 1, 1, 1], attributes: { index: 'a' }, lost: false },
  ])
  await again.define({ name: group, tables: ['shop.notes', 'shop.orders'], at: 0, attributes: {} })
  assert.deepEqual(ids(await readAll(again, 2)), [1, 2])
}

async function lag({ log }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  assert.deepEqual(await log.lag(group), { changes: 0, oldestCommittedAtMs: undefined })
  await log.append(numbering.batch([insertOf(notes, 1), insertOf(orders, 2), insertOf(orders, 3)]))
  const second = insertOf(orders, 2)
  assert.deepEqual(await log.lag(group), { changes: 2, oldestCommittedAtMs: second.committedAtMs })
  for (let lane = 0; lane < lanes; lane++) await log.commit(group, lane, 2)
  const third = insertOf(orders, 3)
  assert.deepEqual(await log.lag(group), { changes: 1, oldestCommittedAtMs: third.committedAtMs })
  for (let lane = 0; lane < lanes; lane++) await log.commit(group, lane, 3)
  assert.deepEqual(await log.lag(group), { changes: 0, oldestCommittedAtMs: undefined })
  const { oldest, next, bytes, bytesMax } = await log.retention()
  assert.deepEqual({ oldest, next }, { oldest: 0, next: 3 })
  assert(bytes > 0 && bytesMax > bytes)
}

async function finding({ log }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  await log.append(numbering.batch([insertOf(orders, 1), insertOf(notes, 1), insertOf(orders, 11)]))
  await log.append(numbering.batch([updateOf(orders, 1, 'new')], { addressee: group }))
  await log.append(numbering.batch([deleteOf(orders, 1)]))
  const found = []
  for await (const { offset, change, addressee } of log.find('shop.orders', keyFor(1)))
    found.push([offset, change.op, addressee])
  assert.deepEqual(found, [
    [0, 'insert', undefined],
    [3, 'update', group],
    [4, 'delete', undefined],
  ])
}

async function crashing({ log, crash }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  await log.append(numbering.batch([insertOf(orders, 1), insertOf(orders, 2)]))
  const { control } = numbering
  const batch = numbering.batch([insertOf(orders, 3), insertOf(orders, 4)])
  const unknown = log.append(batch).catch(() => {})
  const again = await crash()
  await unknown
  const found = await again.tail()
  const survived = found?.seq === batch.control.seq
  assert.deepEqual(found, survived ? batch.control : control)
  if (found !== undefined) numbering.control = found
  const next = survived ? 4 : 2
  assert.equal(await again.append(numbering.batch([insertOf(orders, 5)])), next + 1)
  assert.deepEqual(ids(await readAll(again, next + 1)), survived ? [1, 2, 3, 4, 5] : [1, 2, 5])
}

async function lostGroup({ log, reopen, overflow }: LogSubject): Promise<void> {
  if (overflow === undefined) return
  const numbering = await begunLog(log)
  await log.append(numbering.batch([insertOf(orders, 1)]))
  await overflow(log, numbering)
  await log.drop()
  const { oldest, bytes, bytesMax, next } = await log.retention()
  assert(oldest > 0 && bytes <= bytesMax)
  const again = await reopen()
  assert.deepEqual(
    (await again.groups()).map(({ lost }) => lost),
    [true],
  )
  await assert.rejects(
    readUntil(again.read(group, new AbortController().signal), () => true),
    isLost,
  )
  await assert.rejects(again.define({ name: group, tables: ['shop.orders'], at: 0, attributes: {} }), isLost)
  await again.define({ name: group, tables: ['shop.orders'], at: next, attributes: {} })
  await again.tail()
  await again.append(numbering.batch([insertOf(orders, 2)]))
  assert.deepEqual(ids(await readAll(again, next + 1)), [2])
}

function isLost(error: unknown): boolean {
  return error instanceof Failure && error.kind === 'lost'
}

/** A log that takes appends, and has the group from its beginning on. */
function readAll(log: Log, next: number, name = group): Promise<LaneBatch[]> {
  return readUntil(log.read(name, new AbortController().signal), allReached(next, lanes))
}

function ids(batches: readonly LaneBatch[]): number[] {
  return entriesOf(batches).map(({ change }) => Number(change.key.slice(1, -1)))
}

function laneOfKeys(batches: readonly LaneBatch[]): Map<string, number> {
  const found = new Map<string, number>()
  for (const { lane, entries } of batches)
    for (const { change } of entries) {
      assert.equal(found.get(change.key) ?? lane, lane, 'a key stays in its lane')
      found.set(change.key, lane)
    }
  return found
}

function assertAscends(entries: readonly Entry[]): void {
  for (const [at, entry] of entries.entries()) {
    const before = entries[at - 1]
    assert(before === undefined || (before.offset < entry.offset && before.version < entry.version))
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
