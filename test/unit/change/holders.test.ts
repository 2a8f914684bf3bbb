import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Holders } from '../../../src/change/holders.ts'

test('what is held is freed once, when the last has let go, and nobody can hold it afterwards', () => {
  let freed = 0
  const holders = new Holders(() => freed++)
  holders.add()
  holders.drop()
  assert.equal(freed, 0)
  holders.drop()
  assert.equal(freed, 1)
  assert.throws(() => holders.add())
  assert.throws(() => holders.drop())
  assert.equal(freed, 1)
})
