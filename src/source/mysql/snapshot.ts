/**
 * Chunks: a page of a table in key order, read by one short query that sees at least a given position, in the same cells
 * as the binlog's.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Key, Position } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { keyOf, packRow, textOf, type Cell } from '../../change/row.ts'
import type { Chunk, ChunkRequest } from '../source.ts'
import { query, type Connection } from './connection.ts'
import { describeTable, splitName, type TableOptions, type TableShape } from './describe.ts'
import { containsAll } from './gtid-set.ts'
import type { Flavor, GtidSet } from './gtid.ts'
import { parsePosition } from './position.ts'
import { failureOf } from './server-errors.ts'
import { readExecuted } from './server-facts.ts'
import { formatOf, keyValue, selected, type KeyValue } from './text-values.ts'

/** What a chunk is read with. The connection is used by nobody else meanwhile. */
export interface ChunkReader {
  readonly connection: Connection
  readonly flavor: Flavor
  readonly options: TableOptions
  /** All that the capture's own server has executed. */
  readonly head: () => Promise<Position>
}

/** How long a chunk waits for its position before the wait counts as failed; it may be tried again. */
const WAIT_MS_MAX = 60_000
/** One wait on the server, after which the signal is looked at. */
const WAIT_SECONDS = 2
const RETRY_MS = 20

/** Throws a Failure: `transient` when the server does not reach the position in time, or as describeTable. */
export async function readChunk(
  request: ChunkRequest,
  reader: ChunkReader,
  signal: AbortSignal,
): Promise<Chunk> {
  const { connection, flavor, options, head } = reader
  await query(
    connection,
    "SET SESSION sql_mode = '', time_zone = '+00:00'",
    [],
    'preparing a session for reading',
  )
  const shape = await describeTable(connection, request.table, options)
  await openView(connection, flavor, request.includes, signal)
  try {
    const rows = await selectRows(connection, shape, request)
    const last = rows.at(-1)?.key
    if (last !== undefined && last === request.after)
      throw new Failure('corrupt', `${request.table}: reading after a key gave the same key again`)
    return { table: shape.table, rows, last, head: await head() }
  } finally {
    await query(connection, 'ROLLBACK', [], 'ending a read')
  }
}

/**
 * Begins a read-only transaction that sees everything in `position`. On MySQL, what is executed is visible. MariaDB writes
 * a transaction to its binlog before it becomes visible; there the snapshot's own place in the binlog is looked at.
 */
async function openView(
  connection: Connection,
  flavor: Flavor,
  position: Position,
  signal: AbortSignal,
): Promise<void> {
  const { executed } = parsePosition(position)
  const endMs = Date.now() + WAIT_MS_MAX
  const isSeen = flavor === 'mysql' ? viewOfMysql : viewOfMariadb
  while (!(await isSeen(connection, executed))) {
    signal.throwIfAborted()
    if (Date.now() > endMs)
      throw new Failure(
        'transient',
        `the server has not executed ${executed.toString()} within ${WAIT_MS_MAX / 1000} s`,
      )
    // An aborted pause has only ended early; the next turn says so.
    await sleep(RETRY_MS, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}

async function viewOfMysql(connection: Connection, executed: GtidSet): Promise<boolean> {
  if (!executed.isEmpty) {
    const sql = 'SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?) AS timed_out'
    const [row] = await query(connection, sql, [executed.toString(), WAIT_SECONDS], 'waiting for a position')
    if (Number(row?.['timed_out']) !== 0) return false
  }
  await query(connection, 'START TRANSACTION READ ONLY', [], 'beginning a read')
  return true
}

async function viewOfMariadb(connection: Connection, executed: GtidSet): Promise<boolean> {
  const begin = 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY'
  if (!executed.isEmpty && !containsAll(await readExecuted(connection, 'mariadb'), executed)) return false
  // Whatever is executed lies before this place, and a snapshot of this place or a later one sees it.
  const [status] = await query(connection, 'SHOW MASTER STATUS', [], "reading the binlog's end")
  await query(connection, begin, [], 'beginning a read')
  const sql = "SHOW STATUS WHERE Variable_name IN ('binlog_snapshot_file', 'binlog_snapshot_position')"
  const seen = new Map(
    (await query(connection, sql)).map((row) => Object.values(row).map(String) as [string, string]),
  )
  const file = String(status?.['File'] ?? '')
  const seenFile = seen.get('Binlog_snapshot_file') ?? ''
  const isLater = fileNumber(seenFile) > fileNumber(file)
  const isSame =
    seenFile === file && Number(seen.get('Binlog_snapshot_position')) >= Number(status?.['Position'])
  if (isLater || isSame) return true
  await query(connection, 'ROLLBACK', [], 'ending a read')
  return false
}

/** Binlog files are numbered by their last part. */
function fileNumber(file: string): number {
  return Number(/\.(\d+)$/.exec(file)?.[1] ?? -1)
}

async function selectRows(
  connection: Connection,
  shape: TableShape,
  request: ChunkRequest,
): Promise<Chunk['rows']> {
  const { table, types } = shape
  const formats = types.map(formatOf)
  const { sql, parameters } = pageQuery(shape, request)
  const rows: { key: Key; row: ReturnType<typeof packRow> }[] = []
  let bytes = 0
  for (const values of await rawRows(connection, sql, parameters)) {
    const cells = values.map((value, column): Cell =>
      value === null ? null : (formats[column]?.(value) ?? value),
    )
    const row = packRow(cells)
    bytes += row.length
    if (bytes > request.bytesMax && rows.length > 0) break
    rows.push({ key: keyOf(table, cells), row })
  }
  return rows
}

/** Each value as the server's own bytes, one character per byte. */
async function rawRows(
  connection: Connection,
  sql: string,
  values: readonly unknown[],
): Promise<readonly (readonly (string | null)[])[]> {
  try {
    const [rows] = await connection.query({
      sql,
      values: [...values],
      rowsAsArray: true,
      typeCast: (field) => field.string('latin1'),
    })
    return rows as unknown as (string | null)[][]
  } catch (error) {
    throw failureOf(error, 'reading a chunk')
  }
}

/** The statement of a page; exported for its test. */
export function pageQuery(
  shape: TableShape,
  request: ChunkRequest,
): { readonly sql: string; readonly parameters: readonly (string | Buffer)[] } {
  const { table, types, keyIndex } = shape
  const columns = table.columns.map(({ name }, index) => selectedColumn(name, types[index]))
  const keys = table.key.map((index) => quoted(table.columns[index]?.name ?? ''))
  const after = request.after === undefined ? undefined : afterKey(shape, keys, request.after)
  const [schema, name] = splitName(table.name)
  const sql = [
    `SELECT ${columns.join(', ')} FROM ${quoted(schema)}.${quoted(name)} FORCE INDEX (${quoted(keyIndex)})`,
    ...(after === undefined ? [] : [`WHERE ${after.sql}`]),
    `ORDER BY ${keys.join(', ')} LIMIT ${rowLimit(shape, request)}`,
  ].join(' ')
  return { sql, parameters: after?.parameters ?? [] }
}

/** The server's estimate of a row keeps the answer near the wanted bytes; the exact cut follows. */
function rowLimit(shape: TableShape, { rowsMax, bytesMax }: ChunkRequest): number {
  const byBytes = shape.rowBytes > 0 ? Math.ceil(bytesMax / shape.rowBytes) : rowsMax
  return Math.max(1, Math.min(rowsMax, byBytes))
}

/**
 * `a > ? OR (a = ? AND (b > ? OR (b = ? AND c > ?)))`: the order of the whole key, in a form from which the servers make
 * ranges of the key's index (of a comparison of row constructors they make none).
 */
function afterKey(shape: TableShape, keys: readonly string[], after: Key): KeyValue {
  const values = parseKey(after)
  const { table, types } = shape
  if (values.length !== keys.length)
    throw new Failure(
      'corrupt',
      `a key of ${values.length} values for ${table.name}, whose key has ${keys.length}`,
    )
  let sql = ''
  let parameters: readonly (string | Buffer)[] = []
  for (let place = keys.length - 1; place >= 0; place--) {
    const type = types[table.key[place] ?? -1]
    if (type === undefined) throw new Error(`${table.name}: a key column without a type`)
    const value = keyValue(type, values[place])
    const greater = `${keys[place]} > ${value.sql}`
    const isLast = sql === ''
    sql = isLast ? greater : `${greater} OR (${keys[place]} = ${value.sql} AND (${sql}))`
    parameters = isLast ? value.parameters : [...value.parameters, ...value.parameters, ...parameters]
  }
  return { sql: `(${sql})`, parameters }
}

/** The values of a key; numbers stay the text that they are. */
function parseKey(key: Key): readonly unknown[] {
  const values: unknown = JSON.parse(textOf(key), keepDigits)
  if (!Array.isArray(values)) throw new Failure('corrupt', 'a key that is no JSON array')
  return values
}

/** A reviver that leaves a number the text that it was. */
function keepDigits(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' ? (context?.source ?? value) : value
}

function selectedColumn(name: string, type: TableShape['types'][number] | undefined): string {
  if (type === undefined) throw new Error(`a column ${name} without a type`)
  return selected(quoted(name), type)
}

function quoted(name: string): string {
  return '`' + name.replaceAll('`', '``') + '`'
}
