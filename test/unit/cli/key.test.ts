import assert from 'node:assert/strict'
import { test } from 'node:test'
import { textOf } from '../../../src/change/row.ts'
import { keysOf } from '../../../src/cli/key.ts'

const texts = (...words: string[]) => keysOf(words).map(textOf)

test('a word that looks like a number may be one or a text', () => {
  assert.deepEqual(texts('42'), ['[42]', '["42"]'])
  assert.deepEqual(texts('de', 'Köln'), ['["de","Köln"]'])
  assert.deepEqual(texts('9007199254740993', 'a'), ['[9007199254740993,"a"]', '["9007199254740993","a"]'])
  assert.deepEqual(texts('007'), ['["007"]'])
})

test('a JSON array is taken as it is, digit by digit', () => {
  assert.deepEqual(texts('[ 9007199254740993, "K\\u00f6ln" ]'), ['[9007199254740993,"Köln"]'])
  assert.throws(() => keysOf(['[1,']), /not a JSON array/)
})
