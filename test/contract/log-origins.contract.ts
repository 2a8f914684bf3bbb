/** What every change log keeps to when changes say which transactions they come from: part of the suite in log.contract.ts. */
import assert from 'node:assert/strict'
import type { Change } from '../../src/change/change.ts'
import { transactionAt } from '../../src/change/origins.ts'
import { RecordsBuilder, type Records } from '../../src/change/records.ts'
import { begunLog, deleteOf, insertOf, readOf, readUntil, testTable, updateOf } from '../support/changes.ts'
import type { LogSubject } from './log.contract.ts'

const group = 'orders@main'
const orders = testTable('shop.orders')
const notes = testTable('shop.notes')
const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562'

export const originRules: Readonly<Record<string, (subject: LogSubject) => Promise<void>>> = {
  'each change keeps the transaction that it came from, in lanes and in stretches, over reopening':
    transactions,
}

async function transactions({ log, reopen }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  const told: (readonly [string, Change])[] = [
    [`${uuid}:9`, insertOf(orders, 1)],
    [`${uuid}:9`, insertOf(notes, 1)],
    [`${uuid}:9`, insertOf(orders, 2)],
    [`${uuid}:10`, updateOf(orders, 1, 'two')],
    // What is read between changes comes from none.
    ['', readOf(orders, 3)],
    ['0-1-77', deleteOf(orders, 2)],
    ['0-1-77', insertOf(orders, 4)],
  ]
  const runs = [told.slice(0, 3), told.slice(3, 4), told.slice(4, 5), told.slice(5)].map(recordsOf)
  const batch = numbering.batch(told.map(([, change]) => change))
  await log.append({ ...batch, records: runs })
  await log.append(numbering.batch([insertOf(orders, 5)]))
  const again = await reopen()
  const expected = [...told, ['', insertOf(orders, 5)] as const]
    .map(([transaction], offset) => ({ offset, transaction }))
    .filter(({ offset }) => offset !== 1)
  assert.deepEqual(await inLanes(again, expected.length), expected)
  const stretched: string[] = []
  for await (const { records } of again.range(0, told.length))
    for (const cursor = records.cursor(); cursor.next();)
      stretched.push(transactionAt(records.origins, cursor.place))
  assert.deepEqual(
    stretched.slice(0, told.length),
    told.map(([transaction]) => transaction),
  )
}

function recordsOf(told: readonly (readonly [string, Change])[]): Records {
  const builder = new RecordsBuilder()
  for (const [transaction, change] of told) {
    builder.within(transaction)
    builder.add(change)
  }
  return builder.finish()
}

async function inLanes(
  log: LogSubject['log'],
  count: number,
): Promise<readonly { readonly offset: number; readonly transaction: string }[]> {
  const stop = new AbortController()
  const batches = await readUntil(
    log.read(group, stop.signal),
    (read) => read.reduce((sum, { entries }) => sum + entries.length, 0) >= count,
  )
  stop.abort()
  return batches
    .flatMap(({ entries }) =>
      Array.from({ length: entries.length }, (_, at) => ({
        offset: entries.offset(at),
        transaction: entries.transaction(at),
      })),
    )
    .toSorted((one, other) => one.offset - other.offset)
}
