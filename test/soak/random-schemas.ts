/** Tables with random columns are changed and altered at random: what the binlog says of each row is what a SELECT says. */
import assert from 'node:assert/strict'
import type { Connection } from 'mysql2/promise'
import type { Change, Key, Row } from '../../src/change/change.ts'
import { textOf, unpackRow } from '../../src/change/row.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import type { Source, SourceAdmin } from '../../src/source/source.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { alive, requestOf } from '../support/open-source.ts'
import { randomTable, type RandomTable, type TableWish } from '../support/random-schema.ts'
import { settingsOf, startReading } from '../support/source-reading.ts'

export interface RandomSchemas {
  /** Of the first; the next ones have the numbers after it. */
  readonly seed: number
  readonly schemas: number
  readonly say?: (text: string) => void
}

export interface RandomSchemasResult {
  readonly schemas: number
  readonly columns: number
  readonly alters: number
  readonly changes: number
}

/** Throws, with the seed, where a row differs. */
export async function followSchemas(
  server: SqlServer,
  { seed, schemas, say = () => {} }: RandomSchemas,
): Promise<RandomSchemasResult> {
  const sum = { schemas: 0, columns: 0, alters: 0, changes: 0 }
  for (let at = 0; at < schemas; at++) {
    try {
      const { columns, alters, changes } = await followSchema(server, seed + at)
      Object.assign(sum, {
        schemas: sum.schemas + 1,
        columns: sum.columns + columns,
        alters: sum.alters + alters,
        changes: sum.changes + changes,
      })
    } catch (error) {
      throw new Error(`${server.name}, seed ${seed + at}: ${String(error)}`, { cause: error })
    }
    if ((at + 1) % 20 === 0) say(`${server.name}: ${at + 1} of ${schemas} schemas, ${sum.changes} changes`)
  }
  return sum
}

/** Each column's value by its name; of those that an image does not show, undefined. */
type Cells = Readonly<Record<string, string | null | undefined>>
/** The rows of a table, by key. */
type Rows = ReadonlyMap<string, Cells>

/** A stretch without a statement that alters. */
interface Stretch {
  readonly before: Rows
  readonly after: Rows
}

const widthMax = 60
const [rowsMax, changesMax, altersMax] = [10, 8, 3]

async function followSchema(
  server: SqlServer,
  seed: number,
): Promise<{ readonly columns: number; readonly alters: number; readonly changes: number }> {
  const schema = 'random_schema'
  // Half of them are read as they come, the others when all is over, for which the binlog must name all columns.
  const isReadLate = seed % 2 === 1 && server.name !== 'mysql@5.7'
  const { table, connection } = await createTable(server, seed, { schema, isReadLate })
  const name = `${schema}.${table.name}`
  const tables = [name, `${schema}.marks`]
  await using closing = new AsyncDisposableStack()
  closing.defer(() => connection.destroy())
  const source = createMysqlSource(settingsOf(server), tables)
  closing.defer(async () => await source.close())
  const from = await source.head()
  const live = !isReadLate || table.hasLookalikes ? await startReading(server, tables, { from }) : undefined
  const stretches: Stretch[] = []
  for (let alters = 0; alters <= altersMax; alters++) {
    await live?.untilHead()
    if (alters > 0 && !(await takes(connection, table.alter(), unalterable))) break
    const before = await rowsOf(source, name, connection)
    await writeSome(table, connection)
    stretches.push({ before, after: await rowsOf(source, name, connection) })
    await connection.query(`INSERT INTO ${schema}.marks VALUES (${alters})`)
  }
  const reading = live ?? (await startReading(server, tables, { from }))
  await reading.untilHead()
  await reading.end()
  const parts = betweenMarks(reading.changes, `${schema}.marks`)
  assert.equal(parts.length, stretches.length)
  for (const [at, { before, after }] of stretches.entries())
    sameRows(followed(before, parts[at] ?? [], table), after, { what: `stretch ${at}`, table })
  await sameDefinition(source, name, reading.changes)
  return { columns: table.width, alters: stretches.length - 1, changes: reading.changes.length }
}

/** Some drawn tables have rows that are too long for a server. */
async function createTable(
  server: SqlServer,
  seed: number,
  { schema, isReadLate }: Pick<TableWish, 'schema' | 'isReadLate'>,
): Promise<{ readonly table: RandomTable; readonly connection: Connection }> {
  const connection = await server.connect()
  for (const sql of [
    `DROP DATABASE IF EXISTS ${schema}`,
    `CREATE DATABASE ${schema} CHARACTER SET utf8mb4`,
    `CREATE TABLE ${schema}.marks (id INT PRIMARY KEY)`,
    'SET NAMES utf8mb4',
    "SET SESSION sql_mode = '', time_zone = '+00:00'",
  ])
    await connection.query(sql)
  for (let most = widthMax; ; most = Math.floor(most / 2)) {
    assert(most > 0, 'no table can be made')
    const table = randomTable(seed, { schema, server: server.name, widthMax: most, isReadLate })
    if (await takes(connection, table.create, tooLong)) return { table, connection }
  }
}

/** Row too long for a page or for a table; a key too long. */
const tooLong = new Set([1071, 1074, 1118, 1163])
/** The same; a column that rows cannot have a value of by themselves; a name that MySQL 8.0 fails at for its own reasons. */
const unalterable = new Set([...tooLong, 1138, 3507])
/** A key that is there already; a NOT NULL column that gets no value. */
const refused = new Set([1062, 1364])

/** False = the server refuses it for one of these reasons. */
async function takes(connection: Connection, sql: string, reasons: ReadonlySet<number>): Promise<boolean> {
  try {
    await connection.query(sql)
    return true
  } catch (error) {
    if (reasons.has((error as { readonly errno?: number }).errno ?? 0)) return false
    throw new Error(`${String(error)} (${(error as { readonly errno?: number }).errno}): ${sql}`, {
      cause: error,
    })
  }
}

async function writeSome(table: RandomTable, connection: Connection): Promise<void> {
  for (let row = 0; row < rowsMax; row++) await takes(connection, table.insert(), refused)
  for (let change = 0; change < changesMax; change++) await takes(connection, table.change(), refused)
}

/** By small pages, so that the order of the key is kept from page to page. */
async function rowsOf(source: Source & SourceAdmin, name: string, connection: Connection): Promise<Rows> {
  const rows = new Map<string, Cells>()
  let after: Key | undefined
  for (;;) {
    const chunk = await source.chunk(await requestOf(source, name, after, 4), alive())
    for (const { key, row } of chunk.rows) {
      assert(!rows.has(key), `the row ${key} comes twice`)
      rows.set(key, cellsOf(row, chunk.table.columns))
    }
    if (chunk.last === undefined) break
    after = chunk.last
  }
  const quoted = name.split(/\.(.*)/s, 2).map((part) => `\`${part.replaceAll('`', '``')}\``)
  const [[counted]] = (await connection.query(
    `SELECT COUNT(*) AS count FROM ${quoted.join('.')}`,
  )) as unknown as readonly [readonly [{ readonly count: number }]]
  assert.equal(rows.size, counted.count, 'pages show each row')
  return rows
}

function cellsOf(row: Row, columns: readonly { readonly name: string }[]): Cells {
  const cells = unpackRow(row, columns.length)
  return Object.fromEntries(
    columns.map(({ name }, at) => {
      const cell = cells[at]
      return [name, typeof cell === 'string' ? textOf(cell) : cell]
    }),
  )
}

/** The changes up to each mark. */
function betweenMarks(changes: readonly Change[], marks: string): readonly (readonly Change[])[] {
  const parts: Change[][] = [[]]
  for (const change of changes)
    if (change.table.name === marks) parts.push([])
    else parts.at(-1)?.push(change)
  return parts.slice(0, -1)
}

/** The rows after the changes. */
function followed(rows: Rows, changes: readonly Change[], table: RandomTable): Rows {
  const next = new Map(rows)
  for (const { op, key, table: definition, before, after } of changes) {
    const known = next.get(key)
    assert.equal(before === undefined, known === undefined, `${op} of ${key}`)
    if (before !== undefined && known !== undefined)
      sameCells(cellsOf(before, definition.columns), known, { what: `${op} of ${key}`, table })
    if (after === undefined) next.delete(key)
    else next.set(key, cellsOf(after, definition.columns))
  }
  return next
}

function sameRows(
  one: Rows,
  other: Rows,
  { what, table }: { readonly what: string; readonly table: RandomTable },
): void {
  assert.deepEqual([...one.keys()].toSorted(), [...other.keys()].toSorted(), what)
  for (const [key, cells] of one) sameCells(cells, other.get(key) ?? {}, { what: `${what}: ${key}`, table })
}

/** MariaDB 11 does not show generated columns in every image; such a row is read again by whoever needs it. */
function sameCells(
  one: Cells,
  other: Cells,
  { what, table }: { readonly what: string; readonly table: RandomTable },
): void {
  assert.deepEqual(Object.keys(one), Object.keys(other), what)
  for (const [name, cell] of Object.entries(one)) {
    if (cell !== undefined && other[name] !== undefined) assert.equal(cell, other[name], `${what}: ${name}`)
    else assert(table.isGenerated(name), `${what}: ${name} is shown`)
  }
}

async function sameDefinition(source: SourceAdmin, name: string, changes: readonly Change[]): Promise<void> {
  const last = changes.findLast(({ table }) => table.name === name)
  if (last === undefined) return
  const { table } = await source.describe(name)
  assert.deepEqual(last.table, table)
}
