import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keepsColumns } from '../../../../../src/source/mysql/schema/column-statements.ts'

test('what empties a table, or moves its partitions, keeps its columns', () => {
  for (const statement of [
    'TRUNCATE t',
    'truncate /* all */ table `a`.`t`',
    'DELETE FROM `a`.`t`',
    'ALTER TABLE t DROP PARTITION p0',
    'ALTER TABLE IF EXISTS `table`.`partition` EXCHANGE PARTITION p WITH TABLE u',
    'alter online table t add partition (partition p2 values less than (9))',
  ])
    assert.equal(keepsColumns(statement), true, statement)
})

test('anything else may change columns', () => {
  for (const statement of [
    'ALTER TABLE t DROP COLUMN `partition`',
    'ALTER TABLE t DROP `PARTITION`',
    'ALTER TABLE t ADD a INT, DROP PARTITION p0',
    'ALTER TABLE `truncate` ADD a INT',
    'DROP TABLE t',
    'RENAME TABLE t TO u',
    'CREATE OR REPLACE TABLE t (a INT)',
    'SET STATEMENT max_statement_time = 0 FOR ALTER TABLE t DROP PARTITION p0',
    '',
  ])
    assert.equal(keepsColumns(statement), false, statement)
})
