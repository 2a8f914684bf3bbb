import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mayRead } from '../../../src/config/query-reads.ts'

const reading: readonly string[] = [
  'SELECT id, email FROM a.people',
  'SELECT p.id, p.EMail FROM `a` . "People" AS p',
  'SELECT id /*!80000 , email */ FROM a.people',
  'SELECT id, email FROM a./* of all */people',
  'SELECT * FROM a.people',
  'SELECT DISTINCT * FROM a.people',
  'SELECT /*+ MAX_EXECUTION_TIME(100) */ * FROM a.people',
  'SELECT /*+ MAX_EXECUTION_TIME(100) */ STRAIGHT_JOIN * FROM a.people',
  'SELECT -- all of it\n * FROM a.people',
  'SELECT SQL_NO_CACHE\n# all of it\n* FROM a.people',
  "SELECT '/*', p.* FROM a.people p /* people */",
  'SELECT id, p.* FROM a.people p',
  'SELECT b.id, d.x FROM a.b b JOIN (TABLE a.people) d (id, x)',
  'WITH d (id, x) AS (SELECT * FROM a.people) SELECT id, x FROM d',
]
const others: readonly string[] = [
  'SELECT id, name FROM a.people',
  'SELECT COUNT( * ) FROM a.people',
  'SELECT id, SUM(price * 2) * 3 FROM a.people GROUP BY id',
  'SELECT * FROM a.orders',
  'SELECT email FROM b.persons',
]

for (const query of reading)
  test(`a column may be read by ${query.replaceAll('\n', ' ')}`, () => {
    assert(mayRead(query, 'a.people', 'email'))
  })

for (const query of others)
  test(`a column cannot be read by ${query}`, () => {
    assert(!mayRead(query, 'a.people', 'email'))
  })

test('a quote in a name hides it from nobody', () => {
  assert(mayRead('SELECT `e``mail` FROM a.`peo"ple`', 'a.peo"ple', 'e`mail'))
})
