import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Change, Key } from '../../../src/change/change.ts'
import { Failure } from '../../../src/change/failure.ts'
import { packRecords, Records, RecordsBuilder } from '../../../src/change/records.ts'
import { anyChange } from '../../support/any-change.ts'
import { deleteOf, insertOf, testTable, updateOf } from '../../support/changes.ts'

const orders = testTable('shop.orders')
const notes = testTable('shop.notes')

test('changes come out of records as they went in', () => {
  fc.assert(
    fc.property(fc.array(anyChange, { maxLength: 20 }), (changes) => {
      const records = packRecords(changes)
      assert.equal(records.count, changes.length)
      assert.deepEqual([...records], changes)
    }),
  )
})

test('each record can be read alone, whatever comes before it', () => {
  fc.assert(
    fc.property(fc.array(anyChange, { maxLength: 20 }), (changes) => {
      const records = packRecords(changes)
      const places: number[] = []
      for (const cursor = records.cursor(); cursor.next();) places.push(cursor.place)
      const cursor = records.cursor()
      for (const [at, place] of [...places.entries()].toReversed()) {
        cursor.seek(place)
        assert.deepEqual(cursor.change(), changes[at])
      }
    }),
  )
})

test('what a builder gave out does not change with what it makes next, small or large', () => {
  fc.assert(
    fc.property(fc.array(fc.array(anyChange, { maxLength: 5 }), { maxLength: 6 }), (runs) => {
      const builder = new RecordsBuilder(100)
      const made = runs.map((changes) => {
        for (const change of changes) builder.add(change)
        return builder.finish()
      })
      assert.deepEqual(
        made.map((records) => [...records]),
        runs,
      )
    }),
  )
})

test('the tables of a run are its own, each once', () => {
  const builder = new RecordsBuilder()
  for (const table of [orders, notes, orders]) builder.add(insertOf(table, 1))
  assert.deepEqual(builder.finish().tables, [orders, notes])
  builder.add(insertOf(notes, 2))
  assert.deepEqual(builder.finish().tables, [notes])
  assert.deepEqual(builder.finish(), new Records(Buffer.alloc(0), [], 0))
})

test('the form of a record is fixed: a log of today is read by every later program', () => {
  const records = packRecords([insertOf(orders, 7), updateOf(notes, 7, ''), deleteOf(notes, 7)])
  const row = '033709' + Buffer.from('"row 7"').toString('hex')
  const key = Buffer.from('[7]').toString('hex')
  const time = '0768e5cf8b01'
  const found = [
    `00000000${time}000000000a00000003000000${row}${key}`,
    `02000100${time}0a0000000500000003000000${row}0337042222${key}`,
    `03000100${time}0a0000000000000003000000${row}${key}`,
  ]
  assert.equal(records.bytes.toString('hex'), found.join(''))
})

test('a record that is cut short, at any byte, is refused', () => {
  const { bytes, tables } = packRecords([updateOf(orders, 1, 'new')])
  for (let length = 1; length < bytes.length; length++)
    assert.throws(() => [...new Records(bytes.subarray(0, length), tables, 1)], isFailure('corrupt'))
})

test('a length that goes beyond the records is refused', () => {
  for (const at of [10, 14, 18])
    for (const length of [200, 70_000, 0xff_ff_ff_ff]) {
      const { bytes, tables } = packRecords([updateOf(orders, 1, 'new')])
      bytes.writeUInt32LE(length, at)
      assert.throws(() => [...new Records(bytes, tables, 1)], isFailure('corrupt'))
    }
})

test('an unknown operation and an unknown table are refused', () => {
  const { bytes } = packRecords([insertOf(orders, 1)])
  assert.throws(() => [...new Records(bytes, [], 1)], isFailure('corrupt'))
  bytes[0] = 9
  assert.throws(() => [...new Records(bytes, [orders], 1)], isFailure('unsupported'))
})

test('characters that are no bytes are refused', () => {
  const wrong: Change = { ...insertOf(orders, 1), key: '[東]' as Key }
  assert.throws(() => packRecords([wrong]), /not bytes/)
})

function isFailure(kind: Failure['kind']): (error: unknown) => boolean {
  return (error) => error instanceof Failure && error.kind === kind
}
