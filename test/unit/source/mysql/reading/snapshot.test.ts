import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Key } from '../../../../../src/change/change.ts'
import { bytesOf } from '../../../../../src/change/row.ts'
import { describeColumn, type ColumnType } from '../../../../../src/source/mysql/values/column-type.ts'
import type { TableShape } from '../../../../../src/source/mysql/schema/describe.ts'
import { keysQuery, pageQuery } from '../../../../../src/source/mysql/reading/snapshot.ts'
import { formatOf } from '../../../../../src/source/mysql/values/text-values.ts'

const page = { table: 'shop.a`b', rowsMax: 100, bytesMax: 1000, includes: '' as never }

test('the first page has no condition, and quotes what the server must not read as SQL', () => {
  const { sql, parameters } = pageQuery(shapeOf({ id: { kind: 'integer', bytes: 8, unsigned: true } }), {
    ...page,
    after: undefined,
  })
  assert.equal(sql, 'SELECT `id` FROM `shop`.`a``b` FORCE INDEX (`PRIMARY`) ORDER BY `id` LIMIT 100')
  assert.deepEqual(parameters, [])
})

test('digits of a key reach the server as they are', () => {
  const big = pageQuery(shapeOf({ id: { kind: 'integer', bytes: 8, unsigned: true } }), {
    ...page,
    after: keyText('[18446744073709551615]'),
  })
  assert.match(big.sql, /WHERE \(`id` > 18446744073709551615\)/)
  const decimal = pageQuery(shapeOf({ id: { kind: 'decimal', precision: 30, scale: 5, unsigned: false } }), {
    ...page,
    after: keyText('["1234567890123456789012345.00001"]'),
  })
  assert.match(decimal.sql, /`id` > 1234567890123456789012345\.00001/)
})

test('a key of several columns is compared column by column', () => {
  const shape = shapeOf({
    tenant: { kind: 'string', fixed: false, characters: 10 },
    day: { kind: 'datetime', digits: 3 },
    id: { kind: 'binary', fixed: true, bytes: 2 },
  })
  const { sql, parameters } = pageQuery(shape, {
    ...page,
    after: keyText('["Köln","2024-05-31T12:34:56.789","AP8="]'),
  })
  assert.match(
    sql,
    /WHERE \(`tenant` > \? OR \(`tenant` = \? AND \(`day` > \? OR \(`day` = \? AND \(`id` > \?\)\)\)\)\)/,
  )
  const day = '2024-05-31 12:34:56.789'
  assert.deepEqual(parameters, ['Köln', 'Köln', day, day, Buffer.from([0, 255])])
})

test('enums and sets compare as the numbers that the server sorts them by', () => {
  const shape = shapeOf({
    state: { kind: 'enum', labels: ['new', 'paid'] },
    tags: { kind: 'set', labels: ['a', 'b', 'c'] },
  })
  const { sql } = pageQuery(shape, { ...page, after: keyText('["paid",["a","c"]]') })
  assert.match(sql, /`state` > 2 OR \(`state` = 2 AND \(`tags` > 5\)\)/)
  assert.match(pageQuery(shape, { ...page, after: keyText('["",[]]') }).sql, /`state` > 0 /)
})

test('a key that does not fit the table is refused, never put into a statement', () => {
  const shape = shapeOf({ id: { kind: 'integer', bytes: 4, unsigned: false } })
  for (const key of ['["1 or 1=1"]', '[1,2]', '[null]', '{}'])
    assert.throws(() => pageQuery(shape, { ...page, after: keyText(key) }), { name: 'Failure' }, key)
})

test('a page asks for no more rows than its bytes are worth by the estimate of a row, but for one', () => {
  const shape = { ...shapeOf({ id: { kind: 'integer', bytes: 4, unsigned: false } }), rowBytes: 90 }
  assert.match(pageQuery(shape, { ...page, after: undefined }).sql, /LIMIT 12$/)
  assert.match(pageQuery(shape, { ...page, bytesMax: 1, after: undefined }).sql, /LIMIT 1$/)
})

test('values that the server would shorten are selected otherwise', () => {
  const shape = shapeOf({
    id: { kind: 'integer', bytes: 4, unsigned: false },
    ratio: { kind: 'float', unsigned: false },
    flags: { kind: 'bit', bits: 3 },
  })
  assert.match(
    pageQuery(shape, { ...page, after: undefined }).sql,
    /^SELECT `id`, `ratio` \* 1e0, CAST\(`flags` AS UNSIGNED\) FROM/,
  )
})

/** All columns but those named otherwise are the key; floats and bits are none. */
function shapeOf(columns: Readonly<Record<string, ColumnType>>): TableShape {
  const entries = Object.entries(columns)
  return {
    table: {
      name: 'shop.a`b',
      columns: entries.map(([name, type]) => describeColumn(name, false, type)),
      key: entries.flatMap(([, { kind }], index) => (kind === 'float' || kind === 'bit' ? [] : [index])),
    },
    types: entries.map(([, type]) => type),
    formats: entries.map(([, type]) => formatOf(type)),
    keyIndex: 'PRIMARY',
    excluded: [],
    rowsEstimate: 0,
    rowBytes: 0,
  }
}

function keyText(json: string): Key {
  return bytesOf(json) as Key
}

test('rows by their keys are points of the key, each column compared as its type is', () => {
  const shape = shapeOf({
    tenant: { kind: 'string', fixed: false, characters: 10 },
    id: { kind: 'integer', bytes: 8, unsigned: true },
  })
  const { sql, parameters } = keysQuery(shape, [keyText('["Köln",18446744073709551615]'), keyText('["b",2]')])
  assert.match(
    sql,
    / WHERE \(`tenant` = \? AND `id` = 18446744073709551615\) OR \(`tenant` = \? AND `id` = 2\)$/,
  )
  assert.deepEqual(parameters, ['Köln', 'b'])
})
