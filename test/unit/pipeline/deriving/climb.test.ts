import assert from 'node:assert/strict'
import { test } from 'node:test'
import { childChanges } from '../../../../src/document/child-changes.ts'
import { climb, type Climb } from '../../../../src/pipeline/deriving/climb.ts'
import type { View } from '../../../../src/source/source.ts'
import { child, root } from '../../../support/joined-definition.ts'
import { MemoryDatabase } from '../../../support/memory-database.ts'
import { viewOf } from '../../../support/memory-view.ts'

const integer = { kind: 'integer', type: 'int', nullable: true } as const
const { ascents } = childChanges(
  root('orders', {
    customer: child('customers', { id: 'customer_id' }, { kind: 'one' }),
    lines: child(
      'lines',
      { order_id: 'id' },
      { children: { product: child('products', { id: 'product_id' }, { kind: 'one' }) } },
    ),
  }),
)
const [customer, lines, product] = [0, 1, 2]

/** Orders 1 to 10, all of customer 7; each with two lines, of the products 1 and 2. */
function world(): {
  readonly view: Omit<View, 'head'>
  readonly queries: () => number
  readonly root: ReturnType<MemoryDatabase['createTable']>
} {
  const database = new MemoryDatabase(() => 0)
  const orders = database.createTable(
    'orders',
    [
      { name: 'id', ...integer },
      { name: 'customer_id', ...integer },
    ],
    [0],
  )
  database.createTable(
    'lines',
    [
      { name: 'id', ...integer },
      { name: 'order_id', ...integer },
      { name: 'product_id', ...integer },
    ],
    [0],
  )
  database.transaction((writer) => {
    for (let id = 1; id <= 10; id++) {
      writer.insert('orders', { id, customer_id: 7 })
      for (const product_id of [1, 2])
        writer.insert('lines', { id: id * 10 + product_id, order_id: id, product_id })
    }
  })
  database.reveal(1)
  let queries = 0
  const view = viewOf(database, ['orders', 'lines'], () => {
    queries++
    return Promise.resolve()
  })
  return { view, queries: () => queries, root: orders }
}

async function roots(
  climbs: readonly Climb[],
  more: { pageRows?: number; pagesMax?: number } = {},
): Promise<{ readonly found: readonly string[]; readonly rest: readonly Climb[]; readonly queries: number }> {
  const { view, queries, root: table } = world()
  const parts = { ascents, root: table, pageRows: more.pageRows ?? 100, querying: () => Promise.resolve() }
  const { signal } = new AbortController()
  const answer = await climb(parts, view, { climbs, pagesMax: more.pagesMax ?? 100 }, signal)
  return { found: answer.roots.toSorted(), rest: answer.rest, queries: queries() }
}

test('a row that names its root is followed without a query', async () => {
  const { found, queries } = await roots([{ ascent: lines, values: [['3'], ['4'], ['3']] }])
  assert.deepEqual(found, ['[3]', '[4]'])
  assert.equal(queries, 0)
})

test('levels between are asked, one query each, however many rows there are', async () => {
  const { found, queries } = await roots([{ ascent: product, values: [['1'], ['2'], ['9']] }])
  assert.equal(found.length, 10)
  assert.equal(queries, 1)
})

test('of very many roots one page at a time is taken, and the rest can be gone on with', async () => {
  const found = new Set<string>()
  let climbs: readonly Climb[] = [{ ascent: customer, values: [['7']] }]
  let turns = 0
  for (; climbs.length > 0; turns++) {
    const answer = await roots(climbs, { pageRows: 3, pagesMax: 1 })
    assert(answer.queries <= 1 && answer.found.length <= 3)
    for (const key of answer.found) found.add(key)
    climbs = answer.rest
  }
  assert.equal(found.size, 10)
  assert.equal(turns, 4)
})

test('where one of several values has very many rows, the others are not held up by it', async () => {
  const { rest } = await roots([{ ascent: product, values: [['9'], ['1']] }], { pageRows: 4, pagesMax: 3 })
  assert.deepEqual(rest.at(-1)?.values, [['1']])
  assert.equal(rest.length, 1, 'the other is done')
})
