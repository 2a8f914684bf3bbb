/** Reading a table's columns so that it is certain which part of the binlog they belong to. */
import { query, type Connection } from '../server/connection.ts'
import { describeColumns, uniqueIndexes, type DescribedColumn } from './describe.ts'
import { quotedTable } from './names.ts'
import type { Flavor, GtidSet } from '../gtid/gtid.ts'
import type { SchemaColumn, TableSchema } from '../rows/schema-match.ts'
import { errnoOf } from '../server/server-errors.ts'
import { readExecuted } from '../server/server-facts.ts'

export interface SchemaReading {
  /** Undefined = there is no such table now. */
  readonly schema: TableSchema | undefined
  /** Exactly the statements in it that changed the table are in the schema. */
  readonly head: GtidSet
}

const noSuchTable = 1146

/**
 * Reads the columns and the server's head while no statement can change the table: a transaction that has read a table
 * holds its metadata lock, and a statement that changes one gives that lock back only when it is in the binlog and in the
 * executed set. Throws a Failure, `transient` when another statement holds the table for longer than `lockWaitSeconds`.
 */
export async function readSchema(
  connection: Connection,
  table: string,
  { flavor, lockWaitSeconds }: { readonly flavor: Flavor; readonly lockWaitSeconds: number },
): Promise<SchemaReading> {
  const attempt = `reading the columns of ${table}`
  await query(connection, `SET SESSION lock_wait_timeout = ${lockWaitSeconds}`, [], attempt)
  await query(connection, 'START TRANSACTION READ ONLY', [], attempt)
  try {
    const isThere = await lock(connection, table, attempt)
    const schema = isThere ? await schemaOf(connection, table) : undefined
    return { schema, head: await readExecuted(connection, flavor) }
  } finally {
    await query(connection, 'ROLLBACK', [], attempt)
  }
}

async function lock(connection: Connection, table: string, attempt: string): Promise<boolean> {
  try {
    await query(connection, `SELECT 1 FROM ${quotedTable(table)} LIMIT 0`, [], attempt)
    return true
  } catch (error) {
    if (errnoOf(error) === noSuchTable) return false
    throw error
  }
}

async function schemaOf(connection: Connection, table: string): Promise<TableSchema> {
  const described = (await describeColumns(connection, table)).map(schemaColumn)
  const columns = described.some(({ type }) => isJson(type))
    ? withJson(described, await showsBareDoubles(connection))
    : described
  const [first] = await uniqueIndexes(connection, table)
  const primaryKey =
    first?.name === 'PRIMARY'
      ? first.columns.map((name) => columns.findIndex((column) => column.name === name))
      : undefined
  return { columns, primaryKey }
}

function isJson(type: SchemaColumn['type']): boolean {
  return typeof type !== 'string' && type.kind === 'json'
}

/** MySQL 5.7 shows the number 1.0 in a document as 1. What the binlog gives must be what a SELECT shows. */
async function showsBareDoubles(connection: Connection): Promise<boolean> {
  const sql = "SELECT CAST(CAST('1.0' AS JSON) AS CHAR) AS text"
  const [row] = await query(connection, sql, [], 'looking at how the server shows JSON')
  return row?.['text'] === '1'
}

function withJson(columns: readonly SchemaColumn[], bareDoubles: boolean): readonly SchemaColumn[] {
  if (!bareDoubles) return columns
  return columns.map((column) =>
    isJson(column.type) ? { ...column, type: { kind: 'json', bareDoubles } } : column,
  )
}

/** information_schema speaks UTF-8 of three bytes: it shows each character beyond them as a question mark. */
function schemaColumn({ name, nullable, type, charset: stated }: DescribedColumn): SchemaColumn {
  const charset = stated === 'utf8' ? 'utf8mb3' : stated
  const isLabelled = typeof type !== 'string' && 'labels' in type
  const isDoubtful = isLabelled && type.labels.some((label) => label.includes('?'))
  if (!isDoubtful || !widerSets.has(charset ?? 'binary')) return { name, nullable, type, charset }
  const why = 'its labels with ? may stand for others, which only binlog_row_metadata = FULL tells'
  return { name, nullable, type: why, charset }
}

const widerSets: ReadonlySet<string> = new Set(['binary', 'gb18030', 'utf16', 'utf16le', 'utf32', 'utf8mb4'])
