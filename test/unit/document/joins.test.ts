import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decisiveColumns, joinsOf, parentColumns, tablesIn } from '../../../src/document/joins.ts'
import { child, root } from '../../support/joined-definition.ts'

const orders = root('shop.orders', {
  customer: child('shop.customers', { id: 'customer_id' }, { kind: 'one' }),
  lines: child(
    'shop.lines',
    { order_id: 'id' },
    {
      where: [{ column: 'state', comparison: 'eq', value: 'open' }],
      order: [{ column: 'place', descending: true }],
      children: { product: child('shop.products', { shop: 'shop', number: 'product' }, { kind: 'one' }) },
    },
  ),
  tags: child(
    'shop.tags',
    { id: 'tag_id' },
    { through: { table: 'shop.order_tags', on: { order_id: 'id' } } },
  ),
})

test('parents come before their children, and a link table is a join of its own', () => {
  const shown = joinsOf(orders).map(({ table, parent, parentTable, path, child: own }) => ({
    table,
    parent,
    parentTable,
    path,
    isLink: own === undefined,
  }))
  assert.deepEqual(shown, [
    {
      table: 'shop.customers',
      parent: undefined,
      parentTable: 'shop.orders',
      path: 'customer',
      isLink: false,
    },
    { table: 'shop.lines', parent: undefined, parentTable: 'shop.orders', path: 'lines', isLink: false },
    { table: 'shop.products', parent: 1, parentTable: 'shop.lines', path: 'lines.product', isLink: false },
    { table: 'shop.order_tags', parent: undefined, parentTable: 'shop.orders', path: 'tags', isLink: true },
    { table: 'shop.tags', parent: 3, parentTable: 'shop.order_tags', path: 'tags', isLink: false },
  ])
})

test('every table of the tree is watched once, the root first', () => {
  assert.deepEqual(tablesIn(orders), [
    'shop.orders',
    'shop.customers',
    'shop.lines',
    'shop.products',
    'shop.order_tags',
    'shop.tags',
  ])
})

test('columns that join, choose and sort decide, on both sides of a join', () => {
  const joins = joinsOf(orders)
  const decisive = joins.map((join) => decisiveColumns(joins, join))
  assert.deepEqual(decisive, [
    ['id'],
    ['order_id', 'shop', 'product', 'state', 'place'],
    ['shop', 'number'],
    ['order_id', 'tag_id'],
    ['id'],
  ])
  assert.deepEqual(parentColumns(joins, undefined), ['customer_id', 'id'])
})
