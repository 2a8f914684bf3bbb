/**
 * The answer of one query row by row, each value as the server's own bytes, one character per byte. mysql2 would otherwise
 * gather an answer before it shows any of it, however large it is.
 */
import type { EventEmitter } from 'node:events'
import type { FieldPacket, QueryOptions } from 'mysql2/promise'
import { isUnanswered, unanswered, type Connection } from './connection.ts'
import { failureOf } from './server-errors.ts'
import type { Statement } from './table-rows.ts'
import { answerLimit } from './time-limit.ts'

export interface RawAnswer {
  readonly rows: readonly RawRow[]
  readonly fields: readonly FieldPacket[]
  /** What the rows take; of all rows, also of those that were not kept. */
  readonly bytes: number
  /** There were more rows than were kept. */
  readonly isCut: boolean
}

type RawRow = readonly (string | null)[]

/**
 * Rows up to so many bytes, but at least one; the rest is received and forgotten, so that the connection can be used again.
 * Throws a Failure.
 */
export async function rawAnswer(
  connection: Connection,
  { sql, parameters }: Statement,
  bytesMax: number,
  attempt = 'reading rows',
): Promise<RawAnswer> {
  const rows: RawRow[] = []
  let fields: readonly FieldPacket[] = []
  let [bytes, isCut] = [0, false]
  const core = coreOf(connection)
  const answerMsMax = answerLimit(connection)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  core.once('error', reject)
  const asked = core.query({
    sql,
    values: [...parameters],
    rowsAsArray: true,
    ...(answerMsMax === undefined ? {} : { timeout: answerMsMax }),
    typeCast: (field) => field.string('latin1'),
  })
  asked.on('fields', (found: readonly FieldPacket[] | undefined) => (fields = found ?? []))
  asked.on('result', (row: RawRow) => {
    for (const value of row) bytes += value?.length ?? 0
    isCut ||= bytes > bytesMax && rows.length > 0
    if (!isCut) rows.push(row)
  })
  asked.on('error', reject)
  asked.on('end', resolve)
  try {
    await promise
  } catch (error) {
    if (answerMsMax === undefined || !isUnanswered(error)) throw failureOf(error, attempt)
    throw unanswered(connection, attempt, { answerMsMax, cause: error })
  } finally {
    core.off('error', reject)
  }
  return { rows, fields, bytes, isCut }
}

/** The connection that tells of rows as they come: mysql2 keeps it in a field that its types do not name. */
function coreOf(connection: Connection): RowByRow {
  return (connection as unknown as { readonly connection: RowByRow }).connection
}

interface RowByRow extends EventEmitter {
  query(options: QueryOptions): EventEmitter
}
