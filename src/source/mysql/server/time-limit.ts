/** A bound for the time that a server works at one query; each server has its own word, which the other takes for a comment. */
import { query, type Connection } from './connection.ts'

/** So much later than the server itself gives up a read, nobody waits for its answer any more. */
const graceMs = 30_000
const limits = new WeakMap<Connection, number>()

/** Reads over this connection are given up after so long. Throws a Failure. */
export async function boundReads(connection: Connection, limitMs: number): Promise<void> {
  await query(connection, timeLimit(limitMs), [], 'bounding reads')
  limits.set(connection, limitMs + graceMs)
}

/** How long an answer to a read over this connection may take to come whole; undefined = it has no bound. */
export function answerLimit(connection: Connection): number | undefined {
  return limits.get(connection)
}

/** `SET ...`, for the session. */
export function timeLimit(limitMs: number): string {
  return `SET @millrace = 1 /*!50708 , SESSION max_execution_time = ${Math.ceil(limitMs)} */ /*M! , SESSION max_statement_time = ${limitMs / 1000} */`
}
