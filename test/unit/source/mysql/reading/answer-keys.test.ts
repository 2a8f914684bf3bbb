import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attributed, rounds } from '../../../../../src/source/mysql/reading/answer-keys.ts'

test('keys that a collation may take for equal are asked apart, each once', () => {
  assert.deepEqual(rounds(['"fr"', '"de"', '"FR"', '"fr"', '7', '"Köln"', '"koln "', '"Fr"']), [
    ['"fr"', '"de"', '7', '"Köln"'],
    ['"FR"', '"koln "'],
    ['"Fr"'],
  ])
  assert.deepEqual(rounds([]), [])
})

test('a row answers the key that looks like its own, and none that was not asked', () => {
  const rows = ['"FR"', '"koln"', '"fr"', '"7"'].map((key, at) => ({ key, at }))
  const found = attributed(['"fr"', '"Köln"', '7', '"xx"'], rows)
  assert.deepEqual(
    [...(found ?? [])].map(([key, own]) => [key, own.map(({ at }) => at)]),
    [
      ['"fr"', [0, 2]],
      ['"Köln"', [1]],
      ['7', [3]],
    ],
  )
  assert.equal(attributed(['"fr"'], [{ key: '"France"' }]), undefined)
})
