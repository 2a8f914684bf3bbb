import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ColumnsLost,
  lostColumns,
  SchemaNeeded,
  type SchemaColumn,
  type SchemaLookup,
} from '../../../../../src/source/mysql/rows/schema-match.ts'
import { placed } from '../../../../../src/source/mysql/binlog/event-policy.ts'
import { parseTableMap } from '../../../../../src/source/mysql/rows/table-map.ts'
import { Failure } from '../../../../../src/change/failure.ts'
import { contextOf, samples } from '../../../../support/binlog-samples.ts'

/** The table of the samples as information_schema shows it. */
const columns: readonly SchemaColumn[] = [
  column('id', { kind: 'integer', bytes: 4, unsigned: true }, { nullable: false }),
  column('name', { kind: 'string', fixed: false, characters: 20 }, { nullable: false, charset: 'latin1' }),
  column('state', { kind: 'enum', labels: ['new', "it's"] }, { charset: 'utf8mb4' }),
  column('tags', { kind: 'set', labels: ['a', 'b', 'ü'] }, { charset: 'utf8mb4' }),
  column('amount', { kind: 'decimal', precision: 10, scale: 2, unsigned: false }),
  column('note', { kind: 'text', lengthBytes: 2 }, { charset: 'utf8mb4' }),
  column('at', { kind: 'datetime', digits: 3 }),
  column('data', { kind: 'binary', fixed: false, bytes: 20 }),
]

/** The first field of the optional metadata. */
const signedness = Buffer.from('010180', 'hex')
const noNote: ReadonlySet<string> = new Set(['note'])

for (const flavor of ['mysql', 'mariadb'] as const) {
  const full = samples[flavor].map
  // Signedness and character sets are what MINIMAL leaves; MySQL 5.7 leaves nothing.
  const minimal = full.subarray(0, full.indexOf('id', 40) - 3)
  const none = full.subarray(0, full.indexOf(signedness))

  test(`${flavor}: a table is the same, whoever names its columns`, () => {
    const { table } = parseTableMap(full, 0, full.length, contextOf({ flavor, schemas: lookup() }))
    for (const map of [minimal, none])
      assert.deepEqual(
        parseTableMap(map, 0, map.length, contextOf({ flavor, schemas: lookup() })).table,
        table,
      )
  })

  test(`${flavor}: whatever differs between the event and the schema is refused`, () => {
    const differences: readonly (readonly [
      Partial<SchemaColumn> & { readonly at: number },
      RegExp,
      boolean?,
    ])[] = [
      [
        { at: 0, type: { kind: 'integer', bytes: 8, unsigned: true } },
        /id is bigint unsigned, not int unsigned/,
      ],
      [{ at: 0, type: { kind: 'integer', bytes: 4, unsigned: false } }, /id is signed/, true],
      [{ at: 0, nullable: true }, /id may be NULL/],
      [{ at: 1, type: { kind: 'string', fixed: false, characters: 21 } }, /name is varchar\(21\)/],
      [{ at: 1, charset: 'utf8mb4' }, /name is/],
      [{ at: 2, type: { kind: 'set', labels: ['new'] } }, /state is set/],
      [
        { at: 3, type: { kind: 'set', labels: Array.from({ length: 9 }, String) } },
        /tags is .* not one of 1 bytes/,
      ],
      [
        { at: 4, type: { kind: 'decimal', precision: 10, scale: 3, unsigned: false } },
        /amount is decimal\(10,3\)/,
      ],
      [{ at: 6, type: { kind: 'datetime', digits: 0 } }, /at is datetime, not datetime\(3\)/],
      [{ at: 7, type: { kind: 'blob', lengthBytes: 1 } }, /data is tinyblob/],
    ]
    for (const [{ at, ...other }, message, needsSigns] of differences)
      for (const map of needsSigns === true ? [minimal] : [minimal, none]) {
        const changed = columns.map((each, index) => (index === at ? { ...each, ...other } : each))
        const context = contextOf({ flavor, schemas: lookup(changed) })
        assert.throws(
          () => parseTableMap(map, 0, map.length, context),
          (error) => {
            assert(error instanceof ColumnsLost, String(error))
            assert.match(error.message, message)
            assert.equal(error.remedy, 'the remedy')
            return true
          },
        )
      }
  })

  test(`${flavor}: a column more or less is refused`, () => {
    for (const others of [columns.slice(1), [...columns, column('more', { kind: 'year' })]])
      assert.throws(
        () => parseTableMap(none, 0, none.length, contextOf({ flavor, schemas: lookup(others) })),
        /columns, not 8/,
      )
  })

  test(`${flavor}: a column that cannot be read is refused by name, and can be excluded`, () => {
    const strange = columns.map((each) => (each.name === 'note' ? { ...each, type: 'it is strange' } : each))
    const schemas = lookup(strange)
    assert.throws(
      () => parseTableMap(none, 0, none.length, contextOf({ flavor, schemas })),
      /column note: it is strange/,
    )
    const { table } = parseTableMap(
      none,
      0,
      none.length,
      contextOf({ flavor, schemas, excluded: () => noNote }),
    )
    assert.equal(table?.columns.length, 7)
  })
}

test('nobody is asked where the binlog names the columns', () => {
  const { map } = samples.mysql
  const schemas: SchemaLookup = {
    of: () => {
      throw new Error('asked')
    },
    remedy: '',
  }
  assert.equal(parseTableMap(map, 0, map.length, contextOf({ schemas })).table?.columns.length, 8)
})

test('what must be learned first comes out as it is, a failure with its place', () => {
  const needed = new SchemaNeeded('shop.orders')
  assert.equal(placed(needed, 'somewhere'), needed)
  const lost = placed(new ColumnsLost('gone', 'the remedy'), 'somewhere')
  assert(lost instanceof Failure)
  assert.equal(lostColumns(lost), true)
  assert.equal(lostColumns(new Failure('lost', 'purged')), false)
})

function column(
  name: string,
  type: SchemaColumn['type'],
  { nullable = true, charset }: { readonly nullable?: boolean; readonly charset?: string } = {},
): SchemaColumn {
  return { name, type, nullable, charset }
}

function lookup(of: readonly SchemaColumn[] = columns): SchemaLookup {
  return { of: () => ({ columns: of, primaryKey: [0] }), remedy: 'the remedy' }
}
