import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { FieldMapping } from '../../../../src/sink/search/index-definition.ts'
import { compareMappings, type ExistingMapping } from '../../../../src/sink/search/mapping-difference.ts'

const none = new Set<string>()

/** Whether an existing field can hold what a wanted one is for. */
function fits(existing: FieldMapping, wanted: FieldMapping, typed = none): boolean {
  return compareMappings({ properties: { f: existing } }, { f: wanted }, typed).sentences.length === 0
}

function count(existing: ExistingMapping): number {
  return compareMappings(existing, {}, none).sentences.length
}

describe('an existing mapping', () => {
  it('lacks what it does not have', () => {
    const wanted = { a: { type: 'long' }, b: { type: 'text' } }
    const { missing, sentences } = compareMappings({ properties: { a: { type: 'long' } } }, wanted, none)
    assert.deepEqual(missing, { b: { type: 'text' } })
    assert.deepEqual(sentences, [])
    assert.deepEqual(compareMappings({}, wanted, none).missing, wanted)
  })

  it('holds values of narrower types, but not of wider ones', () => {
    assert.ok(fits({ type: 'long' }, { type: 'integer' }))
    assert.ok(!fits({ type: 'integer' }, { type: 'long' }))
    assert.ok(fits({ type: 'double' }, { type: 'scaled_float', scaling_factor: 100 }))
    assert.ok(!fits({ type: 'long' }, { type: 'double' }))
    assert.ok(fits({ type: 'keyword' }, { type: 'long' }))
    assert.ok(!fits({ type: 'long' }, { type: 'keyword' }))
    assert.ok(!fits({ type: 'boolean' }, { type: 'byte' }))
  })

  it('holds dates only in a format that reads ours', () => {
    const wanted = { type: 'date', format: 'strict_date_optional_time' }
    assert.ok(fits({ type: 'date' }, wanted))
    assert.ok(fits({ type: 'date_nanos' }, wanted))
    assert.ok(fits({ type: 'date', format: 'epoch_millis||strict_date_optional_time' }, wanted))
    assert.ok(!fits({ type: 'date', format: 'yyyy-MM-dd' }, wanted))
    assert.ok(fits({ type: 'date', format: 'iso8601' }, { type: 'date' }))
    const ours = { type: 'date', format: 'strict_date||epoch_millis' }
    const typed = new Set(['f'])
    assert.ok(fits(ours, ours, typed), 'a format of the pipeline file')
    assert.ok(fits({ ...ours, format: 'epoch_millis||yyyy||strict_date' }, ours, typed))
    assert.ok(!fits({ ...ours, format: 'strict_date' }, ours, typed))
    assert.ok(fits({ type: 'date' }, { type: 'date', format: 'epoch_millis' }), 'which is read by default')
    assert.ok(!fits({ type: 'date' }, { type: 'date', format: 'epoch_second' }))
  })

  it('holds whole JSON values only where it does not index them', () => {
    const wanted = { type: 'object', enabled: false }
    assert.ok(fits({ type: 'object', enabled: false }, wanted))
    assert.ok(!fits({ properties: { a: { type: 'text' } } }, wanted))
    assert.ok(!fits({ type: 'keyword' }, wanted))
    assert.ok(!fits({ properties: { a: { type: 'text' } } }, { type: 'text' }))
  })

  it('says how the pipeline file may name a type within objects', () => {
    const existing = { lines: { type: 'nested', properties: { total: { type: 'long' } } } }
    const wanted = { lines: { type: 'nested', properties: { total: { type: 'text' } } } }
    assert.match(
      compareMappings({ properties: existing }, wanted, none).sentences[0] ?? '',
      /field lines\.total is long .* mappings: \{lines: \{properties: \{total: \{type: long\}\}\}\} if/,
    )
    const asked = { lines: { type: 'nested', properties: { total: { type: 'integer' } } } }
    const typed = new Set(['lines.total'])
    assert.equal(compareMappings({ properties: existing }, asked, typed).sentences.length, 1)
  })

  it('must be of the type that the pipeline file names', () => {
    assert.ok(!fits({ type: 'keyword' }, { type: 'long' }, new Set(['f'])))
    assert.ok(fits({ type: 'long' }, { type: 'long' }, new Set(['f'])))
  })

  it('must keep whole documents and ask for no routing', () => {
    assert.equal(count({}), 0)
    assert.equal(count({ _source: { enabled: false } }), 1)
    assert.equal(count({ _source: { excludes: ['a'] } }), 1)
    assert.equal(count({ _source: { excludes: [] } }), 0)
    assert.equal(count({ _routing: { required: true } }), 1)
  })
})
