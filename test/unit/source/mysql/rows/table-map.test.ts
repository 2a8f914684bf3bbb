import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Failure } from '../../../../../src/change/failure.ts'
import { parseTableMap, type TableContext } from '../../../../../src/source/mysql/rows/table-map.ts'
import { contextOf, samples } from '../../../../support/binlog-samples.ts'

const columns = [
  { name: 'id', kind: 'integer', type: 'int unsigned', nullable: false, unsigned: true, length: 4 },
  { name: 'name', kind: 'string', type: 'varchar(20)', nullable: false, length: 20 },
  { name: 'state', kind: 'enum', type: "enum('new','it''s')", nullable: true },
  { name: 'tags', kind: 'set', type: "set('a','b','ü')", nullable: true },
  { name: 'amount', kind: 'decimal', type: 'decimal(10,2)', nullable: true, precision: 10, scale: 2 },
  { name: 'note', kind: 'text', type: 'text', nullable: true },
  { name: 'at', kind: 'datetime', type: 'datetime(3)', nullable: true, precision: 3 },
  { name: 'data', kind: 'binary', type: 'varbinary(20)', nullable: true, length: 20 },
]

for (const flavor of ['mysql', 'mariadb'] as const) {
  const { map } = samples[flavor]

  test(`${flavor}: names, types, nullability and key come from the event alone`, () => {
    const { schema, name, table } = parse(map)
    assert.deepEqual({ schema, name }, { schema: 'shop', name: 'orders' })
    assert.deepEqual(table, { name: 'shop.orders', columns, key: [0] })
  })

  test(`${flavor}: an event that is cut short, or damaged, is a Failure and nothing else`, () => {
    const damage = fc.record({
      at: fc.nat(map.length - 1),
      value: fc.nat(255),
      length: fc.integer({ min: 0, max: map.length }),
    })
    fc.assert(
      fc.property(damage, ({ at, value, length }) => {
        const damaged = Buffer.from(map.subarray(0, length))
        if (at < length) damaged[at] = value
        try {
          parse(damaged)
        } catch (error) {
          assert.ok(error instanceof Failure, String(error))
        }
      }),
      { numRuns: 2000 },
    )
  })
}

test('a table that is not captured is read no further than its name', () => {
  const { map } = samples.mysql
  const { schema, name, table, decoder } = parse(map.subarray(0, 30), { captured: () => false })
  assert.deepEqual(
    { schema, name, table, decoder },
    { schema: 'shop', name: 'orders', table: undefined, decoder: undefined },
  )
})

test('the same definition gives the same table, under the same id and under another', () => {
  const context = contextOf()
  const { map } = samples.mysql
  const first = parseTableMap(map, 0, map.length, context)
  assert.equal(parseTableMap(Buffer.from(map), 0, map.length, context), first)
  const renumbered = Buffer.from(map)
  renumbered.writeUIntLE(129, 0, 6)
  const second = parseTableMap(renumbered, 0, map.length, context)
  assert.equal(second.tableId, 129)
  assert.equal(second.table, first.table)
  assert.equal(second.decoder, first.decoder)
})

test('another definition under the same id is another table', () => {
  const context = contextOf()
  const { map } = samples.mysql
  const first = parseTableMap(map, 0, map.length, context)
  const renamed = Buffer.from(map)
  renamed.write('Orders', map.indexOf('orders'))
  const second = parseTableMap(renamed, 0, map.length, context)
  assert.equal(second.table?.name, 'shop.Orders')
  assert.equal(first.table?.name, 'shop.orders')
})

test('excluded columns are not in the table, and the key still points at its column', () => {
  const { table } = parse(samples.mysql.map, { excluded: () => new Set(['name', 'data']) })
  assert.deepEqual(
    table?.columns.map(({ name }) => name),
    ['id', 'state', 'tags', 'amount', 'note', 'at'],
  )
  assert.deepEqual(table?.key, [0])
})

test('an excluded key column is refused', () => {
  refuses(
    () => parse(samples.mysql.map, { excluded: () => new Set(['id']) }),
    'configuration',
    /key column id/,
  )
})

test('metadata without names is refused with the statement that mends it', () => {
  const { map } = samples.mysql
  // What MINIMAL leaves: signedness and character sets.
  const minimal = map.subarray(0, map.indexOf('id', 40) - 3)
  refuses(() => parse(minimal), 'unsupported', /lacks the names/, /binlog_row_metadata = FULL/)
})

test('a table without a primary key is refused by name, unless a key is configured', () => {
  const { map } = samples.mariadb
  const keyless = map.subarray(0, map.length - 3)
  refuses(() => parse(keyless), 'configuration', /shop\.orders has no usable key/)
  const { table } = parse(keyless, { keyColumns: () => ['name', 'id'] })
  assert.deepEqual(table?.key, [1, 0])
  refuses(() => parse(keyless, { keyColumns: () => ['nope'] }), 'configuration', /no column nope/)
})

test('a collation that is not known is refused by its number, and the column can be excluded', () => {
  const { map } = samples.mariadb
  const strange = Buffer.from(map)
  // The text column's collation, in the list of three: latin1, utf8mb4, binary.
  strange[strange.indexOf(Buffer.from('082d3f', 'hex')) + 1] = 100
  refuses(() => parse(strange), 'unsupported', /column note.*collation 100/, /exclude the column note/)
  assert.equal(parse(strange, { excluded: () => new Set(['note']) }).table?.columns.length, 7)
})

function parse(map: Buffer, some: Partial<TableContext> = {}): ReturnType<typeof parseTableMap> {
  return parseTableMap(map, 0, map.length, contextOf(some))
}

function refuses(action: () => unknown, kind: string, message: RegExp, remedy = /./): void {
  assert.throws(action, (error) => {
    assert.ok(error instanceof Failure)
    assert.equal(error.kind, kind)
    assert.match(error.message, message)
    assert.match(error.remedy ?? 'none', remedy)
    return true
  })
}
