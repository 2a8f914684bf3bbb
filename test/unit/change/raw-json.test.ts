import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { Failure } from '../../../src/change/failure.ts'
import { membersOf, objectsOf, stringOf } from '../../../src/change/raw-json.ts'

describe('raw JSON', () => {
  it('keeps every number as it was written', () => {
    const members = membersOf('{"_version": 9223372036854775807 , "a":[1.10,-0, 1e400],"b":{"c" : 0.30}}')
    assert.deepEqual(Object.fromEntries(members), {
      _version: '9223372036854775807',
      a: '[1.10,-0, 1e400]',
      b: '{"c" : 0.30}',
    })
  })

  it('is not misled by quotes, braces and backslashes in texts', () => {
    const source = String.raw`{"a\"}":"\\","b":"}]\\\"{","c":{"d":"]"}}`
    const members = membersOf(source)
    assert.deepEqual([...members.keys()], ['a"}', 'b', 'c'])
    assert.equal(stringOf(members.get('b') ?? ''), '}]\\"{')
  })

  it('has the members that a parser finds, for any object', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 2), (value, space) => {
        const expected = Object.entries(value).map(([name, member]) => [
          name,
          JSON.parse(JSON.stringify(member)),
        ])
        const found = [...membersOf(JSON.stringify(value, undefined, space))]
        assert.deepEqual(
          found.map(([name, raw]) => [name, JSON.parse(raw)]),
          expected,
        )
      }),
    )
  })

  it('cuts arrays of objects', () => {
    assert.deepEqual(objectsOf('[]'), [])
    assert.deepEqual(objectsOf(' [ {"a":1} , {} ] '), [new Map([['a', '1']]), new Map()])
  })

  it('says where text ends too soon', () => {
    for (const text of ['', '{', '{"a"', '{"a":', '{"a":"b', '{"a":[1', '[{"a":1}', '[1]', '{"a":1 "b"}'])
      assert.throws(() => (text.startsWith('[') ? objectsOf(text) : membersOf(text)), Failure, text)
  })
})
