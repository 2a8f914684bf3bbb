/**
 * Chunks: a page of a table in key order, read by one short query that sees at least a given position, in the same cells
 * as the binlog's. And rows by their keys, read likewise.
 */
import type { Key } from '../../../change/change.ts'
import { Failure } from '../../../change/failure.ts'
import type { Chunk, ChunkRequest, KeyedRows, KeysRequest } from '../../source.ts'
import { describeTable, type TableOptions, type TableShape } from '../schema/describe.ts'
import { headAfter, prepareSession, readHead, withView, type ReadView } from './read-view.ts'
import { partOf } from './table-part.ts'
import { keyNames, keyValues, selectFrom, selectRows, type Statement } from './table-rows.ts'

/** What a table is read with. The connection is used by nobody else meanwhile. */
export interface TableReader extends Omit<ReadView, 'includes'> {
  readonly options: TableOptions
}

/** Throws a Failure as withView and describeTable. */
export async function readChunk(
  request: ChunkRequest,
  reader: TableReader,
  signal: AbortSignal,
): Promise<Chunk> {
  const { connection, options } = reader
  await prepareSession(connection)
  const shape = await describeTable(connection, request.table, options)
  return await withView({ ...reader, includes: request.includes }, signal, async () => {
    // What a server's row takes by its estimate says nothing of its key.
    const read = request.keysOnly === true ? { ...partOf(shape, []), rowBytes: 0 } : shape
    const rows = await selectRows(connection, read, pageQuery(read, request), request.bytesMax)
    const last = rows.at(-1)?.key
    if (last !== undefined && last === request.after)
      throw new Failure('corrupt', `${request.table}: reading after a key gave the same key again`)
    return { table: shape.table, rows, last, head: await readHead(reader) }
  })
}

/** Throws a Failure as withView and describeTable. */
export async function readKeys(
  request: KeysRequest,
  reader: TableReader,
  signal: AbortSignal,
): Promise<KeyedRows> {
  const { connection, options } = reader
  await prepareSession(connection)
  const shape = await describeTable(connection, request.table, options)
  const view = { ...reader, includes: request.includes }
  return await withView(view, signal, async () => ({
    table: shape.table,
    rows: await selectRows(connection, shape, keysQuery(shape, request.keys), Infinity),
    head: await headAfter(view),
  }))
}

/** The statement of a page; exported for its test. */
export function pageQuery(shape: TableShape, request: ChunkRequest): Statement {
  const after = request.after === undefined ? undefined : afterKey(shape, request.after)
  const sql = [
    selectFrom(shape),
    ...(after === undefined ? [] : [`WHERE ${after.sql}`]),
    `ORDER BY ${keyNames(shape).join(', ')} LIMIT ${rowLimit(shape, request)}`,
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
export function afterKey(shape: TableShape, after: Key): Statement {
  const names = keyNames(shape)
  let sql = ''
  let parameters: readonly (string | Buffer)[] = []
  for (const [place, value] of [...keyValues(shape, after).entries()].toReversed()) {
    const greater = `${names[place]} > ${value.sql}`
    const isLast = sql === ''
    sql = isLast ? greater : `${greater} OR (${names[place]} = ${value.sql} AND (${sql}))`
    parameters = isLast ? value.parameters : [...value.parameters, ...value.parameters, ...parameters]
  }
  return { sql: `(${sql})`, parameters }
}

/** `(a = ? AND b = ?) OR ...`: points of the key's index. Exported for its test. */
export function keysQuery(shape: TableShape, keys: readonly Key[]): Statement {
  const names = keyNames(shape)
  const parameters: (string | Buffer)[] = []
  const points = keys.map((key) => {
    const values = keyValues(shape, key)
    for (const value of values) parameters.push(...value.parameters)
    return `(${values.map(({ sql }, place) => `${names[place]} = ${sql}`).join(' AND ')})`
  })
  return { sql: `${selectFrom(shape)} WHERE ${points.join(' OR ')}`, parameters }
}
