import assert from 'node:assert/strict'
import { test } from 'node:test'
import { labelsOf } from '../../../../../src/source/mysql/schema/describe.ts'
import { globalPrivileges } from '../../../../../src/source/mysql/server/grants.ts'
import { likely } from '../../../../../src/source/mysql/schema/likely.ts'
import { refusalOf } from '../../../../../src/source/mysql/preflight/preflight.ts'

test('labels are read with their quotes, commas and backslashes', () => {
  assert.deepEqual(labelsOf(String.raw`enum('new','it''s','a,b','(x)','back\\slash','line\n','')`), [
    'new',
    "it's",
    'a,b',
    '(x)',
    String.raw`back\slash`,
    'line\n',
    '',
  ])
})

test('privileges on the whole server are told from those on a schema', () => {
  const held = globalPrivileges([
    'GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `cdc`@`%`',
    'GRANT INSERT ON `shop`.* TO `cdc`@`%`',
    "GRANT BINLOG MONITOR ON *.* TO `cdc`@`%` IDENTIFIED BY PASSWORD '*00'",
  ])
  assert.deepEqual([...held], ['SELECT', 'REPLICATION SLAVE', 'REPLICATION CLIENT', 'BINLOG MONITOR'])
})

test('a misspelt table is answered with the closest names', () => {
  const names = ['shop.orders', 'shop.order_items', 'crm.people']
  assert.deepEqual(likely('shop.ordres', names), ['shop.orders'])
  assert.deepEqual(likely('Shop.Orders', names), ['shop.orders'])
  assert.deepEqual(likely('other.thing', names), [])
})

test('fatal findings become one Failure with every remedy, warnings none', () => {
  const failure = refusalOf(
    [
      { level: 'ok', fact: 'log_bin', found: 'ON' },
      { level: 'warning', fact: 'binlog retention', found: '1 h' },
      {
        level: 'fatal',
        fact: 'binlog_row_image',
        found: 'MINIMAL',
        remedies: { mysql: 'SET x', rds: 'set y' },
      },
      { level: 'fatal', fact: 'table a.b', found: 'missing' },
    ],
    'main',
  )
  assert.equal(failure?.kind, 'configuration')
  assert.equal(
    failure?.message,
    'source main cannot be captured: binlog_row_image: MINIMAL; table a.b: missing',
  )
  assert.equal(failure?.remedy, 'SET x')
  assert.equal(refusalOf([{ level: 'warning', fact: 'x', found: 'y' }], 'main'), undefined)
})
