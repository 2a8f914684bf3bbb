import assert from 'node:assert/strict'
import { after as atEnd, before as atStart, test } from 'node:test'
import { createConnection } from 'mysql2/promise'
import type { Position } from '../../src/change/change.ts'
import { countOf } from '../../src/change/records.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import { parsePosition } from '../../src/source/mysql/gtid/position.ts'
import type { SourceBatch } from '../../src/source/source.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { startFreezingProxy } from '../support/freezing-proxy.ts'
import {
  changesOf,
  describeChange,
  failureOfReading,
  freshSchema,
  settingsOf,
  startReading,
  write,
} from '../support/source-reading.ts'

const names = ['mysql', 'mysql@8.0', 'mysql@5.7', 'mariadb', 'mariadb@11.8'] as const

let stack: Stack

atStart(async () => {
  stack = await startStack({ servers: names })
})
atEnd(() => stack?.[Symbol.asyncDispose]())

for (const name of names) {
  const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer

  test(`${name}: inserts, updates, deletes and changes of the key come in order`, async () => {
    const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(20))')
    const reading = await startReading(serverOf(), [`${schema}.t`])
    await write(serverOf(), schema, [
      "INSERT INTO t VALUES (1, 'one'), (2, 'zwölf')",
      "UPDATE t SET word = 'two' WHERE id = 2",
      'UPDATE t SET id = 3 WHERE id = 2',
      'BEGIN',
      'DELETE FROM t WHERE id = 1',
      'INSERT INTO t VALUES (1, NULL)',
      'COMMIT',
    ])
    await reading.untilHead()
    assert.deepEqual(reading.changes.map(describeChange), [
      'insert [1] - 1,"one"',
      'insert [2] - 2,"zwölf"',
      'update [2] 2,"zwölf" 2,"two"',
      'delete [2] 2,"two" -',
      'insert [3] - 3,"two"',
      'delete [1] 1,"one" -',
      'insert [1] - 1,NULL',
    ])
    const now = Date.now()
    for (const { committedAtMs } of reading.changes) assert(Math.abs(now - committedAtMs) < 60_000)
    await reading.end()
  })

  test(`${name}: a large transaction comes in pieces, and each of them is a place to go on from`, async () => {
    const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY, filler VARCHAR(200))')
    const first = await startReading(serverOf(), [`${schema}.t`])
    const rows = Array.from({ length: 6000 }, (_, id) => `(${id}, '${'x'.repeat(180)}')`)
    await write(serverOf(), schema, [
      'BEGIN',
      `INSERT INTO t VALUES ${rows.slice(0, 3000).join(',')}`,
      `INSERT INTO t VALUES ${rows.slice(3000).join(',')}`,
      'UPDATE t SET id = id + 10000 WHERE id < 10',
      'COMMIT',
    ])
    await first.untilHead()
    await first.end()
    const all = first.changes.map(describeChange)
    assert.equal(all.length, 6020)
    const inside = first.batches.filter((batch) => parsePosition(batch.position).inside !== undefined)
    assert(inside.length >= 3, `${inside.length} pieces`)
    for (const batch of first.batches) assert(batch.bytes < 512 * 1024, `a piece of ${batch.bytes} bytes`)
    let given = 0
    for (const batch of first.batches) {
      given += countOf(batch.records)
      const rest = await startReading(serverOf(), [`${schema}.t`], { from: batch.position })
      await rest.untilHead()
      await rest.end()
      assert.deepEqual(rest.changes.map(describeChange), all.slice(given))
    }
  })

  test(`${name}: a part of a transaction does not count on another server`, async () => {
    const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY)')
    const first = await startReading(serverOf(), [`${schema}.t`])
    await write(serverOf(), schema, ['INSERT INTO t VALUES (1)'])
    await first.untilHead()
    await first.end()
    const { from } = first
    const executed = parsePosition(first.position).executed.toString()
    const gtid = name.startsWith('mariadb')
      ? executed
      : `${executed.split(':')[0]}:${executed.split('-').at(-1)}`
    const foreign = JSON.stringify({ ...JSON.parse(from), inside: { gtid, events: 1, server: 'another' } })
    const again = await startReading(serverOf(), [`${schema}.t`], { from: foreign as Position })
    await again.untilHead()
    await again.end()
    assert.deepEqual(again.changes.map(describeChange), ['insert [1] - 1'])
  })

  test(`${name}: statements that change rows unseen become barriers after what came before them`, async () => {
    const schema = await freshSchema(
      serverOf(),
      'CREATE TABLE t (id INT PRIMARY KEY, n INT)',
      'CREATE TABLE other (id INT PRIMARY KEY)',
    )
    const reading = await startReading(serverOf(), [`${schema}.t`])
    await write(serverOf(), schema, [
      'INSERT INTO t VALUES (1, 1)',
      'ALTER TABLE t ADD INDEX (n)',
      'TRUNCATE other',
      'TRUNCATE /* all */ `t`',
      'INSERT INTO t VALUES (2, 2)',
    ])
    // A server that names no columns is asked for them, before they change.
    await reading.untilHead()
    await write(serverOf(), schema, [
      'ALTER TABLE t ADD COLUMN m INT DEFAULT 7',
      `RENAME TABLE t TO u, other TO t`,
      // Where temporary tables are logged at all, they are logged as statements.
      "SET SESSION binlog_format = 'STATEMENT'",
      'CREATE TEMPORARY TABLE t (id INT PRIMARY KEY)',
      'TRUNCATE t',
    ])
    await reading.untilHead()
    await reading.end()
    const temporary = reading.barriers.slice(3)
    const untold = { table: `${schema}.t`, statement: 'TRUNCATE t' }
    assert.deepEqual(temporary, [untold], 'the captured table was not emptied')
    assert.deepEqual(
      reading.barriers
        .slice(0, 3)
        .map(
          ({ table, statement, effect }) =>
            `${table}: ${effect === undefined ? '' : `${effect.kind} `}${statement}`,
        ),
      [
        `${schema}.t: emptied TRUNCATE /* all */ \`t\``,
        `${schema}.t: widened ALTER TABLE t ADD COLUMN m INT DEFAULT 7`,
        `${schema}.t: RENAME TABLE t TO u, other TO t`,
      ],
    )
    const order = reading.batches.flatMap((batch) => [
      ...changesOf(batch).map(({ key }) => String(key)),
      ...batch.barriers.map(() => 'barrier'),
    ])
    assert.deepEqual(order.slice(0, 5), ['[1]', 'barrier', '[2]', 'barrier', 'barrier'])
  })

  test(`${name}: rows that a foreign key changed are in the stream, or their table is to be read again`, async () => {
    const schema = await freshSchema(
      serverOf(),
      'CREATE TABLE p (id INT PRIMARY KEY, word INT)',
      'CREATE TABLE c (id INT PRIMARY KEY, pid INT, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)',
      'CREATE TABLE g (id INT PRIMARY KEY, cid INT, FOREIGN KEY (cid) REFERENCES c (id) ON DELETE SET NULL)',
      'INSERT INTO p VALUES (1, 1), (2, 2)',
      'INSERT INTO c VALUES (1, 1), (2, 2)',
      'INSERT INTO g VALUES (1, 1), (2, 2)',
    )
    const reading = await startReading(serverOf(), [`${schema}.c`, `${schema}.g`])
    await write(serverOf(), schema, ['UPDATE p SET word = 9', 'INSERT INTO p VALUES (5, 5)'])
    await reading.untilHead()
    assert.equal(reading.barriers.length, 0)
    await write(serverOf(), schema, ['DELETE FROM p WHERE id = 1', 'UPDATE p SET id = 3 WHERE id = 2'])
    await reading.untilHead()
    await reading.end()
    const seen = reading.changes.map((change) => `${change.table.name.replace(/.*\./, '')} ${change.op}`)
    const marked = reading.barriers.map(({ table }) => table.split('.')[1])
    if (name === 'mysql') {
      assert.deepEqual(
        seen.toSorted((one, other) => one.localeCompare(other)),
        ['c delete', 'c update', 'g update'],
      )
      assert.equal(marked.length, 0)
    } else
      assert.deepEqual(
        marked.toSorted((one = '', other = '') => one.localeCompare(other)),
        ['c', 'c', 'g'],
      )
  })
}

for (const name of ['mysql', 'mariadb'] as const)
  test(`${name}: a statement of a client that does not speak UTF-8 is understood`, async () => {
    const server = stack.servers.get(name) as SqlServer
    const schema = await freshSchema(server, 'CREATE TABLE `köln` (id INT PRIMARY KEY)')
    const reading = await startReading(server, [`${schema}.köln`])
    const client = await createConnection({ port: server.port, user: 'root', charset: 'LATIN1_SWEDISH_CI' })
    try {
      await client.query(`TRUNCATE ${schema}.\`köln\``)
    } finally {
      await client.end()
    }
    await reading.untilHead()
    await reading.end()
    const statement = `TRUNCATE ${schema}.\`köln\``
    assert.deepEqual(reading.barriers, [{ table: `${schema}.köln`, statement, effect: { kind: 'emptied' } }])
  })

for (const name of ['mariadb', 'mariadb@11.8'] as const)
  test(`${name}: a table that keeps its history stops the stream, from the start or once it begins to`, async () => {
    const server = stack.servers.get(name) as SqlServer
    const schema = await freshSchema(server, 'CREATE TABLE t (id INT PRIMARY KEY, n INT)')
    const table = `${schema}.t`
    const source = createMysqlSource(settingsOf(server), [table])
    const before = await source.head()
    await source.close()
    await write(server, schema, ['INSERT INTO t VALUES (1, 1)', 'ALTER TABLE t ADD SYSTEM VERSIONING'])
    await write(server, schema, ['DELETE FROM t', 'ALTER TABLE t DROP SYSTEM VERSIONING'])
    const begun = await failureOfReading(server, table, { from: before })
    assert.match(begun.message, /t is system-versioned.*in transaction \d+-\d+-\d+/)
    await write(server, schema, ['ALTER TABLE t ADD SYSTEM VERSIONING'])
    const there = await failureOfReading(server, table, { from: before })
    for (const { kind, message, remedy } of [begun, there]) {
      assert.equal(kind, 'unsupported')
      assert.match(message, /rows of the past/)
      assert.match(remedy ?? '', /DROP SYSTEM VERSIONING/)
    }
  })

test('transactions with tags are read once, over a stop and over connections that break', async () => {
  const { mysql } = stack
  const schema = await freshSchema(mysql, 'CREATE TABLE t (id INT PRIMARY KEY)')
  const tagged = async (tag: string, id: number): Promise<void> =>
    await write(mysql, schema, [`SET gtid_next = 'AUTOMATIC${tag}'`, `INSERT INTO t VALUES (${id})`])
  await using proxy = await startFreezingProxy(mysql.port)
  const settings = { port: proxy.port }
  const reading = await startReading(mysql, [`${schema}.t`], { settings })
  await tagged(':harvest', 1)
  await tagged('', 2)
  await reading.untilHead()
  proxy.cut()
  await tagged(':harvest', 3)
  await tagged(':sowing', 4)
  await reading.untilHead()
  await reading.end()
  assert.match(reading.position, /:harvest:1-2:sowing:1/)
  await tagged(':harvest', 5)
  const again = await startReading(mysql, [`${schema}.t`], { settings, from: reading.position })
  await again.untilHead()
  proxy.cut()
  await tagged(':sowing', 6)
  await again.untilHead()
  await again.end()
  assert.match(again.position, /:harvest:1-3:sowing:1-2/)
  assert.deepEqual(
    [...reading.changes, ...again.changes].map(({ key }) => key),
    ['[1]', '[2]', '[3]', '[4]', '[5]', '[6]'],
  )
})

test('an event that cannot be read stops the stream before its transaction, by name and place', async () => {
  const { mysql } = stack
  const schema = await freshSchema(mysql, 'CREATE TABLE t (id INT PRIMARY KEY)')
  const source = createMysqlSource(settingsOf(mysql), [`${schema}.t`])
  await write(mysql, schema, ['INSERT INTO t VALUES (1)'])
  const before = await source.head()
  await source.close()
  await write(mysql, schema, ["SET SESSION binlog_format = 'STATEMENT'", 'INSERT INTO t VALUES (2)'])
  const batches: SourceBatch[] = []
  const stopped = await failureOfReading(mysql, `${schema}.t`, { from: before, batches })
  assert.equal(stopped.kind, 'unsupported')
  assert.match(
    stopped.message,
    /an INSERT that is in the binlog as a statement.*in transaction [0-9a-f-]{36}:\d+, before binlog\.\d+:\d+/,
  )
  assert.match(stopped.remedy ?? '', /SET GLOBAL binlog_format = ROW/)
  for (const { position } of batches) assert(source.covers(before, position))
})
