import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enumCell, enumCells, keyType } from '../../../../../src/source/mysql/values/enum-labels.ts'
import { formatOf, keyValue, selected } from '../../../../../src/source/mysql/values/text-values.ts'

const invalid = { kind: 'unsupported', message: /shop\.t\.e: a row has an invalid value/ }
const repeated = { kind: 'unsupported', message: /shop\.t\.e: a row has a label that it has twice/ }

test('a column that is no key shows each number, and the invalid one as an empty text', () => {
  const cells = enumCells({ labels: ['ü', '', 'ü'] })
  assert.deepEqual(
    [0, 1, 2, 3].map((number) => enumCell(number, cells)),
    ['""', '"\u00c3\u00bc"', '""', '"\u00c3\u00bc"'],
  )
  assert.throws(() => enumCell(4, cells), { kind: 'corrupt' })
})

test('in a key a label stands for one number, by which it is compared; the others are refused', () => {
  const plain = keyType('shop.t', 'e', { kind: 'enum', labels: ['a', 'b'] })
  const empty = keyType('shop.t', 'e', { kind: 'enum', labels: ['a', ''] })
  const twice = keyType('shop.t', 'e', { kind: 'enum', labels: ['a', 'a'] })
  assert.deepEqual(
    [plain, empty, twice].map((type) => selected('`e`', type)),
    ['`e`', 'CAST(`e` AS UNSIGNED)', 'CAST(`e` AS UNSIGNED)'],
  )
  assert.deepEqual([formatOf(plain)(''), keyValue(plain, '').sql], ['""', '0'])
  assert.deepEqual([formatOf(empty)('2'), keyValue(empty, '').sql], ['""', '2'])
  assert.deepEqual([formatOf(twice)('1'), keyValue(twice, 'a').sql], ['"a"', '1'])
  assert.throws(() => formatOf(empty)('0'), invalid)
  assert.throws(() => formatOf(twice)('2'), repeated)
})
