import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { QueryDefinition } from '../../../src/document/definition.ts'
import { describeFields } from '../../../src/parts/joined.ts'
import { root } from '../../support/joined-definition.ts'

const integer = { kind: 'integer', type: 'int', nullable: false } as const
const triggers = {
  'shop.lines': { on: { order_id: 'id' } },
  'shop.products': { columns: ['code'], roots: 'SELECT order_id FROM shop.stock' },
}

/** Of a query that reads orders, lines and units; the one that finds roots reads stock. */
async function fieldsOf(sql: Partial<QueryDefinition>): Promise<readonly string[]> {
  const definition = root('shop.orders', {}, { sql: { query: 'SELECT', triggers, still: [], ...sql } })
  const fields = await describeFields(definition, {
    describe: (name) =>
      Promise.resolve({
        table: { name, columns: [{ name: 'id', ...integer }], key: [0] },
        excluded: [],
        rowsEstimate: 1,
      }),
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
