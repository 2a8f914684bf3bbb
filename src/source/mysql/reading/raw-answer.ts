/**
 * The answer of one query row by row, in the server's own bytes. mysql2 would otherwise gather an answer before it shows any
 * of it, however large it is, and make an object of each row and a string of each value.
 */
import type { EventEmitter } from 'node:events'
import {
  isUnanswered,
  unanswered,
  type Connection,
  type FieldPacket,
  type QueryOptions,
} from '../server/connection.ts'
import { failureOf } from '../server/server-errors.ts'
import type { Statement } from './table-rows.ts'
import { answerLimit } from '../server/time-limit.ts'

export interface RawSize {
  readonly fields: readonly FieldPacket[]
  /** What the rows take; of all rows, also of those that were not kept. */
  readonly bytes: number
  /** There were more rows than were kept. */
  readonly isCut: boolean
}

export interface RawAnswer extends RawSize {
  /** One character for each byte. */
  readonly rows: readonly (readonly (string | null)[])[]
}

/** A row lies here, value after value (RawValues); only until this returns. */
export type TakeRow = (bytes: Buffer, from: number, to: number) => void

/** Rows as strings; otherwise as rawRows. */
export async function rawAnswer(
  connection: Connection,
  statement: Statement,
  bytesMax: number,
  attempt?: string,
): Promise<RawAnswer> {
  const rows: (string | null)[][] = []
  const take: TakeRow = (bytes, from, to) => {
    const row: (string | null)[] = []
    for (const values = new RawValues(bytes, from, to); values.next();) row.push(values.text())
    rows.push(row)
  }
  return { rows, ...(await rawRows(connection, statement, { bytesMax, take }, attempt)) }
}

/**
 * Gives rows of up to so many bytes, but at least one; the rest is received and forgotten, so that the connection can be
 * used again. Throws a Failure.
 */
export async function rawRows(
  connection: Connection,
  { sql, parameters }: Statement,
  { bytesMax, take }: { readonly bytesMax: number; readonly take: TakeRow },
  attempt = 'reading rows',
): Promise<RawSize> {
  let fields: readonly FieldPacket[] = []
  let [bytes, isCut, isFirst] = [0, false, true]
  const core = coreOf(connection)
  const answerMsMax = answerLimit(connection)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  core.once('error', reject)
  const timed = answerMsMax === undefined ? {} : { timeout: answerMsMax }
  const asked = core.query({ sql, values: [...parameters], ...timed })
  takeRows(asked, (packet, from, to) => {
    bytes += to - from
    isCut ||= bytes > bytesMax && !isFirst
    if (!isCut) take(packet, from, to)
    isFirst = false
  })
  asked.on('fields', (found: readonly FieldPacket[] | undefined) => (fields = found ?? []))
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
  return { fields, bytes, isCut }
}

/**
 * The values of a row in text: its length, then its bytes, value after value. A length below 251 is one byte, 251 is SQL
 * NULL, and 252, 253 and 254 go before a length of 2, 3 and 8 bytes.
 */
export class RawValues {
  readonly bytes: Buffer
  readonly #end: number
  /** Where the value that this stands on begins and ends; `from` is -1 where it is NULL. */
  from = 0
  to: number

  constructor(bytes: Buffer, from: number, to: number) {
    this.bytes = bytes
    this.to = from
    this.#end = to
  }

  /** To the next value; false = there is none. */
  next(): boolean {
    const { bytes } = this
    let at = this.to
    if (at >= this.#end) return false
    const first = bytes[at++] ?? nullValue
    if (first === nullValue) {
      this.from = -1
      this.to = at
      return true
    }
    let length = first
    if (first > nullValue) {
      const lengthBytes = first === 252 ? 2 : first === 253 ? 3 : 6
      length = bytes.readUIntLE(at, lengthBytes)
      at += first === 254 ? 8 : lengthBytes
    }
    this.from = at
    this.to = at + length
    return true
  }

  /** One character for each byte; null = SQL NULL. */
  text(): string | null {
    return this.from < 0 ? null : this.bytes.toString('latin1', this.from, this.to)
  }
}

const nullValue = 251

/**
 * mysql2's command calls its method `row` with the packet of each row, and with the one that ends them, which it deals with
 * itself; each call answers what to call with the next packet.
 */
function takeRows(asked: Command, take: TakeRow): void {
  const ended = asked.row
  const row = function (this: Command, packet: RowPacket, connection: unknown): unknown {
    if (packet.isEOF()) return ended.call(this, packet, connection)
    take(packet.buffer, packet.offset, packet.end)
    return row
  }
  asked.row = row
}

interface RowPacket {
  readonly buffer: Buffer
  readonly offset: number
  readonly end: number
  isEOF(): boolean
}

interface Command extends EventEmitter {
  row: (this: Command, packet: RowPacket, connection: unknown) => unknown
}

/** The connection that tells of rows as they come: mysql2 keeps it in a field that its types do not name. */
function coreOf(connection: Connection): RowByRow {
  return (connection as unknown as { readonly connection: RowByRow }).connection
}

interface RowByRow extends EventEmitter {
  query(options: QueryOptions): Command
}
