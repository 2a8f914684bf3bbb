import assert from 'node:assert/strict'
import { test } from 'node:test'
import { difference, fingerprint, unusedColumns } from '../../../src/config/fingerprint.ts'
import type { Pipeline } from '../../../src/config/pipeline.ts'
import type { ChildDefinition } from '../../../src/document/definition.ts'

const pipeline: Pipeline = {
  name: 'orders',
  label: 'orders',
  origin: 'config/pipelines/orders.yaml',
  source: 'main',
  definition: {
    table: 'shop.orders',
    fields: { id: 'id', title: 'name' },
    exclude: [],
    where: [
      { column: 'status', comparison: 'eq', value: 'paid' },
      { column: 'id', comparison: 'gt', value: 5n },
    ],
    id: undefined,
    idPrefix: '',
  },
  key: undefined,
  enrich: [],
  refresh: undefined,
  transform: undefined,
  target: {
    name: 'primary',
    isPrimary: true,
    ofTasks: undefined,
    family: undefined,
    index: 'orders',
    adopt: false,
    metadata: false,
    settings: {},
    mappings: {},
  },
  policy: {
    start: { kind: 'load' },
    batchAgeMs: undefined,
    freshnessSeconds: 0,
    ddl: 'auto',
    canary: undefined,
    onLost: 'stop',
    alerts: [],
  },
}

function changed(definition: Partial<Pipeline['definition']>): string {
  return fingerprint({ ...pipeline, definition: { ...pipeline.definition, ...definition } })
}

test('what does not alter documents does not alter the fingerprint', () => {
  const same = fingerprint({
    ...pipeline,
    origin: 'elsewhere.yaml',
    definition: {
      ...pipeline.definition,
      fields: { title: 'name', id: 'id' },
      where: pipeline.definition.where.toReversed(),
    },
    policy: {
      start: { kind: 'now' },
      batchAgeMs: 5,
      freshnessSeconds: 9,
      ddl: 'freeze',
      canary: undefined,
      onLost: 'reload',
      alerts: [],
    },
    target: { ...pipeline.target, settings: { number_of_replicas: 2 } },
  })
  assert.equal(same, fingerprint(pipeline))
})

test('what alters documents is named', () => {
  const before = fingerprint(pipeline)
  assert.deepEqual(difference(before, changed({ fields: { id: 'id', title: 'title' } })), ['fields.title'])
  assert.deepEqual(difference(before, changed({ fields: { id: 'id' } })), ['fields.title'])
  assert.deepEqual(difference(before, changed({ where: [] })), ['where'])
  assert.deepEqual(difference(before, changed({ idPrefix: 'x-', exclude: ['a'] })).toSorted(), [
    'exclude',
    'id.prefix',
  ])
  assert.deepEqual(difference(before, before), [])
  const formed = changed({ forms: { title: 'json' } })
  assert.deepEqual(difference(before, formed), ['forms'])
  assert.deepEqual(difference(formed, changed({ forms: { title: 'string' } })), ['forms.title'])
})

test('a definition without forms has the fingerprint that it had before there were any', () => {
  assert.equal(changed({ forms: undefined }), fingerprint(pipeline))
  assert.doesNotMatch(fingerprint(pipeline), /forms/)
})

function unused(definition: Partial<Pipeline['definition']>): readonly string[] | undefined {
  return unusedColumns(changed(definition))['shop.orders']
}

test('a column is unused when it is left out and decides nothing', () => {
  const exclude = ['note', 'status', 'id']
  assert.deepEqual(unused({ fields: undefined, exclude }), ['note'])
  assert.deepEqual(unused({ fields: undefined, exclude, where: [] })?.toSorted(), ['id', 'note', 'status'])
  assert.deepEqual(unused({ fields: undefined, exclude, id: ['note'] }), [])
  assert.deepEqual(unused({ exclude: [] }), [])
})

test('a column that joins, sorts or decides is used, whether it is shown or not', () => {
  const lines: ChildDefinition = {
    table: 'shop.lines',
    fields: undefined,
    exclude: ['order_id', 'place', 'state', 'secret', 'product_id'],
    where: [{ column: 'state', comparison: 'eq', value: 'open' }],
    kind: 'many',
    on: { order_id: 'number' },
    through: undefined,
    order: [{ column: 'place', descending: false }],
    limit: undefined,
    mapping: 'nested',
    children: {
      product: {
        table: 'shop.products',
        fields: { name: 'name' },
        exclude: [],
        where: [],
        kind: 'one',
        on: { id: 'product_id' },
        through: undefined,
        order: [],
        limit: undefined,
        mapping: 'object',
      },
    },
  }
  const made = changed({ fields: undefined, exclude: ['number', 'note'], children: { lines } })
  assert.deepEqual(unusedColumns(made), {
    'shop.orders': ['note'],
    'shop.lines': ['secret'],
    'shop.products': [],
  })
})

test('of tables that a query answers from all columns may be used', () => {
  const triggers = { 'shop.lines': { on: { order_id: 'id' } }, 'shop.orders': { on: { id: 'id' } } }
  const made = changed({ fields: {}, sql: { query: 'SELECT', triggers, still: [] } })
  assert.deepEqual(unusedColumns(made), { 'shop.orders': [], 'shop.lines': [] })
})
