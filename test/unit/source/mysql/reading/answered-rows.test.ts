import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { keyOf, packRow } from '../../../../../src/change/row.ts'
import { AnsweredRows, type Mark } from '../../../../../src/source/mysql/reading/answered-rows.ts'
import { describeColumn, type ColumnType } from '../../../../../src/source/mysql/values/column-type.ts'
import type { TableShape } from '../../../../../src/source/mysql/schema/describe.ts'
import { cellsOf } from '../../../../../src/source/mysql/reading/table-rows.ts'
import { formatOf } from '../../../../../src/source/mysql/values/text-values.ts'

const types: Readonly<Record<string, ColumnType>> = {
  id: { kind: 'integer', bytes: 4, unsigned: false },
  name: { kind: 'string', fixed: false, characters: 60 },
  price: { kind: 'decimal', precision: 20, scale: 4, unsigned: false },
  seen: { kind: 'datetime', digits: 0 },
  raw: { kind: 'blob', lengthBytes: 2 },
  zero: { kind: 'integer', bytes: 4, unsigned: true },
}

/** As describe.ts makes it; `name` is masked in the second. */
function shapeOf(mask?: (bytes: string) => string): TableShape {
  const formats = Object.values(types).map(formatOf)
  if (mask !== undefined) formats[1] = mask
  return {
    table: {
      name: 'shop.items',
      columns: Object.entries(types).map(([name, type]) => describeColumn(name, true, type)),
      key: [0],
    },
    types: Object.values(types),
    formats,
    keyIndex: 'PRIMARY',
    excluded: [],
    rowsEstimate: 0,
    rowBytes: 0,
  }
}

const marks: readonly Mark[] = [
  { at: 0, kind: 'integer', weight: undefined },
  { at: 1, kind: 'string', weight: 'HEX(WEIGHT_STRING(name))' },
  { at: 2, kind: 'decimal', weight: undefined },
]

const anyRow = fc.tuple(
  fc.integer().map(String),
  fc.option(
    fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 300 }).map(latin),
      fc.string({ minLength: 200, maxLength: 300 }).map(latin),
      fc.constant('x'.repeat(70_000)),
      fc.constant('\u00ff broken'),
    ),
  ),
  fc.option(fc.constantFrom('1.5000', '0.0000', '0012.3400', '-7.0000')),
  fc.option(fc.constantFrom('2026-11-22 10:00:00', '0000-00-00 00:00:00')),
  fc.option(fc.string({ maxLength: 40 }).map(latin)),
  fc.constantFrom(null, '0', '00012', '4294967295'),
  fc.option(fc.constantFrom('', '41', '4142')),
)

function latin(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** As the server sends a row in text. */
function packet(values: readonly (string | null)[]): Buffer {
  return Buffer.concat(
    values.map((value) => {
      if (value === null) return Buffer.from([251])
      const bytes = Buffer.from(value, 'latin1')
      if (bytes.length < 251) return Buffer.concat([Buffer.from([bytes.length]), bytes])
      const head = Buffer.alloc(bytes.length < 65_536 ? 3 : 4)
      head[0] = bytes.length < 65_536 ? 252 : 253
      head.writeUIntLE(bytes.length, 1, head.length - 1)
      return Buffer.concat([head, bytes])
    }),
  )
}

for (const [what, shape] of [
  ['as it is', shapeOf()],
  ['with a mask', shapeOf((bytes) => `"${bytes.length}"`)],
] as const)
  test(`rows that are packed from packets have the cells, keys and marks that strings would give: ${what}`, () => {
    fc.assert(
      fc.property(fc.array(anyRow, { maxLength: 8 }), (rows) => {
        const answered = new AnsweredRows(shape, marks, 1)
        for (const values of rows) {
          const bytes = Buffer.concat([Buffer.from('before'), packet(values), Buffer.from('behind')])
          answered.take(bytes, 'before'.length, bytes.length - 'behind'.length)
        }
        const seen = answered.rows.map((row) => [
          row.bytes.toString('latin1', row.from, row.to),
          row.key,
          marks.map((_, place) => row.mark(place)),
        ])
        const expected = rows.map((values) => {
          const cells = cellsOf(shape.formats, values.slice(0, -1))
          const price = cells[2] ?? undefined
          const own = [cells[0], values[6] ?? undefined, price?.replace(/\.?0*"$/, '"')]
          return [packRow(cells), keyOf(shape.table, cells), own]
        })
        assert.deepEqual(seen, expected)
      }),
      { numRuns: 200 },
    )
  })
