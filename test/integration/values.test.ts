/**
 * Every type of column, by three ways: the binlog, the chunks of a load, and the binlog again as another author's reader
 * decodes it. What the first two give must be the same to the byte.
 */
import assert from 'node:assert/strict'
import { before, suite, test, after as afterAll } from 'node:test'
import * as fc from 'fast-check'
import type { Change, Position, Table } from '../../src/change/change.ts'
import { textOf, unpackRow, type Cell } from '../../src/change/row.ts'
import { decoderOf } from '../../src/source/mysql/values/charset.ts'
import type { Chunk } from '../../src/source/source.ts'
import { followSchemas } from '../soak/random-schemas.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { everyType } from '../support/every-type.ts'
import { alive, changesAfter, openSource, requestOf } from '../support/open-source.ts'
import type { TypeCase } from '../support/type-case.ts'
import { agrees, insertedRows } from '../support/zongji-reader.ts'

const names = ['mysql', 'mysql@8.0', 'mysql@5.7', 'mariadb', 'mariadb@11.8'] as const
/** Servers that are asked again with a binlog that does not name columns; MySQL 5.7 knows no other. */
const nameless = ['mysql', 'mariadb'] as const
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const randomRows = 150

suite(`values, seed ${seed}`, { concurrency: false }, () => {
  let stack: Stack

  before(async () => {
    stack = await startStack({ servers: names })
  })
  afterAll(() => stack?.[Symbol.asyncDispose]())

  for (const name of names) {
    const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer
    testValues(name, serverOf)
    testTables(name, serverOf)
  }
  for (const name of names)
    test(`${name}: tables with random columns say the same by the binlog and by SELECT, through what alters them`, async (context) => {
      const result = await followSchemas(stack.servers.get(name) as SqlServer, { seed, schemas: 3 })
      context.diagnostic(JSON.stringify(result))
    })
  for (const name of nameless) {
    const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer
    test(`${name}: the binlog names no columns from here on`, async () => {
      await serverOf().execute('SET GLOBAL binlog_row_metadata = MINIMAL')
    })
    testValues(name, serverOf)
    testTables(name, serverOf)
  }
})

function testValues(name: string, serverOf: () => SqlServer): void {
  const cases = casesFor(name)

  test(`${name}: extreme values are what they should be, by every way`, async () => {
    const count = Math.max(...cases.map(([, { extremes }]) => extremes.length))
    const rows = Array.from({ length: count }, (_, row) => cases.map(([, type]) => extreme(type, row)))
    const { changes, chunk, gtids } = await throughBothWays(serverOf(), 'extremes', cases, rows)
    sameCells(changes, chunk)
    for (const [row, change] of changes.entries())
      for (const [index, [column, { extremes }]] of cases.entries()) {
        const json = shownBy(name, column, extremes[row]?.[1])
        if (json !== undefined && json !== '') assert.equal(shown(cellsOf(change)[index + 1]), json, column)
      }
    // MySQL 5.7 makes bits of the literals in documents, and at these zongji gives up.
    if (name === 'mysql@5.7') return
    const reference = await insertedRows(serverOf(), ['extremes', 't'], gtids, count)
    for (const [row, change] of changes.entries()) sameAsReference(change, reference[row] ?? {})
  })

  test(`${name}: random values are the same by every way`, async () => {
    const samples = cases.map(([, { random }]) => fc.sample(random, { numRuns: randomRows, seed }))
    const rows = Array.from({ length: randomRows }, (_, row) =>
      samples.map((values) => values[row] ?? 'null'),
    )
    const { changes, chunk, gtids } = await throughBothWays(serverOf(), 'random', cases, rows)
    sameCells(changes, chunk)
    const reference = await insertedRows(serverOf(), ['random', 't'], gtids, randomRows)
    for (const [row, change] of changes.entries()) sameAsReference(change, reference[row] ?? {})
  })
}

function testTables(name: string, serverOf: () => SqlServer): void {
  if (name === 'mysql')
    test('mysql: a vector is an array of floats', async () => {
      const server = serverOf()
      await server.execute(
        'DROP DATABASE IF EXISTS vectors',
        'CREATE DATABASE vectors',
        'CREATE TABLE vectors.t (id INT PRIMARY KEY, v VECTOR(3), w VECTOR)',
      )
      const from = await head(server)
      await server.execute("INSERT INTO vectors.t VALUES (1, TO_VECTOR('[1,-0.1,3e20]'), NULL)")
      await using source = await openSource(server, 'vectors')
      const changes = await changesAfter(source, from, 1)
      assert.deepEqual(cellsOf(changes[0]), ['1', '[1,-0.1,300000000000000000000]', null])
      sameCells(changes, await source.chunk(await requestOf(source, 'vectors.t', undefined, 10), alive()))
    })

  test(`${name}: a table is described alike by the binlog and by information_schema`, async () => {
    const server = serverOf()
    await server.execute(...tableStatements('described', casesFor(name)))
    await using source = await openSource(server, 'described')
    const from = await source.head()
    await server.execute('INSERT INTO described.t (id) VALUES (1)')
    const [change] = await changesAfter(source, from, 1)
    assert.deepEqual((await source.describe('described.t')).table, change?.table)
  })

  test(`${name}: columns can be left out, whatever their type`, async () => {
    const types = isMariadb(name) ? ['POINT', 'UUID', 'INET6', 'TEXT COMPRESSED'] : ['POINT', 'GEOMETRY']
    const columns = types.map((type, index) => `c${index} ${type}`).join(', ')
    await serverOf().execute(
      'DROP DATABASE IF EXISTS strange',
      'CREATE DATABASE strange',
      `CREATE TABLE strange.t (id INT PRIMARY KEY, ${columns}, last INT)`,
    )
    const from = await head(serverOf())
    const filled = isMariadb(name) ? "UUID(), '::1', REPEAT('x', 1000)" : 'POINT(3, 4)'
    await serverOf().execute(
      `INSERT INTO strange.t VALUES (1, POINT(1, 2), ${filled}, 7), (2${', NULL'.repeat(types.length)}, 8)`,
    )
    const excluded = { 'strange.t': types.map((_, index) => `c${index}`) }
    await using lenient = await openSource(serverOf(), 'strange', ['t'], excluded)
    const changes = await changesAfter(lenient, from, 2)
    assert.deepEqual(
      changes.map((change) => cellsOf(change)),
      [
        ['1', '7'],
        ['2', '8'],
      ],
    )
    sameCells(changes, await lenient.chunk(await requestOf(lenient, 'strange.t', undefined, 10), alive()))
  })

  test(`${name}: every character of a single-byte set is what the server makes of it`, async () => {
    const connection = await serverOf().connect()
    try {
      for (const charset of singleByteSets) {
        const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
        const parts = hex.map((byte) => `CONVERT(CONVERT(x'${byte}' USING ${charset}) USING utf8mb4)`)
        const [rows] = await connection.query({ sql: `SELECT ${parts.join(',')}`, rowsAsArray: true })
        const [row = []] = rows as unknown as string[][]
        const ours = hex.map((byte) => decoderOf(charset)?.(Buffer.from(byte, 'hex')))
        assert.deepEqual(ours, row, charset)
      }
    } finally {
      await connection.end()
    }
  })
}

function casesFor(name: string): readonly (readonly [string, TypeCase])[] {
  return Object.entries(everyType).filter(([, { only }]) => only === undefined || only.includes(name))
}

/** MySQL 5.7 shows the number 1.0 in a document as 1, and takes a hexadecimal literal for bits. */
function shownBy(name: string, column: string, json: string | undefined): string | undefined {
  if (name !== 'mysql@5.7' || column !== 'json_') return json
  return json?.replaceAll(/\.0(?=[,\]])/g, '').replace('type15', 'type16')
}

function isMariadb(name: string): boolean {
  return name.startsWith('mariadb')
}

const singleByteSets = (
  'armscii8 cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 dec8 geostd8 greek hebrew hp8 keybcs2 koi8r koi8u ' +
  'latin1 latin2 latin5 latin7 macce macroman swe7 tis620'
).split(' ')

/** Rows that hold the n-th extreme of every column, or NULL where it has fewer. */
function extreme({ sql, extremes }: TypeCase, row: number): string {
  return /generated/.test(sql) ? 'default' : (extremes[row]?.[0] ?? 'null')
}

function tableStatements(schema: string, cases: readonly (readonly [string, TypeCase])[]): readonly string[] {
  const columns = cases.map(([name, { sql }]) => `${name} ${sql}`).join(', ')
  return [
    `DROP DATABASE IF EXISTS ${schema}`,
    `CREATE DATABASE ${schema} CHARACTER SET utf8mb4`,
    `CREATE TABLE ${schema}.t (id INT PRIMARY KEY, ${columns})`,
  ]
}

interface BothWays {
  readonly changes: readonly Change[]
  readonly chunk: Chunk
  /** What the server had executed before the rows. */
  readonly gtids: string
}

async function throughBothWays(
  server: SqlServer,
  schema: string,
  cases: readonly (readonly [string, TypeCase])[],
  rows: readonly (readonly string[])[],
): Promise<BothWays> {
  await server.execute(...tableStatements(schema, cases))
  await using source = await openSource(server, schema)
  const from = await source.head()
  // Invisible columns must be named.
  const columns = ['id', ...cases.map(([column]) => column)].join(', ')
  const inserts = rows.map(
    (row, id) => `INSERT INTO ${schema}.t (${columns}) VALUES (${id}, ${row.join(', ')})`,
  )
  await server.execute('SET NAMES utf8mb4', "SET SESSION sql_mode = '', time_zone = '+00:00'", ...inserts)
  const changes = await changesAfter(source, from, rows.length)
  const chunk = await source.chunk(await requestOf(source, `${schema}.t`, undefined, 10_000), alive())
  return { changes, chunk, gtids: source.show(from) }
}

async function head(server: SqlServer): Promise<Position> {
  await using source = await openSource(server, 'none')
  return await source.head()
}

function sameCells(changes: readonly Change[], chunk: Chunk): void {
  assert.equal(chunk.rows.length, changes.length)
  for (const [row, change] of changes.entries()) {
    const read = chunk.rows[row]
    assert.ok(read !== undefined)
    assert.equal(read.key, change.key)
    const [ours, theirs] = [cellsOf(change), unpackRow(read.row, chunk.table.columns.length)]
    for (const [index, { name }] of chunk.table.columns.entries()) {
      const cell = ours[index]
      assert.equal(shown(theirs[index]), shown(cell), `row ${row}, ${name}: chunk and binlog differ`)
      if (typeof cell === 'string') JSON.parse(textOf(cell))
    }
  }
}

function sameAsReference(change: Change, reference: Readonly<Record<string, unknown>>): void {
  const cells = cellsOf(change)
  const { table } = change
  for (const [index, column] of table.columns.entries()) {
    const ours = shown(cells[index])
    if (isKnownDifference(table, index, ours)) continue
    const theirs = reference[column.name]
    assert.ok(agrees(column, ours, theirs), `${column.name}: ours ${ours}, zongji's ${String(theirs)}`)
  }
}

/** What zongji 0.9.0 is known to decode otherwise, each seen here against the server's own SELECT. */
function isKnownDifference(table: Table, index: number, ours = ''): boolean {
  const column = table.columns[index]
  if (column === undefined || foreignKinds.has(column.kind) || hasLostCharset(column.name)) return true
  if (column.name === 'latin1_' && unassigned.test(ours ?? '')) return true
  return differingTexts[column.kind]?.test(ours ?? '') ?? false
}

/** The bytes that cp1252 leaves unassigned become U+FFFD, where the server shows control characters. */
const unassigned = /[\u0080-\u009f]/

const differingTexts: Readonly<Record<string, RegExp>> = {
  // The year 0000 becomes 1900.
  year: /^0$/,
  // The index 0 of an invalid value becomes undefined; labels that the binlog does not name stay as they are escaped.
  enum: /^""$|[',\\]/,
  set: /[',\\]/,
  // A negative time of whole minutes shows 64 seconds of the minute before.
  time: /^"-.*:00(\.0+)?"$/,
}

/**
 * It makes objects of JSON, in which numbers beyond 2^53, decimals and dates are others, and of geometries, without type and
 * SRID; MariaDB's UUIDs, addresses and vectors it takes for bytes or for text in latin1.
 */
const foreignKinds: ReadonlySet<string> = new Set(['json', 'geometry', 'uuid', 'address', 'vector'])

/** It does not know MariaDB's uca1400 collations, nor count geometries among the columns that have one. */
function hasLostCharset(column: string): boolean {
  return /^(ucs2|utf16|utf32|utf8mb3)_$|_packed/.test(column)
}

function cellsOf(change: Change | undefined): readonly Cell[] {
  assert.ok(change?.after !== undefined)
  return unpackRow(change.after, change.table.columns.length)
}

/** SQL NULL is undefined here. */
function shown(cell: Cell): string | undefined {
  return typeof cell === 'string' ? textOf(cell) : undefined
}
