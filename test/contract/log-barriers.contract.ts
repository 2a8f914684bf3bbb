/** What every change log keeps to with barriers: part of the suite in log.contract.ts. */
import assert from 'node:assert/strict'
import type { Barrier, Offset } from '../../src/change/change.ts'
import type { LaneBatch } from '../../src/log/log.ts'
import {
  allReached,
  begunLog,
  insertOf,
  type Numbering,
  readUntil,
  testTable,
  updateOf,
} from '../support/changes.ts'
import type { LogSubject } from './log.contract.ts'

const lanes = 4
const group = 'orders@main'
const orders = testTable('shop.orders')
const notes = testTable('shop.notes')
const emptied: Barrier = {
  table: 'shop.orders',
  statement: 'TRUNCATE größe',
  effect: { kind: 'emptied' },
}
const unknown: Barrier = { table: 'shop.orders', statement: 'ALTER' }

export const barrierRules: Readonly<Record<string, (subject: LogSubject) => Promise<void>>> = {
  'a barrier comes to every lane of its table, alone, between what came before and behind it': everyLane,
  'a barrier comes again to the lanes that have not committed it, and to no others': again,
}

async function begin({ log }: LogSubject): Promise<{ readonly numbering: Numbering; readonly end: Offset }> {
  const numbering = await begunLog(log)
  await log.define({ name: 'notes@main', tables: ['shop.notes'], at: 0, attributes: {} })
  const rows = Array.from({ length: 20 }, (_, id) => insertOf(orders, id))
  await log.append(numbering.batch([...rows, insertOf(notes, 1)], { barriers: [emptied, unknown] }))
  const updates = Array.from({ length: 20 }, (_, id) => updateOf(orders, id, 'behind'))
  return { numbering, end: await log.append(numbering.batch(updates)) }
}

/** What came to a lane: versions of entries, and barriers. */
type Told = bigint | string

function toldTo(lane: number, batches: readonly LaneBatch[]): readonly Told[] {
  return batches
    .filter((batch) => batch.lane === lane)
    .flatMap(({ barrier, entries }): readonly Told[] => {
      if (barrier === undefined) return [...entries].map(({ version }) => version)
      assert.equal(entries.length, 0, 'a barrier comes alone')
      const { version, ...rest } = barrier
      return [`${version & 0xffffn} ${JSON.stringify(rest)}`]
    })
}

async function everyLane(subject: LogSubject): Promise<void> {
  const { end } = await begin(subject)
  const wanted = [`22 ${JSON.stringify(emptied)}`, `23 ${JSON.stringify(unknown)}`]
  for (const opened of [() => Promise.resolve(subject.log), subject.reopen]) {
    const log = await opened()
    const batches = await readUntil(log.read(group, alive()), allReached(end, lanes))
    let entries = 0
    for (let lane = 0; lane < lanes; lane++) {
      const told = toldTo(lane, batches)
      const at = told.findIndex((each) => typeof each === 'string')
      assert.deepEqual(told.slice(at, at + 2), wanted, `lane ${lane}`)
      const [before, behind] = [told.slice(0, at), told.slice(at + 2)]
      assert.ok(before.every((version) => typeof version === 'bigint' && (version & 0xffffn) < 22n))
      assert.ok(behind.every((version) => typeof version === 'bigint' && (version & 0xffffn) > 23n))
      entries += before.length + behind.length
    }
    assert.equal(entries, 40)
    const others = await readUntil(log.read('notes@main', alive()), allReached(end, lanes))
    assert.ok(others.every(({ barrier }) => barrier === undefined))
  }
}

async function again(subject: LogSubject): Promise<void> {
  const { log } = subject
  await begin(subject)
  const batches = await readUntil(log.read(group, alive()), (read) => {
    const barred = read.filter(({ barrier }) => barrier !== undefined)
    return barred.length === 2 * lanes
  })
  // Lane 0 has passed both, lane 1 the first, lane 2 stands right before them.
  const places = (lane: number): readonly LaneBatch[] =>
    batches.filter((batch) => batch.lane === lane && batch.barrier !== undefined)
  const [first] = places(1)
  const [, second] = places(0)
  assert(first !== undefined && second !== undefined)
  await log.commit(group, 0, second.next)
  await log.commit(group, 1, first.next)
  const before = batches.findLast((batch) => batch.lane === 2 && batch.next < first.next)
  if (before !== undefined) await log.commit(group, 2, before.next)
  const reread = await readUntil(
    (await subject.reopen()).read(group, alive()),
    (read) => read.filter(({ barrier }) => barrier !== undefined).length >= 5,
  )
  const counts = [0, 1, 2, 3].map(
    (lane) => reread.filter((batch) => batch.lane === lane && batch.barrier !== undefined).length,
  )
  assert.deepEqual(counts, [0, 1, 2, 2])
}

function alive(): AbortSignal {
  return AbortSignal.timeout(60_000)
}
