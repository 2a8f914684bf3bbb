import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Table } from '../../../src/change/change.ts'
import { bytesOf, keyOf, packRow, type Cell } from '../../../src/change/row.ts'
import { JoinedDocuments } from '../../../src/document/joined-rows.ts'
import { joinsOf, markedColumns, parentColumns } from '../../../src/document/joins.ts'
import { relatedRow, type RelatedRows } from '../../../src/source/source.ts'
import { child, root } from '../../support/joined-definition.ts'

type Values = readonly (number | string | null)[]

/** Rows of a table whose first column is its key; marks are the cells of the columns named. */
function rowsOf(
  name: string,
  columns: readonly string[],
  marks: readonly string[],
  rows: readonly Values[],
): RelatedRows {
  const table: Table = {
    name,
    columns: columns.map((column) => ({ name: column, kind: 'integer', type: 'int', nullable: true })),
    key: [0],
  }
  return {
    table,
    rows: rows.map((values) => {
      const cells = values.map((value): Cell => (value === null ? null : bytesOf(JSON.stringify(value))))
      const own = marks.map((mark) => cells[columns.indexOf(mark)] ?? undefined)
      return relatedRow(keyOf(table, cells), packRow(cells), own)
    }),
  }
}

const definition = root('orders', {
  customer: child('customers', { id: 'customer_id' }, { kind: 'one', fields: { Käufer: 'name' } }),
  lines: child(
    'lines',
    { order_id: 'id' },
    {
      fields: { n: 'amount' },
      where: [{ column: 'amount', comparison: 'gt', value: 0 }],
      limit: 2,
      children: { product: child('products', { id: 'product_id' }, { kind: 'one', fields: { id: 'id' } }) },
    },
  ),
  tags: child(
    'tags',
    { id: 'tag_id' },
    { through: { table: 'order_tags', on: { order_id: 'id' } }, fields: { tag: 'id' } },
  ),
})
const joins = joinsOf(definition)
const rootMarks = parentColumns(joins, undefined)

function members(
  found: Readonly<Record<string, readonly [columns: readonly string[], rows: readonly Values[]]>>,
  marks: readonly (string | undefined)[],
): unknown {
  const documents = new JoinedDocuments({
    rootMarks,
    joins,
    found: joins.map((join) => {
      const [columns = [], rows = []] = found[join.table] ?? []
      return rowsOf(join.table, columns, markedColumns(joins, join), rows)
    }),
  })
  const end = documents.write({ mark: (place) => marks[place] })
  return JSON.parse(`{${documents.bytes.toString('utf8', 0, end)}}`)
}

test('rows come under their parents, filtered before the limit counts, in the order of the source', () => {
  const found = {
    customers: [
      ['id', 'name'],
      [
        [7, 'Ada "ü"'],
        [8, 'Bob'],
      ],
    ],
    lines: [
      ['id', 'order_id', 'product_id', 'amount'],
      [
        [1, 1, 5, 3],
        [2, 2, 5, 1],
        [3, 1, null, 0],
        [4, 1, 6, 2],
        [5, 1, 5, 1],
      ],
    ],
    products: [['id'], [[5]]],
    order_tags: [
      ['id', 'order_id', 'tag_id'],
      [
        [1, 1, 31],
        [2, 1, 30],
        [3, 2, 30],
      ],
    ],
    tags: [['id'], [[30], [31]]],
  } as const
  assert.deepEqual(rootMarks, ['customer_id', 'id'])
  assert.deepEqual(members(found, ['7', '1']), {
    customer: { Käufer: 'Ada "ü"' },
    lines: [
      { n: 3, product: { id: 5 } },
      { n: 2, product: null },
    ],
    tags: [{ tag: 30 }, { tag: 31 }],
  })
})

test('what is NULL joins nothing, and what is not there is null or an empty array', () => {
  assert.deepEqual(members({ customers: [['id', 'name'], [[null, 'nobody']]] }, [undefined, '1']), {
    customer: null,
    lines: [],
    tags: [],
  })
})
