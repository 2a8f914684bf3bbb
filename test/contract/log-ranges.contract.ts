/** What every change log keeps to when somebody names a stretch of it: part of the suite in log.contract.ts. */
import assert from 'node:assert/strict'
import type { Entry, LogPlace } from '../../src/log/log.ts'
import { deleteOf, insertOf, keyFor, Numbering, readOf, testTable } from '../support/changes.ts'
import type { LogSubject } from './log.contract.ts'

type Log = LogSubject['log']

const lanes = 4
const group = 'orders@main'
const orders = testTable('shop.orders')
const notes = testTable('shop.notes')

export const rangeRules: Readonly<Record<string, (subject: LogSubject) => Promise<void>>> = {
  'a stretch of the log is read as it was appended, with addressees and barriers': stretches,
  'a place is found by the time of its append and by what its control record has reached': places,
}

async function stretches({ log }: LogSubject): Promise<void> {
  await log.tail()
  const numbering = new Numbering(lanes)
  await log.append(numbering.batch([]))
  await log.append(numbering.batch([insertOf(orders, 1), insertOf(notes, 2)]))
  await log.append({ ...numbering.batch([readOf(orders, 3)]), addressee: group })
  await log.append(numbering.batch([], { barriers: [{ table: 'shop.orders', statement: 'TRUNCATE' }] }))
  const end = await log.append(numbering.batch([deleteOf(orders, 1)]))
  const collect = async (from: number, to: number): Promise<string[]> => {
    const found: string[] = []
    for await (const { records, offset, version, addressee, barriers } of log.range(from, to)) {
      for (const { statement } of barriers) found.push(statement)
      for (const [at, change] of [...records].entries()) {
        const one = { offset: offset + at, version: version + BigInt(at) }
        const entry = await entryAt(log, change.table.name, change.key, one.offset)
        assert.equal(one.version, entry?.version)
        if (one.offset >= from && one.offset < to)
          found.push(
            [one.offset, change.op, change.key, ...(addressee === undefined ? [] : [addressee])].join(' '),
          )
      }
    }
    return found
  }
  const all = [
    `0 insert ${keyFor(1)}`,
    `1 insert ${keyFor(2)}`,
    `2 read ${keyFor(3)} ${group}`,
    'TRUNCATE',
    `4 delete ${keyFor(1)}`,
  ]
  assert.deepEqual(await collect(0, end), all)
  assert.deepEqual(await collect(1, 3), all.slice(1, 3))
  assert.deepEqual(await collect(3, end), all.slice(3))
  assert.deepEqual(await collect(end, end), [])
}

async function entryAt(
  log: Log,
  table: string,
  key: Entry['change']['key'],
  offset: number,
): Promise<Entry | undefined> {
  for await (const entry of log.find(table, key)) if (entry.offset === offset) return entry
  return undefined
}

async function places({ log }: LogSubject): Promise<void> {
  await log.tail()
  const numbering = new Numbering(lanes)
  await log.append(numbering.batch([]))
  for (let id = 1; id <= 40; id++) await log.append(numbering.batch([insertOf(orders, id)]))
  const { seq } = numbering.control
  for (const back of [0, 1, 20, 39])
    assert.deepEqual(await log.appendAt(reached(seq - back)), { first: 39 - back, next: 40 - back })
  assert.equal(await log.appendAt(reached(seq + 1)), undefined)
  assert.equal((await log.appendAt({ kind: 'time', appendedAtMs: 0 }))?.first, 0)
  assert.equal(await log.appendAt({ kind: 'time', appendedAtMs: Number.MAX_SAFE_INTEGER }), undefined)
}

function reached(seq: number): LogPlace {
  return { kind: 'control', reached: (control) => control.seq >= seq }
}
