import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ColumnType } from '../../../../../src/source/mysql/values/column-type.ts'
import { leavesColumns, toldApart } from '../../../../../src/source/mysql/rows/lookalikes.ts'
import { SchemaNeeded, type SchemaLookup } from '../../../../../src/source/mysql/rows/schema-match.ts'
import type { OptionalMetadata } from '../../../../../src/source/mysql/rows/table-metadata.ts'
import {
  CODE,
  typeOf,
  type WireColumn,
  type WireDetail,
} from '../../../../../src/source/mysql/values/wire-column.ts'

const bytes16: WireColumn = { code: CODE.string, metadata: 16, nullable: true }
const bytes4: WireColumn = { code: CODE.string, metadata: 4, nullable: true }
const bytes12: WireColumn = { code: CODE.varchar, metadata: 12, nullable: true }
const bytes7: WireColumn = { code: CODE.varchar, metadata: 7, nullable: true }
const collations = { binary: 63, latin1: 8 }

function metadataOf(names: readonly string[], collation = collations.binary): OptionalMetadata {
  const detail: WireDetail = {
    unsigned: false,
    collation,
    labels: undefined,
    dimensions: undefined,
    shape: undefined,
    special: undefined,
  }
  return { names, primaryKey: [0], hasSigns: true, detailOf: () => detail }
}

function lookup(types: Readonly<Record<string, ColumnType | string>>): SchemaLookup {
  const columns = Object.entries(types).map(([name, type]) => ({
    name,
    type,
    nullable: true,
    charset: undefined,
  }))
  return { of: () => ({ columns, primaryKey: [0] }), remedy: 'load anew' }
}

const nothingAsked: SchemaLookup = {
  of: () => assert.fail('the schema is asked for'),
  remedy: '',
}

function typesOf(
  wire: readonly WireColumn[],
  types: Readonly<Record<string, ColumnType | string>>,
): readonly (ColumnType | string)[] {
  const names = Object.keys(types)
  const told = toldApart({ name: 'a.b', excluded: new Set() }, wire, metadataOf(names), lookup(types))
  return wire.map((column, index) => typeOf(column, told.detailOf(index)))
}

test('columns of bytes are what information_schema says, where it fits', () => {
  const types: Readonly<Record<string, ColumnType>> = {
    a: { kind: 'uuid' },
    b: { kind: 'address', bytes: 16 },
    c: { kind: 'address', bytes: 4 },
    d: { kind: 'vector', dimensions: 3 },
    e: { kind: 'binary', fixed: true, bytes: 16 },
    f: { kind: 'binary', fixed: false, bytes: 12 },
  }
  const wire = [bytes16, bytes16, bytes4, bytes12, bytes16, bytes12]
  assert.deepEqual(typesOf(wire, types), Object.values(types))
})

test('nobody is asked for columns that can be nothing else, or are left out', () => {
  const table = { name: 'a.b', excluded: new Set(['u']) }
  const metadata = metadataOf(['u', 'v'])
  assert.equal(toldApart(table, [bytes16, bytes7], metadata, nothingAsked), metadata)
  const text = metadataOf(['a', 'b'], collations.latin1)
  assert.equal(toldApart(table, [bytes16, bytes12], text, nothingAsked), text)
})

test('what information_schema contradicts is a stop', () => {
  const wrong: readonly (readonly [WireColumn, ColumnType | string])[] = [
    [bytes4, { kind: 'uuid' }],
    [bytes12, { kind: 'vector', dimensions: 4 }],
    [bytes16, { kind: 'binary', fixed: true, bytes: 20 }],
    [bytes16, { kind: 'integer', bytes: 4, unsigned: false }],
    [bytes16, 'the type x cannot be read'],
  ]
  for (const [wire, type] of wrong)
    assert.throws(() => typesOf([wire], { a: type }), {
      kind: 'lost',
      message: /a\.b: .* column a /,
      remedy: /--reload/,
    })
  const metadata = metadataOf(['renamed'])
  const table = { name: 'a.b', excluded: new Set<string>() }
  assert.throws(() => toldApart(table, [bytes16], metadata, lookup({ a: { kind: 'uuid' } })), {
    kind: 'lost',
  })
})

function leaves(statement: string): boolean {
  return leavesColumns(statement, ['u', 'owner id'])
}

test('only an ALTER TABLE that does not name a column leaves it as it was', () => {
  assert.ok(leaves('ALTER TABLE t ADD COLUMN unit INT, ENGINE = InnoDB'))
  assert.ok(leaves('alter online table `t` drop index `uu`'))
  assert.ok(leaves('/* release 7 */ /* by app */ ALTER TABLE t ADD x INT'))
  for (const statement of [
    'ALTER TABLE t MODIFY U UUID',
    'ALTER TABLE t CHANGE `u` x INT',
    'ALTER TABLE t DROP `Owner ID`',
    'ALTER TABLE t RENAME TO s',
    'ALTER TABLE t EXCHANGE PARTITION p WITH TABLE s',
    'RENAME TABLE s TO t',
    'CREATE OR REPLACE TABLE t (x INT)',
    'DROP TABLE t',
    '/*!50000 DROP TABLE t */ ALTER TABLE t ADD x INT',
    '/* a */ /*M! DROP */ ALTER TABLE t ADD x INT',
    'SET STATEMENT max_statement_time = 1 FOR ALTER TABLE t ADD COLUMN x INT',
  ])
    assert.ok(!leaves(statement), statement)
})

test('without a schema nothing is guessed', () => {
  const table = { name: 'a.b', excluded: new Set<string>() }
  const unknown: SchemaLookup = {
    of: (name) => {
      throw new SchemaNeeded(name)
    },
    remedy: '',
  }
  assert.throws(() => toldApart(table, [bytes16], metadataOf(['a']), unknown), SchemaNeeded)
  assert.throws(() => toldApart(table, [bytes16], metadataOf(['a']), undefined), { kind: 'unsupported' })
})
