import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ForeignKeys, foreignKeysIn } from '../../../../src/source/mysql/foreign-keys.ts'

test('foreign keys are read from a CREATE TABLE with their actions', () => {
  const statement = `CREATE TABLE \`c\` (
    \`id\` int NOT NULL COMMENT 'REFERENCES nothing (x) ON DELETE CASCADE',
    \`pid\` int, \`a\` int, \`b\` int,
    PRIMARY KEY (\`id\`),
    CONSTRAINT \`f1\` FOREIGN KEY (\`pid\`) REFERENCES \`p\` (\`id\`) ON DELETE CASCADE,
    CONSTRAINT \`f2\` FOREIGN KEY (\`a\`, \`b\`) REFERENCES \`other\`.\`Q\` (\`x\`, \`Y\`) ON DELETE SET NULL ON UPDATE CASCADE,
    CONSTRAINT \`f3\` FOREIGN KEY (\`pid\`) REFERENCES \`r\` (\`id\`),
    CONSTRAINT \`f4\` FOREIGN KEY (\`a\`) REFERENCES \`s\` (\`id\`) ON UPDATE RESTRICT ON DELETE NO ACTION
  ) ENGINE=InnoDB`
  const found = foreignKeysIn(statement, 'shop.c').map(({ key }) => {
    const { parent, columns, onDelete, onUpdate } = key
    return `${parent} (${columns.join(',')}) ${onDelete} ${onUpdate}`
  })
  assert.deepEqual(found, [
    'shop.p (id) deleted nothing',
    'other.q (x,y) updated updated',
    'shop.r (id) nothing nothing',
    'shop.s (id) nothing nothing',
  ])
})

test('a change reaches captured tables over all levels, in the way that each key has', () => {
  const key = { columns: ['id'], onUpdate: 'nothing' } as const
  const keys = new ForeignKeys(
    [
      { ...key, child: 's.b', parent: 's.a', onDelete: 'deleted' },
      { ...key, child: 's.c', parent: 's.b', onDelete: 'updated' },
      { ...key, child: 's.d', parent: 's.c', onDelete: 'deleted' },
      { ...key, child: 's.e', parent: 's.c', onDelete: 'nothing', onUpdate: 'updated' },
      { ...key, child: 's.tree', parent: 's.tree', onDelete: 'deleted' },
    ],
    ['s.C', 's.d', 's.e', 's.tree'],
  )
  assert.deepEqual([...keys.reachedFrom('s.a', 'deleted')].toSorted(byName), ['s.C', 's.e'])
  assert.deepEqual([...keys.reachedFrom('s.c', 'deleted')], ['s.d'])
  assert.deepEqual([...keys.reachedFrom('s.a', 'updated')], [])
  assert.deepEqual([...keys.reachedFrom('s.tree', 'deleted')], ['s.tree'])
  assert.deepEqual([...keys.followedColumns('s.c')], ['id'])
  assert.deepEqual([...keys.followedColumns('s.a')], [])
  assert(keys.isParent('s.a') && !keys.isParent('s.d'))
})

test('a child is reached directly where one key of one column leads there, and no other way', () => {
  const key = { columns: ['id'], onDelete: 'deleted', onUpdate: 'updated' } as const
  const referring = { column: 'Pid', isKeyed: false }
  const keys = new ForeignKeys(
    [
      { ...key, child: 's.one', parent: 's.p', referring },
      { ...key, child: 's.keyed', parent: 's.p', referring: { ...referring, isKeyed: true } },
      { ...key, child: 's.several', parent: 's.p' },
      { ...key, child: 's.twice', parent: 's.p', referring },
      { ...key, child: 's.twice', parent: 's.p', referring: { ...referring, column: 'other' } },
      { ...key, child: 's.deep', parent: 's.one', referring },
      { ...key, child: 's.both', parent: 's.p', referring },
      { ...key, child: 's.both', parent: 's.one', referring },
      { ...key, child: 's.tree', parent: 's.tree', referring },
    ],
    ['s.One', 's.keyed', 's.several', 's.twice', 's.deep', 's.both', 's.tree'],
  )
  const direct = (child: string, change: 'deleted' | 'updated' = 'deleted'): string | undefined =>
    keys.directKey('s.p', change, child)?.referring?.column
  assert.deepEqual([direct('s.One'), direct('s.One', 'updated')], ['Pid', 'Pid'])
  assert.deepEqual([direct('s.keyed'), direct('s.keyed', 'updated')], ['Pid', undefined])
  for (const child of ['s.several', 's.twice', 's.deep', 's.both'])
    assert.equal(direct(child), undefined, child)
  assert.equal(keys.directKey('s.tree', 'deleted', 's.tree'), undefined)
})

test('the referring column is known, and whether it is part of a key', () => {
  const statement = `CREATE TABLE \`c\` (\`id\` int, \`Pid\` int, \`q\` int, PRIMARY KEY (\`id\`),
    UNIQUE KEY \`u\` (\`q\`,\`id\`), KEY \`k\` (\`Pid\`),
    CONSTRAINT \`a\` FOREIGN KEY (\`Pid\`) REFERENCES \`p\` (\`id\`) ON DELETE CASCADE,
    CONSTRAINT \`b\` FOREIGN KEY (\`q\`) REFERENCES \`p\` (\`id\`) ON DELETE CASCADE,
    CONSTRAINT \`d\` FOREIGN KEY (\`q\`, \`Pid\`) REFERENCES \`r\` (\`x\`, \`y\`) ON DELETE CASCADE)`
  assert.deepEqual(
    foreignKeysIn(statement, 's.c').map(({ key }) => key.referring),
    [{ column: 'Pid', isKeyed: false }, { column: 'q', isKeyed: true }, undefined],
  )
})

function byName(one: string, other: string): number {
  return one.localeCompare(other)
}
