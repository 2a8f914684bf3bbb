import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ForeignKeys, foreignKeysIn } from '../../../../../src/source/mysql/schema/foreign-keys.ts'

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
  const key = { columns: ['id'], referring: [], onUpdate: 'nothing' } as const
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

test('what the rows of a child have of the changed parent is known along every key that leads there', () => {
  const key = { columns: ['id'], onDelete: 'deleted', onUpdate: 'updated' } as const
  const referring = [{ column: 'Pid', isKeyed: false }]
  const keys = new ForeignKeys(
    [
      { ...key, child: 's.one', parent: 's.p', referring },
      { ...key, child: 's.keyed', parent: 's.p', referring: [{ column: 'Pid', isKeyed: true }] },
      { ...key, child: 's.twice', parent: 's.p', referring },
      { ...key, child: 's.twice', parent: 's.p', referring: [{ column: 'other', isKeyed: false }] },
      { ...key, child: 's.other', parent: 's.one', referring },
      { ...key, child: 's.deep', parent: 's.one', columns: ['id', 'pid'], referring: both },
      { ...key, child: 's.both', parent: 's.p', referring },
      { ...key, child: 's.both', parent: 's.one', columns: ['pid'], referring },
      { ...key, child: 's.differs', parent: 's.p', referring },
      { ...key, child: 's.differs', parent: 's.one', referring },
      { ...key, child: 's.tree', parent: 's.tree', referring },
      { ...key, child: 's.tree', parent: 's.p', referring },
      { ...key, child: 's.leaf', parent: 's.tree', columns: ['pid'], referring },
      { ...key, child: 's.lost', parent: 's.one', columns: ['pid'], referring, onDelete: 'updated' },
    ],
    ['s.One', 's.keyed', 's.twice', 's.other', 's.deep', 's.both', 's.differs', 's.tree', 's.leaf', 's.lost'],
  )
  const inherited = (child: string, change: 'deleted' | 'updated' = 'deleted'): string | undefined => {
    const found = keys.inherited('s.p', change, child)
    return found === undefined ? undefined : `${found.change} ${[...found.columns].join(' ')}`
  }
  assert.deepEqual([inherited('s.One'), inherited('s.One', 'updated')], ['deleted Pid,id', 'updated Pid,id'])
  assert.deepEqual([inherited('s.keyed'), inherited('s.keyed', 'updated')], ['deleted Pid,id', undefined])
  assert.equal(inherited('s.deep'), 'deleted Far,id', 'the column that the child of the child shares')
  assert.equal(inherited('s.both'), 'deleted Pid,id', 'two ways to the same')
  assert.equal(inherited('s.lost'), 'updated Pid,id')
  for (const child of ['s.twice', 's.other', 's.differs', 's.tree', 's.leaf'])
    assert.equal(inherited(child), undefined, child)
})

const both = [
  { column: 'Near', isKeyed: false },
  { column: 'Far', isKeyed: false },
]

test('the referring columns are known, and whether they are part of a key', () => {
  const statement = `CREATE TABLE \`c\` (\`id\` int, \`Pid\` int, \`q\` int, PRIMARY KEY (\`id\`),
    UNIQUE KEY \`u\` (\`q\`,\`id\`), KEY \`k\` (\`Pid\`),
    CONSTRAINT \`a\` FOREIGN KEY (\`Pid\`) REFERENCES \`p\` (\`id\`) ON DELETE CASCADE,
    CONSTRAINT \`b\` FOREIGN KEY (\`q\`) REFERENCES \`p\` (\`id\`) ON DELETE CASCADE,
    CONSTRAINT \`d\` FOREIGN KEY (\`q\`, \`Pid\`) REFERENCES \`r\` (\`x\`, \`y\`) ON DELETE CASCADE)`
  assert.deepEqual(
    foreignKeysIn(statement, 's.c').map(({ key }) => key.referring),
    [
      [{ column: 'Pid', isKeyed: false }],
      [{ column: 'q', isKeyed: true }],
      [
        { column: 'q', isKeyed: true },
        { column: 'Pid', isKeyed: false },
      ],
    ],
  )
})

function byName(one: string, other: string): number {
  return one.localeCompare(other)
}
