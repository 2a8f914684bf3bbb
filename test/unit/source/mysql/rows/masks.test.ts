import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { Failure } from '../../../../../src/change/failure.ts'
import { RecordsBuilder } from '../../../../../src/change/records.ts'
import { bytesOf, textOf, unpackRow } from '../../../../../src/change/row.ts'
import { demandMasked, hiddenColumns, maskedColumn } from '../../../../../src/source/mysql/rows/masks.ts'
import { rowsOf } from '../../../../../src/source/mysql/rows/row-decoder.ts'
import {
  parseTableMap,
  TableMapCache,
  type TableContext,
} from '../../../../../src/source/mysql/rows/table-map.ts'
import { contextOf, samples } from '../../../../support/binlog-samples.ts'

const maskKey = 'a key that is long enough'
const hidden = hiddenColumns(
  { masks: { 'shop.orders': { name: 'truncate:2', amount: 'hash:1', tags: 'drop' } }, maskKey },
  'shop.orders',
)
const masking: Partial<TableContext> = { excluded: () => hidden.excluded, masks: () => hidden.masks }
const text = { kind: 'text', lengthBytes: 2 } as const

function parse(context: TableContext, map = samples.mysql.map): ReturnType<typeof parseTableMap> {
  return parseTableMap(map, 0, map.length, context)
}

test('rows of the binlog leave with masked cells, under columns that say so', () => {
  const map = parse(contextOf(masking))
  const [body, from] = samples.mysql.insert
  const builder = new RecordsBuilder()
  rowsOf(map, { kind: 'insert', body, from, to: body.length, committedAtMs: 0 }, builder)
  const [change] = [...builder.finish()]
  assert(change?.after !== undefined)
  const names = change.table.columns.map(({ name }) => name)
  const cells = unpackRow(change.after, names.length)
  const cellOf = (name: string): string => textOf(cells[names.indexOf(name)] ?? '')
  assert.equal(names.includes('tags'), false)
  assert.equal(cellOf('name'), '"Gr"')
  assert.match(cellOf('amount'), /^"[0-9a-f]{64}"$/)
  const amount = change.table.columns.find(({ name }) => name === 'amount')
  assert.deepEqual(amount, {
    name: 'amount',
    kind: 'string',
    type: 'char(64)',
    nullable: true,
    length: 64,
    mask: 'hash:1',
  })
})

test('a hash is the digest of the value under the key: the same for the same value, another under another key', () => {
  const digest = createHmac('sha256', maskKey).update('"12.30"').digest('hex')
  assert.equal(hidden.masks.get('amount')?.cell('"12.30"'), `"${digest}"`)
  const other = hiddenColumns({ masks: { t: { amount: 'hash:2' } }, maskKey: `${maskKey} 2` }, 't')
  assert.notEqual(other.masks.get('amount')?.cell('"12.30"'), `"${digest}"`)
})

test('a truncated text ends between characters, and only texts are truncated', () => {
  const { masks } = hiddenColumns({ masks: { t: { name: 'truncate:2' } } }, 't')
  const mask = masks.get('name')
  const cell = (value: string): string => textOf(mask?.cell(bytesOf(JSON.stringify(value))) ?? '')
  assert.deepEqual(['Ü"x', '👍👍👍', '', 'a'].map(cell), ['"Ü\\""', '"👍👍"', '""', '"a"'])
  assert.equal(maskedColumn('t', { name: 'name', nullable: true }, text, mask).mask, 'truncate:2')
  const integer = { kind: 'integer', bytes: 4, unsigned: false } as const
  assert.throws(() => maskedColumn('t', { name: 'name', nullable: true }, integer, mask), Failure)
})

test('a table that loses a masked column is a stop: under another name its values would leave as they are', () => {
  const cache = new TableMapCache()
  const context = contextOf({ ...masking, cache })
  const { map } = samples.mysql
  const renamed = Buffer.from(map.toString('latin1').replace('amount', 'amOunt'), 'latin1')
  // Before it had the column, it may.
  parse(contextOf(masking), renamed)
  parse(context)
  assert.throws(() => parse(context, renamed), /no column amount, which is to be masked/)
})

test('a column of the key cannot be masked', () => {
  const { masks } = hiddenColumns({ masks: { 'shop.orders': { id: 'hash:1' } }, maskKey }, 'shop.orders')
  assert.throws(() => parse(contextOf({ masks: () => masks })), /part of the key/)
  assert.throws(() => demandMasked('t', masks, ['other']), Failure)
})
