import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../../../src/change/failure.ts'
import { withValues } from '../../../../../src/source/mysql/reading/answers.ts'
import { demandSelect } from '../../../../../src/source/mysql/reading/question.ts'

test('one SELECT with its values once is a query of documents', () => {
  for (const sql of [
    'SELECT id FROM a.b WHERE id IN (:ids)',
    "WITH c AS (SELECT 1) SELECT o.`for`, 'DELETE; INTO' FROM a.b o WHERE o.id IN (:ids);\n",
    '(SELECT x FROM a.b WHERE y IN (:values)) -- a note; INTO',
  ])
    demandSelect(sql)
})

const refused: readonly (readonly [string, RegExp])[] = [
  ['DELETE FROM a.b WHERE id IN (:ids)', /is no SELECT/],
  ['SELECT id FROM a.b WHERE id IN (:ids); DROP TABLE a.b', /several statements/],
  ['WITH c AS (SELECT 1) DELETE FROM a.b WHERE id IN (:ids)', /says DELETE/],
  ["SELECT id FROM a.b WHERE id IN (:ids) INTO OUTFILE 'x'", /says INTO/],
  ['SELECT id FROM a.b WHERE id IN (:ids) FOR UPDATE', /says UPDATE/],
  ['SELECT id FROM a.b WHERE id IN (:ids) FOR SHARE', /locks rows/],
  ['SELECT id FROM a.b', /does not have its values once/],
  ['SELECT id FROM a.b WHERE id IN (:ids) OR other IN (:ids)', /does not have its values once/],
]

for (const [sql, found] of refused)
  test(`refused: ${sql}`, () => {
    assert.throws(
      () => demandSelect(sql),
      (error) => error instanceof Failure && error.kind === 'configuration' && found.test(error.message),
    )
  })

test('the values stand where the query has its place for them, whatever they are', () => {
  assert.equal(withValues('SELECT 1 WHERE a IN (:ids) ;', "'$&', 2"), "SELECT 1 WHERE a IN ('$&', 2) ")
})
