import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dialectOf } from '../../../../src/sink/search/dialect.ts'

test('types are named in the words of the product, in objects and sub-fields too', () => {
  const open = dialectOf({ product: 'opensearch', version: { major: 3, minor: 8 } })
  const elastic = dialectOf({ product: 'elasticsearch', version: { major: 9, minor: 4 } })
  const words = {
    properties: {
      tags: { type: 'flattened' },
      vector: { type: 'dense_vector', dims: 3 },
      name: { type: 'text', fields: { raw: { type: 'keyword' } } },
    },
  }
  const translated = {
    properties: {
      tags: { type: 'flat_object' },
      vector: { type: 'knn_vector', dimension: 3 },
      name: { type: 'text', fields: { raw: { type: 'keyword' } } },
    },
  }
  assert.deepEqual(open.mapping(words), translated)
  assert.deepEqual(elastic.mapping(translated), words)
  assert.deepEqual(elastic.mapping(words), words)
})

test('documents are judged without being taken from Elasticsearch 8.17 on, and nowhere else', () => {
  assert.deepEqual(
    [simulates('elasticsearch', 8, 16), simulates('elasticsearch', 8, 17), simulates('elasticsearch', 9, 0)],
    [false, true, true],
  )
  assert.deepEqual([simulates('opensearch', 3, 8), simulates('elasticsearch', 7, 17)], [false, false])
  assert.equal(dialectOf({ product: 'elasticsearch', version: undefined }).simulates, false)
})

test('a point in time is read where its documents can be sorted without loading their ids', () => {
  assert.deepEqual(
    [has(1, 3), has(2, 19), has(3, 2), has(3, 3), has(4, 0)],
    [false, false, false, true, true],
  )
  assert.equal(dialectOf({ product: 'opensearch', version: undefined }).pointInTime, undefined)
  assert.notEqual(dialectOf({ product: 'elasticsearch', version: undefined }).pointInTime, undefined)
})

function simulates(product: 'elasticsearch' | 'opensearch', major: number, minor: number): boolean {
  return dialectOf({ product, version: { major, minor } }).simulates
}

function has(major: number, minor: number): boolean {
  return dialectOf({ product: 'opensearch', version: { major, minor } }).pointInTime !== undefined
}
