import assert from 'node:assert/strict'
import { test } from 'node:test'
import { knownNames, parseName, parseNames } from '../../stack/kinds.ts'

test('a name is a kind, with a version or without', () => {
  assert.deepEqual(parseName('mysql'), { name: 'mysql', kind: 'mysql', replica: false })
  assert.deepEqual(parseName('mysql@8.0'), {
    name: 'mysql@8.0',
    kind: 'mysql',
    version: '8.0',
    replica: false,
  })
})

test('every known name can be asked for', () => {
  for (const name of knownNames()) assert.equal(parseName(name).name, name)
})

test('an unknown kind, an unknown version and a half name are refused with the names there are', () => {
  for (const name of ['oracle', 'mysql@4.1', 'mysql@', '@9.7', 'mysql@9.7@9.7', '', 'toString']) {
    assert.throws(() => parseName(name), /there is no server ".*"; there are mysql, mysql@9\.7/, name)
  }
})

test('a replica brings its source, and comes after it', () => {
  assert.deepEqual(orderOf(['mysql-replica']), ['mysql', 'mysql-replica'])
  assert.deepEqual(orderOf(['mysql-replica', 'mysql@8.0']), ['mysql@8.0', 'mysql-replica'])
  assert.deepEqual(orderOf(['mysql', 'elasticsearch', 'mysql']), ['mysql', 'elasticsearch'])
})

function orderOf(names: readonly string[]): readonly string[] {
  return parseNames(names).map((request) => request.name)
}
