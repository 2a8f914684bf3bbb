import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fingerprint } from '../../../src/config/fingerprint.ts'
import { childTables } from '../../../src/document/joins.ts'
import { configurationOf } from '../../support/configured.ts'

const query = 'SELECT o.id FROM shop.orders o WHERE o.id IN (:ids)'
const triggers = {
  'shop.lines': { on: { order_id: 'id' } },
  'shop.products': { columns: ['code'], roots: 'SELECT order_id FROM shop.lines WHERE product IN (:values)' },
  'shop.units': 'none',
}
const orders = { table: 'shop.orders', sql: { query, triggers } }

test('the tables that lead to documents are captured, those that are to be overlooked are not', (t) => {
  const [pipeline] = configurationOf(t, { orders }).pipelines
  assert(pipeline !== undefined)
  assert.deepEqual(childTables(pipeline.definition), ['shop.lines', 'shop.products'])
  assert.deepEqual(pipeline.definition.sql?.still, ['shop.units'])
})

test('another query, or another trigger, alters the fingerprint', (t) => {
  const print = (sql: object): string => {
    const [pipeline] = configurationOf(t, { orders: { table: 'shop.orders', sql } }).pipelines
    assert(pipeline !== undefined)
    return fingerprint(pipeline)
  }
  const prints = [
    print({ query, triggers }),
    print({ query: `${query} AND o.open`, triggers }),
    print({ query, triggers: { ...triggers, 'shop.lines': 'none' } }),
  ]
  assert.equal(new Set(prints).size, prints.length)
})

const refused: readonly (readonly [string, RegExp, object])[] = [
  ['fields beside it', /says nothing beside sql/, { ...orders, fields: { id: 'id' } }],
  ['masks beside it', /says nothing beside sql/, { ...orders, masks: { note: 'drop' } }],
  ['a policy that waits for columns', /has to be auto/, { ...orders, policy: { ddl: 'propose' } }],
  ['no place for the ids', /IN \(:ids\) once/, { ...orders, sql: { query: 'SELECT 1' } }],
  [
    'a trigger that is the root',
    /is the table of the pipeline/,
    { ...orders, sql: { query, triggers: { 'shop.orders': 'none' } } },
  ],
  [
    'a trigger without a place for its values',
    /IN \(:values\) once/,
    { ...orders, sql: { query, triggers: { 'a.b': { columns: ['x'], roots: 'SELECT 1' } } } },
  ],
]

for (const [what, found, pipeline] of refused)
  test(`a query is refused with ${what}`, (t) => {
    assert.throws(
      () => configurationOf(t, { orders: pipeline }),
      (error) => error instanceof Error && found.test(error.message),
    )
  })

test('a source that another one only reads rows from is not meant where none is named', (t) => {
  const replica = { url: 'mysql://u@r/' }
  const main = { url: 'mysql://u@h/', reads: { from: 'replica' } }
  const { pipelines } = configurationOf(t, { orders }, { sources: { main, replica } })
  assert.equal(pipelines[0]?.source, 'main')
  const unknown = { main: { ...main, reads: { from: 'elsewhere' } } }
  assert.throws(() => configurationOf(t, { orders }, { sources: unknown }), /reads\.from/)
})
