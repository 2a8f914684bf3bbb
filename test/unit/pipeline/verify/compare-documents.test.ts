import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { compareDocuments } from '../../../../src/pipeline/verify/compare-documents.ts'

test('documents are compared by value: the order of members and white space do not matter', () => {
  assert.deepEqual(
    compareDocuments('{"a":1,"b":{"c":[1,2],"d":null}}', '{ "b":{"d":null,"c":[1,2]}, "a":1}'),
    [],
  )
})

test('the fields that differ are named, missing and additional ones too', () => {
  assert.deepEqual(compareDocuments('{"a":1,"b":"x","c":[1,2]}', '{"a":1,"b":"y","c":[2,1]}'), ['b', 'c'])
  assert.deepEqual(compareDocuments('{"a":1}', '{"b":1}'), ['a', 'b'])
  assert.deepEqual(compareDocuments('{"a":null}', '{}'), ['a'])
  assert.deepEqual(compareDocuments('{"a":1}', '{"a":1,"_millrace":{"version":"7"}}'), [])
  assert.deepEqual(compareDocuments('{"a":1}', '{"a":"1"}'), ['a'])
})

test('where nobody promises an order, lists with the same members are equal, however deep, and no others', () => {
  const documents = ['{"a":[{"b":[1,2]},3]}', '{"a":[3,{"b":[2,1]}]}'] as const
  assert.deepEqual(compareDocuments(...documents, 'unordered'), [])
  assert.deepEqual(compareDocuments(...documents, 'ordered'), ['a'])
  assert.deepEqual(compareDocuments('{"a":[1,1,2]}', '{"a":[1,2,2]}', 'unordered'), ['a'])
  assert.deepEqual(compareDocuments('{"a":[1,2]}', '{"a":[1]}', 'unordered'), ['a'])
})

test('numbers differ by their digits, beyond what a double holds', () => {
  assert.deepEqual(compareDocuments('{"a":9007199254740993}', '{"a":9007199254740992}'), ['a'])
  assert.deepEqual(compareDocuments('{"a":0.1000000000000000055}', '{"a":0.1}'), ['a'])
})

test('a document equals itself written in another way', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (document) => {
      const text = JSON.stringify(document)
      const members = Object.entries(JSON.parse(text) as Record<string, unknown>)
      const turned = `{${members
        .toReversed()
        .map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`)
        .join(' , ')}}`
      assert.deepEqual(compareDocuments(text, turned), [])
    }),
  )
})
