/** The chunks of a load: their order, and that they see what they must. */
import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { before, suite, test, after as afterAll } from 'node:test'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { Key } from '../../src/change/change.ts'
import { keyFrom } from '../../src/change/key.ts'
import { textOf } from '../../src/change/row.ts'
import type { Source } from '../../src/source/source.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { alive, changesAfter, openSource, requestOf } from '../support/open-source.ts'

const names = ['mysql', 'mysql@8.0', 'mysql@5.7', 'mariadb', 'mariadb@11.8'] as const

suite('chunks', { concurrency: false }, () => {
  let stack: Stack

  before(async () => {
    stack = await startStack({ servers: names })
  })
  afterAll(() => stack?.[Symbol.asyncDispose]())

  for (const name of names) testChunks(name, () => stack.servers.get(name) as SqlServer)
})

/** Rows by their keys come as the server likes. */
function inOrder<R extends { readonly key: Key }>(rows: readonly R[]): readonly R[] {
  return rows.toSorted((a, b) => (a.key < b.key ? -1 : 1))
}

function testChunks(name: string, serverOf: () => SqlServer): void {
  test(`${name}: pages follow each other in the order of any key, without a gap or a repetition`, async () => {
    const server = serverOf()
    await server.execute(
      'DROP DATABASE IF EXISTS pages',
      'CREATE DATABASE pages CHARACTER SET utf8mb4',
      ...keyTables.map(
        ([table, columns, key]) => `CREATE TABLE pages.${table} (${columns}, PRIMARY KEY (${key}))`,
      ),
    )
    await using source = await openSource(
      server,
      'pages',
      keyTables.map(([table]) => table),
    )
    for (const [table, , , values] of keyTables) {
      await server.execute(
        "SET SESSION sql_mode = ''",
        `INSERT INTO pages.${table} VALUES ${values.join(',')}`,
      )
      const pages = await allPages(source, `pages.${table}`, 2)
      const whole = await source.chunk(await requestOf(source, `pages.${table}`, undefined, 1000), alive())
      assert.deepEqual(
        pages,
        whole.rows.map(({ key }) => key),
        table,
      )
      assert.equal(new Set(pages).size, values.length, table)
      const spelled = pages.map((key) => keyFrom(whole.table, textOf(key)))
      assert.deepEqual(spelled, pages, `${table}: a key that a person copies stays as it is captured`)
      const includes = await source.head()
      const byKey = await source.rows({ table: `pages.${table}`, keys: pages, includes }, alive())
      assert.deepEqual(inOrder(byKey.rows), inOrder(whole.rows), table)
    }
  })

  test(`${name}: an invalid ENUM beside the label '' is refused where it is in a key, however it is read`, async () => {
    const server = serverOf()
    await server.execute(
      'DROP DATABASE IF EXISTS alike',
      'CREATE DATABASE alike',
      "CREATE TABLE alike.t (e ENUM('', 'a'), f ENUM('', 'a'), PRIMARY KEY (e))",
    )
    await using source = await openSource(server, 'alike')
    const from = await source.head()
    await server.execute("SET SESSION sql_mode = ''", "INSERT INTO alike.t VALUES ('', 'wrong')")
    const [change] = await changesAfter(source, from, 1)
    const [row] = (await source.chunk(await requestOf(source, 'alike.t', undefined, 10), alive())).rows
    assert.deepEqual([change?.key, row?.key], ['[""]', '[""]'], 'another column may have both')
    const keys = [row?.key as Key]
    const known = await source.head()
    await server.execute("SET SESSION sql_mode = ''", "INSERT INTO alike.t VALUES ('wrong', 'a')")
    const request = await requestOf(source, 'alike.t', undefined, 10)
    const refused = { kind: 'unsupported', message: /alike\.t\.e: a row has an invalid value/ }
    await assert.rejects(source.chunk(request, alive()), refused)
    await assert.rejects(changesAfter(source, known, 1), refused)
    const byKey = await source.rows({ table: 'alike.t', keys, includes: request.includes }, alive())
    assert.deepEqual(byKey.rows, [row], 'the key means the label')
  })

  test(`${name}: a chunk sees every change that its position includes, while others write`, async () => {
    const server = serverOf()
    await server.execute(
      'DROP DATABASE IF EXISTS fence',
      'CREATE DATABASE fence',
      'CREATE TABLE fence.t (id INT AUTO_INCREMENT PRIMARY KEY)',
    )
    await using source = await openSource(server, 'fence')
    const from = await source.head()
    const end = new AbortController()
    const writers = Array.from({ length: 4 }, async () => await keepWriting(server, end.signal))
    const known: Key[] = []
    let chunks = 0
    for await (const batch of source.read(from, AbortSignal.any([end.signal, alive()]))) {
      for (const records of batch.records) known.push(...[...records].map(({ key }) => key))
      const request = {
        table: 'fence.t',
        after: undefined,
        rowsMax: 100_000,
        bytesMax: 1e9,
        includes: batch.position,
      }
      const { rows, head } = await source.chunk(request, alive())
      const seen = new Set(rows.map(({ key }) => key))
      assert.deepEqual(
        known.filter((key) => !seen.has(key)),
        [],
      )
      assert.ok(source.covers(head, batch.position))
      if (++chunks === 60) end.abort()
    }
    await Promise.all(writers)
    assert.ok(known.length > chunks)
  })

  test(`${name}: a chunk does not read before the server has its position`, async () => {
    const server = serverOf()
    await server.execute(
      'DROP DATABASE IF EXISTS later',
      'CREATE DATABASE later',
      'CREATE TABLE later.t (id INT PRIMARY KEY)',
    )
    await using source = await openSource(server, 'later')
    const now = source.show(await source.head())
    // The last number of the set is that of the last transaction of this server; the next one is the row below.
    const next = now.replace(/\d+$/, (number) => String(Number(number) + 1))
    const connection = await server.connect()
    try {
      const start = await selectsSoFar(connection)
      const request = {
        table: 'later.t',
        after: undefined,
        rowsMax: 10,
        bytesMax: 1e6,
        includes: source.parse(next),
      }
      const chunk = source.chunk(request, alive())
      // Three queries describe the table; with the fourth it waits, or reads too early.
      while ((await selectsSoFar(connection)) < start + 4) await nextTurn()
      await connection.query('INSERT INTO later.t VALUES (1)')
      assert.deepEqual(
        (await chunk).rows.map(({ key }) => key),
        ['[1]'],
      )
    } finally {
      await connection.end()
    }
  })

  test(`${name}: a chunk that waits for a position ends when it is told to`, async () => {
    await serverOf().execute(
      'CREATE DATABASE IF NOT EXISTS fence',
      'CREATE TABLE IF NOT EXISTS fence.t (id INT PRIMARY KEY)',
    )
    await using source = await openSource(serverOf(), 'fence')
    const far = name.startsWith('mariadb') ? '0-1-999999999' : '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5'
    const request = { ...(await requestOf(source, 'fence.t', undefined, 1)), includes: source.parse(far) }
    await assert.rejects(source.chunk(request, AbortSignal.timeout(200)), { name: 'TimeoutError' })
  })

  test(`${name}: a table that is altered between its description and its rows is described anew`, async () => {
    const server = serverOf()
    await server.execute(
      'DROP DATABASE IF EXISTS altered',
      'CREATE DATABASE altered',
      'CREATE TABLE altered.t (id INT PRIMARY KEY, old_name INT)',
      'INSERT INTO altered.t VALUES (1, 2)',
    )
    await using source = await openSource(server, 'altered')
    const request = await requestOf(source, 'altered.t', undefined, 10)
    const [owner, watcher] = [await server.connect(), await server.connect()]
    try {
      await owner.query('LOCK TABLES altered.t WRITE')
      const chunk = source.chunk(request, alive())
      while (!(await waitsForTable(watcher, '%old_name%'))) await nextTurn()
      await owner.query('ALTER TABLE altered.t CHANGE old_name new_name INT')
      await owner.query('UNLOCK TABLES')
      const { table, rows } = await chunk
      assert.deepEqual(
        table.columns.map((column) => column.name),
        ['id', 'new_name'],
      )
      assert.equal(rows.length, 1)
    } finally {
      await Promise.all([owner.end(), watcher.end()])
    }
  })

  test(`${name}: a chunk ends where its bytes end, and goes on from there`, async () => {
    const server = serverOf()
    await server.execute(
      'DROP DATABASE IF EXISTS large',
      'CREATE DATABASE large',
      'CREATE TABLE large.t (id INT PRIMARY KEY, filler TEXT)',
      `INSERT INTO large.t VALUES ${Array.from({ length: 50 }, (_, id) => `(${id}, REPEAT('x', 10000))`).join(',')}`,
    )
    await using source = await openSource(server, 'large')
    const keys: Key[] = []
    for (let last: Key | undefined; ;) {
      const request = { ...(await requestOf(source, 'large.t', last, 1000)), bytesMax: 35_000 }
      const page = await source.chunk(request, alive())
      if (page.last === undefined) break
      assert.ok(page.rows.length <= 3)
      keys.push(...page.rows.map(({ key }) => key))
      last = page.last
    }
    assert.deepEqual(
      keys,
      Array.from({ length: 50 }, (_, id) => `[${id}]`),
    )
  })
}

/** Whether a statement like that waits until another session lets go of a table. */
async function waitsForTable(connection: Connection, statement: string): Promise<boolean> {
  const [rows] = await connection.query<RowDataPacket[]>(
    "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table%' AND INFO LIKE ?",
    [statement],
  )
  return rows.length > 0
}

async function selectsSoFar(connection: Connection): Promise<number> {
  const [rows] = await connection.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Com_select'")
  return Number(rows[0]?.['Value'])
}

async function keepWriting(server: SqlServer, signal: AbortSignal): Promise<void> {
  const connection = await server.connect()
  try {
    while (!signal.aborted) await connection.query('INSERT INTO fence.t VALUES ()')
  } finally {
    await connection.end()
  }
}

async function allPages(source: Source, table: string, rowsMax: number): Promise<readonly Key[]> {
  const keys: Key[] = []
  for (let last: Key | undefined; ;) {
    const page = await source.chunk(await requestOf(source, table, last, rowsMax), alive())
    if (page.last === undefined) return keys
    assert.ok(page.rows.length <= rowsMax)
    keys.push(...page.rows.map(({ key }) => key))
    last = page.last
  }
}

/** Name, columns, key, rows. */
const keyTables: readonly (readonly [string, string, string, readonly string[]])[] = [
  [
    'one',
    'id BIGINT UNSIGNED',
    'id',
    ['(1)', '(18446744073709551615)', '(9007199254740993)', '(9007199254740992)', '(0)'],
  ],
  [
    'text_and_number',
    'a VARCHAR(20) COLLATE utf8mb4_unicode_ci, b INT',
    'a, b',
    [
      "('b', 2)",
      "('B', 1)",
      "('a', 9)",
      "('ä', 1)",
      "('', 3)",
      "('it''s \\\\ \"x\"', 1)",
      "('😀', -1)",
      "('b', 3)",
    ],
  ],
  [
    'moments',
    'd DATE, t TIMESTAMP(6), h TIME(3)',
    'd, t, h',
    [
      "('0000-00-00', '2024-01-01 00:00:00.000001', '-01:00:00')",
      "('2024-05-31', '2024-01-01 00:00:00.000002', '800:00:00.5')",
      "('2024-05-31', '2024-01-01 00:00:00.000002', '-800:00:00.5')",
      "('2024-05-31', '2024-01-01 00:00:00.000001', '00:00:00')",
      "('2024-02-00', '2024-01-01 00:00:00', '00:00:00')",
    ],
  ],
  [
    'exact',
    'd DECIMAL(40,10), y YEAR, b BIT(64)',
    'd, y, b',
    [
      "('1234567890123456789012345.0000000001', 2024, 1)",
      "('1234567890123456789012345.0000000002', 2024, 1)",
      "('-1234567890123456789012345.0000000002', 1901, 0)",
      "('0', 0, 18446744073709551615)",
      "('0', 0, 18446744073709551614)",
    ],
  ],
  [
    'labels',
    "e ENUM('z', 'a', 'm'), s SET('x', 'b', 'c'), n INT",
    'e, s, n',
    [
      "('z', 'x', 1)",
      "('a', '', 1)",
      "('m', 'x,c', 1)",
      "('m', 'b', 1)",
      "('wrong', 'b', 1)",
      "('m', 'b', 2)",
    ],
  ],
  [
    'empty_label',
    "e ENUM('b', '', 'a'), n INT",
    'e, n',
    ["('', 1)", "('b', 1)", "('a', 2)", "('', 0)", "('b', 2)"],
  ],
  [
    'raw',
    'u BINARY(16), v VARBINARY(300), f FLOAT',
    'u, v, f',
    [
      "(x'00', x'00ff', 0.1)",
      "(x'00', x'00ff', 0.2)",
      "(x'ff00', '', -1)",
      "(x'27225c', x'5c27', 3)",
      "(x'27225c', x'5c2700', 3)",
    ],
  ],
]
