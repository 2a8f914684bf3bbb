import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Change, Table } from '../../../../src/change/change.ts'
import { packRecords, RecordsBuilder } from '../../../../src/change/records.ts'
import { bytesOf, keyOf, packRow, type Cell } from '../../../../src/change/row.ts'
import { EnvelopeReader, EnvelopeWriter, keyBytes, opName } from '../../../../src/log/kafka/envelope.ts'

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
      const key = Buffer.from(writer.key(cursor))
      const value = Buffer.from(writer.value(cursor, 5))
      assert.deepEqual(key, keyBytes(table, given.key))
      const shown = JSON.parse(value.toString()) as { readonly source: object; readonly op: string }
      assert.equal(shown.op, opName(cursor.operation))
      assert.deepEqual(Object.keys(JSON.parse(key.toString()) as object).toSorted(), ['id', 'quo"te'])
      const builder = new RecordsBuilder()
      reader.read(builder, key, value, { op: shown.op, jsonNulls: writer.jsonNulls })
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
  reader.read(new RecordsBuilder(), key, Buffer.from(value), { op: 'c', jsonNulls: '' })
}
