import assert from 'node:assert/strict'
import { test } from 'node:test'
import { editDistance, nearest } from '../../../src/config/problems.ts'

test('the distance counts insertions, deletions, replacements and swaps', () => {
  assert.equal(editDistance('', 'abc'), 3)
  assert.equal(editDistance('index', 'idnex'), 1)
  assert.equal(editDistance('status', 'stats'), 1)
  assert.equal(editDistance('kitten', 'sitting'), 3)
})

test('the nearest word is suggested, and nothing where none is near', () => {
  assert.equal(nearest('idnex', ['name', 'index', 'adopt']), 'index')
  assert.equal(nearest('batchage', ['batchAgeMs', 'start']), 'batchAgeMs')
  assert.equal(nearest('zzz', ['name', 'index']), undefined)
})
