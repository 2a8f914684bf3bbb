import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Column, ColumnKind } from '../../../../src/change/change.ts'
import { Failure } from '../../../../src/change/failure.ts'
import {
  creationOf,
  defineIndex,
  mappingOf,
  typedFields,
  withoutType,
  type IndexWishes,
} from '../../../../src/sink/search/index-definition.ts'

function column(kind: ColumnKind, more: Partial<Column> = {}): Column {
  return { name: 'c', kind, type: kind, nullable: true, ...more }
}

function wishes(more: Partial<IndexWishes> = {}): IndexWishes {
  const fields = [
    { field: 'id', column: column('integer', { length: 8, unsigned: true }) },
    { field: 'price', column: column('decimal', { precision: 10, scale: 2 }) },
    { field: 'name', column: column('string', { length: 80 }) },
  ]
  return { fields, settings: {}, mappings: {}, ...more }
}

function typeOf(length: number, unsigned: boolean): unknown {
  return mappingOf(column('integer', { length, unsigned }))['type']
}

describe('a mapping', () => {
  it('gives integers the narrowest type that holds them', () => {
    assert.deepEqual(
      [1, 2, 3, 4, 8].map((length) => typeOf(length, false)),
      ['byte', 'short', 'integer', 'integer', 'long'],
    )
    assert.deepEqual(
      [1, 2, 3, 4, 8].map((length) => typeOf(length, true)),
      ['short', 'integer', 'integer', 'long', 'unsigned_long'],
    )
    assert.deepEqual(
      [1, 7, 8, 15, 31, 63, 64].map((length) => mappingOf(column('bit', { length }))['type']),
      ['byte', 'byte', 'short', 'short', 'integer', 'long', 'unsigned_long'],
    )
  })

  it('finds decimals as doubles, and JSON not at all', () => {
    assert.deepEqual(mappingOf(column('decimal', { precision: 65, scale: 30 })), { type: 'double' })
    assert.deepEqual(mappingOf(column('json')), { type: 'object', enabled: false })
  })

  it('follows the form that a value has in documents', () => {
    const types: readonly (readonly [Column, string, string])[] = [
      [column('bit', { length: 1 }), 'boolean', 'boolean'],
      [column('integer', { length: 8 }), 'string', 'keyword'],
      [column('decimal', { precision: 18, scale: 2 }), 'scaled', 'long'],
      [column('decimal', { precision: 19, scale: 2 }), 'scaled', 'double'],
      [column('decimal'), 'number', 'double'],
      [column('decimal'), 'string', 'double'],
      [column('time'), 'seconds', 'double'],
      [column('json'), 'string', 'text'],
      [column('text'), 'json', 'object'],
      [column('blob'), 'hex', 'keyword'],
      [column('geometry'), 'geojson', 'object'],
      [column('geometry'), 'wkb', 'binary'],
      [column('address'), 'string', 'ip'],
    ]
    for (const [of, form, type] of types) assert.equal(mappingOf(of, form)['type'], type, form)
    assert.deepEqual(mappingOf(column('datetime'), 'epoch_millis'), { type: 'date', format: 'epoch_millis' })
  })

  it('searches strings by word and by the whole', () => {
    assert.deepEqual(mappingOf(column('string')), {
      type: 'text',
      fields: { keyword: { type: 'keyword', ignore_above: 8191 } },
    })
  })
})

describe('an index definition', () => {
  it('has a field for what documents show of themselves, where they do, unless a column has its name', () => {
    const { properties } = defineIndex(wishes({ stamped: true }))
    assert.deepEqual(Object.keys(properties), ['id', 'price', 'name', '_millrace'])
    assert.equal(Object.hasOwn(defineIndex(wishes()).properties, '_millrace'), false)
    const fields = [{ field: '_millrace', column: column('integer') }]
    assert.throws(
      () => defineIndex(wishes({ fields, stamped: true })),
      (error) => error instanceof Failure && /give the column another name/.test(error.remedy ?? ''),
    )
  })

  it('lays the pipeline file over what follows from the columns', () => {
    const { properties } = defineIndex(
      wishes({
        mappings: {
          price: { type: 'keyword' },
          name: { analyzer: 'german', fields: { raw: { type: 'keyword' } } },
        },
      }),
    )
    assert.deepEqual(properties['price'], { type: 'keyword' })
    assert.deepEqual(properties['name'], {
      type: 'text',
      analyzer: 'german',
      fields: { keyword: { type: 'keyword', ignore_above: 8191 }, raw: { type: 'keyword' } },
    })
  })

  it('takes settings nested or flat, and has its own where the file has none', () => {
    const { settings } = defineIndex(
      wishes({
        settings: {
          number_of_shards: 3,
          'index.refresh_interval': '5s',
          index: { gc_deletes: '1s' },
          analysis: { filter: { stop: { stopwords: ['a', 'b'] } } },
        },
      }),
    )
    assert.deepEqual(settings, {
      'index.number_of_shards': 3,
      'index.number_of_replicas': 1,
      'index.gc_deletes': '1s',
      'index.refresh_interval': '5s',
      'index.analysis.filter.stop.stopwords': ['a', 'b'],
    })
  })

  it('carries the mark, and indexes nothing that is not named', () => {
    const mark = { pipeline: 'p', lineage: 'l', epoch: 2 }
    const { mappings, aliases } = JSON.parse(creationOf(defineIndex(wishes()), 'orders', mark))
    assert.equal(mappings.dynamic, false)
    assert.deepEqual(mappings['_meta'], { millrace: mark })
    assert.deepEqual(aliases, { orders: {} })
  })

  it('refuses names that no field can have, and overrides of fields that are not there', () => {
    for (const field of ['a.b', '_id', '_source', ' ', '_routing']) {
      assert.throws(
        () => defineIndex(wishes({ fields: [{ field, column: column('integer') }] })),
        (error) => error instanceof Failure && error.kind === 'configuration' && error.remedy !== undefined,
        field,
      )
    }
    assert.throws(() => defineIndex(wishes({ mappings: { nmae: { type: 'keyword' } } })), /nmae/)
  })

  it('does without a type that the server lacks, unless the file asks for it', () => {
    const definition = defineIndex(wishes())
    assert.deepEqual(withoutType(definition, 'unsigned_long', new Set())?.properties['id'], {
      type: 'double',
    })
    assert.equal(withoutType(definition, 'unsigned_long', new Set(['id'])), undefined)
    assert.equal(withoutType(definition, 'text', new Set()), undefined)
  })

  it('does without it in the objects of children, too', () => {
    const fields = [{ field: 'orderId', column: column('integer', { length: 8, unsigned: true }) }]
    const parts = { field: 'parts', mapping: 'object', fields, children: [] } as const
    const lines = { field: 'lines', mapping: 'nested', fields, children: [parts] } as const
    const asked = { lines: { properties: { parts: { properties: { orderId: { type: 'unsigned_long' } } } } } }
    const definition = defineIndex({ ...wishes({ children: [lines], mappings: asked }), fields: [] })
    const double = { orderId: { type: 'double' } }
    assert.deepEqual(withoutType(definition, 'unsigned_long', new Set())?.properties['lines'], {
      type: 'nested',
      properties: { ...double, parts: { properties: double } },
    })
    assert.deepEqual(withoutType(definition, 'unsigned_long', typedFields(asked))?.properties['lines'], {
      type: 'nested',
      properties: { ...double, parts: { properties: { orderId: { type: 'unsigned_long' } } } },
    })
  })
})
