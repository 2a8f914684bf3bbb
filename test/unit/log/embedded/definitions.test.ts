import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Table } from '../../../../src/change/change.ts'
import { packTable, SegmentDefinitions, unpackTable } from '../../../../src/log/embedded/definitions.ts'
import { testTable } from '../../../support/changes.ts'

test('a table comes out of its definition as it went in', () => {
  const table: Table = {
    name: 'shop.größen',
    columns: [
      { name: 'größe', kind: 'enum', type: "enum('groß','klein')", nullable: true },
      {
        name: 'n',
        kind: 'decimal',
        type: 'decimal(65,30)',
        nullable: false,
        unsigned: true,
        precision: 65,
        scale: 30,
      },
    ],
    key: [1, 0],
  }
  assert.deepEqual(unpackTable(packTable(table)), table)
})

test('a definition is pending until its frame is safe, and has one number however often it comes', () => {
  const definitions = new SegmentDefinitions()
  const [orders, notes] = [testTable('shop.orders'), testTable('shop.notes')]
  assert.equal(definitions.numberOf(orders), 0)
  assert.equal(definitions.numberOf(testTable('shop.orders')), 0, 'another object, the same definition')
  assert.deepEqual(definitions.pending(), { first: 0, texts: [packTable(orders)] })
  definitions.keep()
  assert.equal(definitions.numberOf(notes), 1)
  definitions.revert()
  assert.deepEqual(definitions.pending(), { first: 1, texts: [] })
  assert.equal(definitions.numberOf(notes), 1)
  assert.deepEqual(definitions.pending(), { first: 1, texts: [packTable(notes)] })
})
