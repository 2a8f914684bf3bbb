import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Change, Table } from '../../../../src/change/change.ts'
import { packRecords, RecordsBuilder } from '../../../../src/change/records.ts'
import { bytesOf, keyOf, packRow, type Cell } from '../../../../src/change/row.ts'
import { keyBytes, opName } from '../../../../src/log/kafka/envelope.ts'
import { EnvelopeReader, type EnvelopePlace } from '../../../../src/log/kafka/envelope-reader.ts'
import { EnvelopeWriter } from '../../../../src/log/kafka/envelope-writer.ts'

const table: Table = {
  name: 'shop.größe',
  columns: [
    { name: 'id', kind: 'integer', type: 'int', nullable: false },
    { name: 'quo"te', kind: 'string', type: 'varchar(9)', nullable: false },
    { name: 'größe', kind: 'text', type: 'text', nullable: true },
    { name: 'data', kind: 'json', type: 'json', nullable: true },
  ],
  key: [1, 0],
}

const text = fc.string({ unit: 'grapheme' }).map((value) => bytesOf(JSON.stringify(value)))
const absentOr = (cell: fc.Arbitrary<Cell>): fc.Arbitrary<Cell> => fc.option(cell, { nil: undefined })
const row = fc.tuple(
  fc.integer().map(String),
  text,
  absentOr(fc.option(text)),
  absentOr(fc.option(fc.json().map(bytesOf))),
)

const change = fc
  .tuple(fc.constantFrom('insert', 'read', 'update', 'delete', 'touch'), row, row, fc.nat())
  .map(([op, one, other, committedAtMs]): Change => {
    const [before, after] = [packRow(one), packRow([one[0], one[1], other[2], other[3]])]
    const base = { table, committedAtMs, key: keyOf(table, one) }
    if (op === 'update') return { ...base, op, before, after }
    if (op === 'delete') return { ...base, op, before, after: undefined }
    if (op === 'touch') return { ...base, op, before: undefined, after: undefined }
    return { ...base, op: op === 'read' ? 'read' : 'insert', before: undefined, after }
  })

test('whatever a change holds comes back from its envelope, which is JSON', () => {
  const writer = new EnvelopeWriter({ version: '1', name: 'main' })
  const reader = new EnvelopeReader(table)
  fc.assert(
    fc.property(change, (given) => {
      const cursor = packRecords([given]).cursor()
      cursor.next()
      writer.writeKey(cursor)
      const key = Buffer.from(writer.key.bytes.subarray(0, writer.key.at))
      const value = Buffer.alloc(writer.measure(cursor, 5))
      const into = { bytes: value, at: 0 }
      writer.write(cursor, into)
      assert.equal(into.at, value.length)
      assert.deepEqual(key, keyBytes(table, given.key))
      const shown = JSON.parse(value.toString()) as { readonly source: object; readonly op: string }
      assert.equal(shown.op, opName(cursor.operation))
      assert.deepEqual(Object.keys(JSON.parse(key.toString()) as object).toSorted(), ['id', 'quo"te'])
      const builder = new RecordsBuilder()
      reader.read(builder, placed(key, value), { op: shown.op, jsonNulls: writer.jsonNulls })
      assert.deepEqual([...builder.finish()], [given])
    }),
  )
})

test('what is no envelope of the table is a Failure', () => {
  for (const value of ['', '{}', '{"before":1', '{"before":null,"after":{"unknown":1},"source":{"ts_ms":1}}'])
    assert.throws(() => read(value), /a record of shop.größe/)
})

function read(value: string): void {
  const reader = new EnvelopeReader(table)
  const key = Buffer.from('{"quo\\"te":"a","id":1}')
  reader.read(new RecordsBuilder(), placed(key, Buffer.from(value)), { op: 'c', jsonNulls: '' })
}

/** As they lie in a batch, among others. */
function placed(key: Buffer, value: Buffer): EnvelopePlace {
  const other = Buffer.from('{"id":1,"ts_ms":2}"')
  const bytes = Buffer.concat([other, key, other, value, other])
  const valueAt = 2 * other.length + key.length
  return {
    bytes,
    keyAt: other.length,
    keyEnd: other.length + key.length,
    valueAt,
    valueEnd: valueAt + value.length,
  }
}
