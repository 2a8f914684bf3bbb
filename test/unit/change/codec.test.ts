import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Change, Key, Table } from '../../../src/change/change.ts'
import { packChanges, PackedChanges, packTable, unpackTable } from '../../../src/change/codec.ts'
import { Failure } from '../../../src/change/failure.ts'
import { packNumber, packString, Unpacker } from '../../../src/change/packing.ts'
import { bytesOf, packRow, type Cell } from '../../../src/change/row.ts'
import { insertOf, testTable } from '../../support/changes.ts'

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('', '東京', '\u0000\u0001\u007f\u0080ÿ', '🦀'.repeat(50), 'x'.repeat(70_000)),
)
const cell: fc.Arbitrary<Cell> = fc.oneof(
  fc.constantFrom(null, undefined, 'null', '12.50', 'true'),
  text.map((value) => bytesOf(JSON.stringify(value))),
)
const row = fc.array(cell, { maxLength: 8 }).map(packRow)
const key = fc
  .array(fc.oneof(fc.integer(), text), { minLength: 1, maxLength: 3 })
  .map((values) => bytesOf(JSON.stringify(values)) as Key)
const tables = ['shop.orders', 'shop.größen', 'a.b'].map(testTable)
const context = fc.record({
  table: fc.constantFrom(...tables),
  committedAtMs: fc.constantFrom(0, 1, 127, 128, 1_767_225_600_123, Number.MAX_SAFE_INTEGER),
})
const change: fc.Arbitrary<Change> = fc
  .tuple(context, key, row, row, fc.constantFrom('insert', 'read', 'update', 'delete'))
  .map(([shared, itsKey, before, after, op]): Change => {
    if (op === 'update') return { ...shared, op, key: itsKey, before, after }
    if (op === 'delete') return { ...shared, op, key: itsKey, before, after: undefined }
    return { ...shared, op, key: itsKey, before: undefined, after }
  })

test('changes come out of packed text as they went in', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), fc.string({ unit: 'binary' }), (changes, prefix) => {
      const before = bytesOf(prefix)
      const packed = before + packChanges(changes, (table) => tables.indexOf(table) * 100)
      assert.equal(Buffer.from(packed, 'latin1').toString('latin1'), packed, 'each character is a byte')
      const unpacked: Change[] = []
      const walk = new PackedChanges(packed, before.length)
      while (walk.next()) unpacked.push(walk.change(tableNumbered(walk.tableNumber / 100)))
      assert.deepEqual(unpacked, changes)
    }),
  )
})

test('numbers and strings come out of packed text as they went in', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.maxSafeNat(), text)), (pairs) => {
      const packed = pairs.map(([number, value]) => packNumber(number) + packString(bytesOf(value))).join('')
      const unpacker = new Unpacker(packed, 0)
      for (const [number, value] of pairs) {
        assert.equal(unpacker.number(), number)
        assert.equal(unpacker.string(), bytesOf(value))
      }
      assert.equal(unpacker.at, packed.length)
    }),
  )
})

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

test('the packed form is fixed: a log of today is read by every later program', () => {
  const table = tableNumbered(0)
  const packed = packChanges([insertOf(table, 7), insertOf(table, 7)], () => 5)
  // The second record shares table and time with the first.
  const version = '01'
  const first = '180587d095ffbc31030a'
  const second = '00030a'
  const images = '5b375d03370922726f77203722'
  const found = Buffer.from(packed, 'latin1').toString('hex')
  assert.equal(found, version + first + images + second + images)
})

test('text of another version or with characters that are no bytes is refused', () => {
  assert.throws(() => new PackedChanges('\u0002', 0), Failure)
  const wrong = { ...insertOf(tableNumbered(0), 1), key: '[東]' as Key }
  assert.throws(() => packChanges([wrong], () => 0), /not bytes/)
  const cut = packChanges([insertOf(tableNumbered(0), 1)], () => 0).slice(0, -1)
  const walk = new PackedChanges(cut, 0)
  assert(walk.next())
  assert.throws(() => walk.next(), Failure)
})

function tableNumbered(number: number): Table {
  const table = tables[number]
  assert(table !== undefined)
  return table
}
