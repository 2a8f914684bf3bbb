import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pipeline } from '../../../src/config/pipeline.ts'
import { examineJoins } from '../../../src/offline/join-findings.ts'
import type { Finding } from '../../../src/source/source.ts'
import { child, root } from '../../support/joined-definition.ts'

const definition = root('shop.orders', {
  lines: child('shop.lines', { order_id: 'id' }),
  customer: child('shop.customers', { shop: 'shop', number: 'customer' }, { kind: 'one' }),
})

async function findings(
  indexes: Readonly<Record<string, readonly (readonly string[])[]>>,
  kinds: Readonly<Record<string, 'integer' | 'string'>> = {},
): Promise<readonly Finding[]> {
  const columns: Readonly<Record<string, readonly string[]>> = {
    'shop.orders': ['id', 'shop', 'customer'],
    'shop.lines': ['order_id', 'place'],
    'shop.customers': ['shop', 'number'],
  }
  const source: Parameters<typeof examineJoins>[1] = {
    describe: (name) => {
      const own = (columns[name] ?? []).map((column) => {
        const kind = kinds[`${name}.${column}`] ?? 'integer'
        return { name: column, kind, type: kind, nullable: false }
      })
      return Promise.resolve({ table: { name, columns: own, key: [0] }, excluded: [], rowsEstimate: 1 })
    },
    describeQuestion: () => Promise.reject(new Error('there is no query')),
    explainQuestion: () => Promise.reject(new Error('there is no query')),
    indexes: (name) => Promise.resolve(indexes[name] ?? []),
  }
  // The rest of a pipeline is not looked at.
  return await examineJoins({ name: 'orders', definition } as Pipeline, source)
}

const all = {
  'shop.orders': [['id'], ['customer', 'shop', 'id']],
  'shop.lines': [['order_id', 'place']],
  'shop.customers': [['shop', 'number']],
}

test('an index that begins with the columns, in any order, serves a join', async () => {
  assert.deepEqual(await findings(all), [
    { level: 'ok', fact: 'joins of orders', found: 'every join has its indexes' },
  ])
})

test('a missing index is named with the statement that makes it, in both directions of a join', async () => {
  const found = await findings({
    ...all,
    'shop.orders': [['id'], ['customer', 'id', 'shop']],
    'shop.lines': [['place']],
  })
  assert.deepEqual(
    found.map(({ level, remedies }) => [level, remedies?.['mysql']]),
    [
      ['warning', 'CREATE INDEX `by_order_id` ON `shop`.`lines` (`order_id`)'],
      ['warning', 'CREATE INDEX `by_shop_customer` ON `shop`.`orders` (`shop`, `customer`)'],
    ],
  )
})

test('columns that are never equal are told before anything runs', async () => {
  const [finding] = await findings(all, { 'shop.lines.order_id': 'string' })
  assert.equal(finding?.level, 'fatal')
  assert.match(
    finding?.found ?? '',
    /children\.lines: shop\.lines\.order_id .* cannot be compared with shop\.orders\.id/,
  )
})
