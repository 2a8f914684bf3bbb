/** Changes of every kind, for properties. */
import * as fc from 'fast-check'
import type { Change, Key } from '../../src/change/change.ts'
import { bytesOf, packRow, type Cell } from '../../src/change/row.ts'
import { testTable } from './changes.ts'

export const anyTables = ['shop.orders', 'shop.größen', 'a.b'].map(testTable)

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
const context = fc.record({
  table: fc.constantFrom(...anyTables),
  committedAtMs: fc.constantFrom(0, 1, 255, 256, 1_767_225_600_123, 2 ** 48 - 1),
})

export const anyChange: fc.Arbitrary<Change> = fc
  .tuple(context, key, row, row, fc.constantFrom('insert', 'read', 'update', 'delete', 'touch'))
  .map(([shared, itsKey, before, after, op]): Change => {
    switch (op) {
      case 'update':
        return { ...shared, op, key: itsKey, before, after }
      case 'delete':
        return { ...shared, op, key: itsKey, before, after: undefined }
      case 'touch':
        return { ...shared, op, key: itsKey, before: undefined, after: undefined }
      default:
        return { ...shared, op, key: itsKey, before: undefined, after }
    }
  })
