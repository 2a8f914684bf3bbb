/** Types that need more than their bytes: what they are must be known, or the server's own functions say what they mean. */
import assert from 'node:assert/strict'
import { after as afterAll, before, suite, test } from 'node:test'
import * as fc from 'fast-check'
import type { Change } from '../../src/change/change.ts'
import { textOf, unpackRow } from '../../src/change/row.ts'
import { cellForm } from '../../src/document/form.ts'
import { charsetOf } from '../../src/source/mysql/values/charset.ts'
import { describeColumn } from '../../src/source/mysql/values/column-type.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { everyGeometry } from '../support/every-geometry.ts'
import { alive, changesAfter, openSource, requestOf } from '../support/open-source.ts'
import { changesOf } from '../support/source-reading.ts'

const mysqls = ['mysql', 'mysql@8.0'] as const
const mariadbs = ['mariadb', 'mariadb@11.8'] as const
const names = [...mysqls, ...mariadbs]
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)

suite(`special types, seed ${seed}`, { concurrency: false }, () => {
  let stack: Stack

  before(async () => {
    stack = await startStack({ servers: names })
  })
  afterAll(() => stack?.[Symbol.asyncDispose]())

  for (const name of names) {
    const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer
    testCollations(name, serverOf)
    testGeometries(name, serverOf)
  }
  for (const name of mysqls) testKeys(name, () => stack.servers.get(name) as SqlServer)
  for (const name of mariadbs) testMariadb(name, () => stack.servers.get(name) as SqlServer)
})

function testCollations(name: string, serverOf: () => SqlServer): void {
  test(`${name}: the character set of every collation is known`, async () => {
    const isMariadb = name.startsWith('mariadb')
    const sql = isMariadb
      ? `SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY
         WHERE ID IS NOT NULL`
      : 'SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATIONS'
    const rows = await select(serverOf(), sql)
    assert.ok(rows.length > 200)
    for (const { id, charset } of rows) {
      const expected = charset === 'utf8' ? 'utf8mb3' : charset
      assert.equal(charsetOf(Number(id)), expected, `collation ${String(id)}`)
    }
  })
}

function testGeometries(name: string, serverOf: () => SqlServer): void {
  test(`${name}: a geometry is, to the bit, what the server's own functions make of it`, async () => {
    const server = serverOf()
    const cases = Object.entries(everyGeometry).filter(([, { only }]) => only?.includes(name) ?? true)
    const columns = cases.map(([column, { sql }]) => `${column} ${sql}`)
    await server.execute(...fresh('shapes', columns.join(', ')))
    await using source = await openSource(server, 'shapes')
    const from = await source.head()
    const samples = cases.map(([, { random }]) => fc.sample(random, { numRuns: 50, seed }))
    const rows = Array.from({ length: 50 }, (_, row) => samples.map((values) => values[row]).join(', '))
    await server.execute(...rows.map((row, id) => `INSERT INTO shapes.t VALUES (${id}, ${row})`))
    const changes = await changesAfter(source, from, rows.length)
    // Without this, MySQL turns the axes of geographic systems round.
    const order = name.startsWith('mysql') ? ", 'axis-order=long-lat'" : ''
    const parts = cases.map(
      ([column]) =>
        `TO_BASE64(ST_AsBinary(${column}${order})) AS ${column}, ST_SRID(${column}) AS srid_${column}`,
    )
    const answers = await select(server, `SELECT ${parts.join(', ')} FROM shapes.t ORDER BY id`)
    const binary = cellForm(describeColumn('', true, { kind: 'geometry', shape: 'geometry' }), 'wkb')
    for (const [row, change] of changes.entries())
      for (const [index, [column]] of cases.entries()) {
        const cell = cellsOf(change)[index + 1] ?? ''
        const theirs = answers[row]
        assert.equal(binary?.(cell), `"${String(theirs?.[column]).replaceAll('\n', '')}"`, cell)
        assert.equal((JSON.parse(cell) as { srid: number }).srid, theirs?.[`srid_${column}`])
      }
  })
}

function testKeys(name: string, serverOf: () => SqlServer): void {
  test(`${name}: a key that the server made unseen is a key`, async () => {
    const server = serverOf()
    await server.execute(
      'DROP DATABASE IF EXISTS unseen',
      'CREATE DATABASE unseen',
      'SET sql_generate_invisible_primary_key = ON',
      'CREATE TABLE unseen.t (a INT)',
      'SET GLOBAL show_gipk_in_create_table_and_information_schema = OFF',
    )
    try {
      await using source = await openSource(server, 'unseen')
      const from = await source.head()
      await server.execute('INSERT INTO unseen.t VALUES (7), (8)')
      const changes = await changesAfter(source, from, 2)
      assert.deepEqual(changes.map(cellsOf), [
        ['1', '7'],
        ['2', '8'],
      ])
      const chunk = await source.chunk(await requestOf(source, 'unseen.t', undefined, 10), alive())
      assert.deepEqual(
        chunk.rows.map(({ key, row }) => [key, row]),
        changes.map(({ key, after }) => [key, after]),
      )
      assert.deepEqual(chunk.table, changes[0]?.table)
    } finally {
      await server.execute('SET GLOBAL show_gipk_in_create_table_and_information_schema = ON')
    }
  })
}

function testMariadb(name: string, serverOf: () => SqlServer): void {
  test(`${name}: a column that becomes a UUID while it is read is one from then on`, async () => {
    const server = serverOf()
    const id = 'ca85c9a2-d4aa-11ee-a506-0242ac120002'
    await server.execute(...fresh('changing', 'u BINARY(16), i INET6'))
    await using source = await openSource(server, 'changing')
    const from = await source.head()
    await server.execute(`INSERT INTO changing.t VALUES (1, x'${id.replaceAll('-', '')}', '::1')`)
    const seen: (readonly unknown[])[] = []
    const stop = new AbortController()
    for await (const batch of source.read(from, AbortSignal.any([stop.signal, alive()]))) {
      for (const change of changesOf(batch)) {
        seen.push(cellsOf(change))
        if (seen.length === 1)
          await server.execute(
            'ALTER TABLE changing.t MODIFY u UUID',
            `INSERT INTO changing.t VALUES (2, '${id}', '::2')`,
          )
        if (seen.length === 2) stop.abort()
      }
    }
    assert.deepEqual(seen, [
      ['1', '"yoXJotSqEe6lBgJCrBIAAg=="', '"::1"'],
      ['2', `"${id}"`, '"::2"'],
    ])
  })

  test(`${name}: changes of other columns, ahead of what is read, leave no doubt about a UUID`, async () => {
    const server = serverOf()
    const id = 'ca85c9a2-d4aa-11ee-a506-0242ac120002'
    await server.execute(...fresh('widened', 'u UUID, b BINARY(16)'))
    await using source = await openSource(server, 'widened')
    const from = await source.head()
    for (const column of ['n', 'm', 'o'])
      await server.execute(
        `INSERT INTO widened.t SELECT COALESCE(MAX(t.id), 0) + 1, '${id}', 'x'${column === 'n' ? '' : ', 1'}${column === 'o' ? ', 1' : ''} FROM widened.t t`,
        `ALTER TABLE widened.t ADD COLUMN ${column} INT`,
      )
    const changes = await changesAfter(source, from, 3)
    assert.deepEqual(
      changes.map((change) => cellsOf(change)[1]),
      [`"${id}"`, `"${id}"`, `"${id}"`],
    )
    assert.deepEqual(
      changes.map((change) => cellsOf(change).length),
      [3, 4, 5],
    )
  })

  test(`${name}: rows from before a column became a UUID are not guessed at`, async () => {
    const server = serverOf()
    await server.execute(...fresh('changed', 'u BINARY(16)'))
    await using source = await openSource(server, 'changed')
    const from = await source.head()
    await server.execute(
      "INSERT INTO changed.t VALUES (1, '0123456789abcdef')",
      'ALTER TABLE changed.t MODIFY u UUID',
    )
    await assert.rejects(changesAfter(source, from, 1), { kind: 'lost', message: /changed\.t/ })
  })

  test(`${name}: tables are read in pages by keys of UUIDs and addresses`, async () => {
    const server = serverOf()
    await server.execute(
      'DROP DATABASE IF EXISTS paged',
      'CREATE DATABASE paged',
      'CREATE TABLE paged.t (u UUID, a INET6, n INT, PRIMARY KEY (u, a))',
    )
    const ids = fc.sample(fc.uuid({ version: [1, 4, 7] }), { numRuns: 40, seed })
    const rows = ids.map((id, n) => `('${id}', '::${(n * 977).toString(16)}', ${n})`)
    await server.execute(`INSERT INTO paged.t VALUES ${rows.join(', ')}`)
    await using source = await openSource(server, 'paged')
    const found: unknown[] = []
    for (let last = undefined as Change['key'] | undefined; ;) {
      const chunk = await source.chunk(await requestOf(source, 'paged.t', last, 7), alive())
      if (chunk.last === undefined) break
      last = chunk.last
      found.push(...chunk.rows.map(({ row }) => Number(unpackRow(row, 3)[2])))
    }
    assert.deepEqual(
      found.toSorted((a, b) => Number(a) - Number(b)),
      ids.map((_, n) => n),
    )
  })

  test(`${name}: values of COMPRESSED columns are whole, however the server packed them`, async () => {
    const server = serverOf()
    await server.execute(...fresh('packed', 'a TEXT COMPRESSED, b BLOB COMPRESSED'))
    await using source = await openSource(server, 'packed')
    const from = await source.head()
    const insert = "VALUES (@id := @id + 1, REPEAT('Ж', 500), REPEAT('x', 70))"
    await server.execute(
      'SET NAMES utf8mb4',
      'SET @id = 0',
      `INSERT INTO packed.t ${insert}`,
      'SET GLOBAL column_compression_zlib_wrap = ON',
      'SET SESSION column_compression_zlib_wrap = ON, SESSION column_compression_threshold = 0',
      `INSERT INTO packed.t ${insert}`,
      'SET GLOBAL column_compression_zlib_wrap = OFF',
      'SET SESSION column_compression_zlib_level = 0',
      `INSERT INTO packed.t ${insert}`,
    )
    const expected = [JSON.stringify('Ж'.repeat(500)), `"${Buffer.alloc(70, 'x').toString('base64')}"`]
    for (const change of await changesAfter(source, from, 3))
      assert.deepEqual(cellsOf(change).slice(1), expected)
  })

  test(`${name}: a geometry that nobody gave is null, though the column cannot be NULL`, async () => {
    const server = serverOf()
    await server.execute(...fresh('shapeless', 'p POINT NOT NULL'))
    await using source = await openSource(server, 'shapeless')
    const from = await source.head()
    await server.execute("SET sql_mode = ''", 'INSERT INTO shapeless.t (id) VALUES (1)')
    const [change] = await changesAfter(source, from, 1)
    assert.deepEqual(cellsOf(change), ['1', 'null'])
    const chunk = await source.chunk(await requestOf(source, 'shapeless.t', undefined, 10), alive())
    assert.equal(chunk.rows[0]?.row, change?.after)
  })

  test(`${name}: a column in a format that the binlog does not describe is refused by name`, async () => {
    const server = serverOf()
    await server.execute('SET GLOBAL mysql56_temporal_format = OFF')
    await server.execute(...fresh('outdated', 'old TIME(3)'))
    await server.execute('SET GLOBAL mysql56_temporal_format = ON')
    await using source = await openSource(server, 'outdated')
    await assert.rejects(source.describe('outdated.t'), {
      kind: 'unsupported',
      message: /column old: .*MariaDB 5\.3/,
      remedy: /exclude the column old/,
    })
    await using lenient = await openSource(server, 'outdated', ['t'], { 'outdated.t': ['old'] })
    assert.equal((await lenient.describe('outdated.t')).table.columns.length, 1)
  })
}

function fresh(schema: string, columns: string): readonly string[] {
  return [
    `DROP DATABASE IF EXISTS ${schema}`,
    `CREATE DATABASE ${schema} CHARACTER SET utf8mb4`,
    `CREATE TABLE ${schema}.t (id INT PRIMARY KEY, ${columns})`,
  ]
}

async function select(server: SqlServer, sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const connection = await server.connect()
  try {
    const [rows] = await connection.query(sql)
    return rows as readonly Readonly<Record<string, unknown>>[]
  } finally {
    await connection.end()
  }
}

function cellsOf(change: Change | undefined): readonly (string | undefined)[] {
  assert.ok(change?.after !== undefined)
  return unpackRow(change.after, change.table.columns.length).map((cell) =>
    typeof cell === 'string' ? textOf(cell) : undefined,
  )
}
