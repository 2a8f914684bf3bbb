import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../../../src/change/failure.ts'
import { eventType, type BinlogEvent } from '../../../../../src/source/mysql/binlog/binlog-events.ts'
import { jsonCell } from '../../../../../src/source/mysql/values/json.ts'
import { wholeUpdate } from '../../../../../src/source/mysql/rows/partial-update.ts'
import type { TableMap } from '../../../../../src/source/mysql/rows/table-map.ts'
import { CODE } from '../../../../../src/source/mysql/values/wire-column.ts'
import { encodeJson } from '../../../../support/binary-json.ts'

/** Three columns: id TINYINT, note JSON, doc JSON. */
const map: TableMap = {
  tableId: 5,
  schema: 'shop',
  name: 'items',
  table: undefined,
  decoder: undefined,
  columns: [
    { code: CODE.tiny, metadata: 0, nullable: false },
    { code: CODE.json, metadata: 4, nullable: true },
    { code: CODE.json, metadata: 4, nullable: true },
  ],
}
const old = encodeJson(['old', 1n])
const young = encodeJson(['young', 1n])
/** Replaces the first cell. */
const difference = Buffer.concat([Buffer.of(0, 4), Buffer.from('$[0]'), Buffer.of(7), encodeJson('young')])

test('a document is put together from the one before and the differences; whole values and NULL stay', () => {
  // Present before and after: all columns. Before: 7, NULL, old. After: 7, a whole value, differences.
  const before = [Buffer.of(0b010), Buffer.of(7), sized(old)]
  const after = [Buffer.of(1, 0b10), Buffer.of(0), Buffer.of(7), sized(young), sized(difference)]
  const plain = wholeUpdate(eventOf(0b111, 0b111, [...before, ...after]), map)
  assert.equal(plain.type, eventType.updateRows)
  // A document that was changed is written in the large form.
  const made = encodeJson(['young', 1n], true)
  const expected = [...before, Buffer.of(0), Buffer.of(7), sized(young), sized(made)]
  assert.deepEqual(rowsIn(plain), Buffer.concat([Buffer.of(3, 0b111, 0b111), ...expected]))
  assert.equal(jsonCell(made, 0, made.length), '["young", 1]')
})

test('an image after the change without any difference is that of an ordinary update', () => {
  const before = [Buffer.of(0), Buffer.of(7), sized(old), sized(old)]
  const image = [Buffer.of(0b100), Buffer.of(7), sized(young)]
  const plain = wholeUpdate(eventOf(0b111, 0b111, [...before, Buffer.of(0), ...image]), map)
  assert.deepEqual(rowsIn(plain), Buffer.concat([Buffer.of(3, 0b111, 0b111), ...before, ...image]))
})

test('differences to a value that is not in the event leave the column absent in all rows of the event', () => {
  // Present before: the id. After: the id and the second document; of two rows the first holds differences.
  const first = [
    Buffer.of(0),
    Buffer.of(7),
    Buffer.of(1, 0b10),
    Buffer.of(0),
    Buffer.of(7),
    sized(difference),
  ]
  const second = [Buffer.of(0), Buffer.of(8), Buffer.of(1, 0), Buffer.of(0), Buffer.of(8), sized(young)]
  const plain = wholeUpdate(eventOf(0b001, 0b101, [...first, ...second]), map)
  assert.deepEqual(rowsIn(plain), Buffer.of(3, 0b001, 0b001, 0, 7, 0, 7, 0, 8, 0, 8))
})

test('an event that is cut, or of another table, is corrupt; unknown options are refused', () => {
  const before = [Buffer.of(0), Buffer.of(7), sized(old), sized(old)]
  const after = [Buffer.of(1, 0b10), Buffer.of(0), Buffer.of(7), sized(young), sized(difference)]
  const whole = eventOf(0b111, 0b111, [...before, ...after])
  // Shorter ones are cut between two rows, or before the first.
  const firstRow = 13 + 1
  for (let to = firstRow; to < whole.to; to++)
    assert.throws(() => wholeUpdate({ ...whole, to }, map), isOf('corrupt'), `cut at ${to}`)
  assert.throws(() => wholeUpdate(whole, { ...map, columns: map.columns.slice(1) }), isOf('corrupt'))
  const unknown = [Buffer.of(2), Buffer.of(0), Buffer.of(7), sized(young), sized(young)]
  assert.throws(() => wholeUpdate(eventOf(0b111, 0b111, [...before, ...unknown]), map), isOf('unsupported'))
})

function eventOf(before: number, after: number, rows: readonly Buffer[]): BinlogEvent {
  const head = Buffer.of(5, 0, 0, 0, 0, 0, 1, 0, 2, 0)
  const buffer = Buffer.concat([head, Buffer.of(3, before, after), ...rows])
  const type = eventType.partialUpdateRows
  return { type, timestamp: 0, serverId: 1, nextOffset: 0, flags: 0, buffer, from: 0, to: buffer.length }
}

function rowsIn({ buffer, to }: BinlogEvent): Buffer {
  return buffer.subarray(10, to)
}

function sized(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(bytes.length, 0, 0, 0), bytes])
}

function isOf(kind: string): (error: unknown) => boolean {
  return (error) => error instanceof Failure && error.kind === kind
}
