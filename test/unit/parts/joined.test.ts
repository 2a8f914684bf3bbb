import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { QueryDefinition } from '../../../src/document/definition.ts'
import { checkExcluded, checkJoins, describeFields } from '../../../src/parts/joined.ts'
import type { TableDescription } from '../../../src/source/source.ts'
import { child, root } from '../../support/joined-definition.ts'

const integer = { kind: 'integer', type: 'int', nullable: false } as const
const triggers = {
  'shop.lines': { on: { order_id: 'id' } },
  'shop.products': { columns: ['code'], roots: 'SELECT order_id FROM shop.stock' },
}

/** Any table, with one column. */
function withIdAlone(name: string): Promise<TableDescription> {
  const table = { name, columns: [{ name: 'id', ...integer }], key: [0] }
  return Promise.resolve({ table, excluded: [], rowsEstimate: 1 })
}

/** Of a query that reads orders, lines and units; the one that finds roots reads stock. */
async function fieldsOf(sql: Partial<QueryDefinition>): Promise<readonly string[]> {
  const definition = root('shop.orders', {}, { sql: { query: 'SELECT', triggers, still: [], ...sql } })
  const fields = await describeFields(definition, {
    describe: withIdAlone,
    describeQuestion: ({ sql: asked }) =>
      Promise.resolve({
        answer: { name: 'answer', columns: ['id', 'größe'].map((name) => ({ name, ...integer })), key: [0] },
        tables: asked === 'SELECT' ? ['shop.orders', 'Shop.Lines', 'shop.units'] : ['shop.stock'],
      }),
  })
  return fields.map(({ field }) => field)
}

test('a table that a query reads and no trigger names is refused, in the queries that find roots too', async () => {
  await assert.rejects(fieldsOf({}), /reads shop\.units, and no trigger says/)
  await assert.rejects(fieldsOf({ still: ['shop.units'] }), /reads shop\.stock, and no trigger says/)
})

test('the fields of documents are the columns that the query answers with', async () => {
  assert.deepEqual(await fieldsOf({ still: ['shop.units', 'shop.stock'] }), ['id', 'größe'])
})

test('a column by which child rows are to be ordered and that is not there is named', async () => {
  const lines = child('shop.lines', { id: 'id' }, { order: [{ column: 'position', descending: false }] })
  await assert.rejects(
    checkJoins(root('shop.orders', { lines }), { describe: withIdAlone }),
    /children\.lines\.order: shop\.lines has no column position/,
  )
})

test('a column of child rows that is to be left out and that is not there is named', async () => {
  const lines = child('shop.lines', { id: 'id' }, { exclude: ['secrt'] })
  await assert.rejects(
    checkExcluded(root('shop.orders', { lines }, { exclude: ['id'] }), { describe: withIdAlone }),
    /shop\.lines has no column secrt, which is to be left out/,
  )
})
