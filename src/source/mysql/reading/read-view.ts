/** Read-only transactions that see at least a given position. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Position } from '../../../change/change.ts'
import { Failure } from '../../../change/failure.ts'
import { query, type Connection } from '../server/connection.ts'
import { containsAll } from '../gtid/gtid-set.ts'
import type { Flavor, GtidSet } from '../gtid/gtid.ts'
import { formatPosition, parsePosition } from '../gtid/position.ts'
import { fileNumber, readExecuted } from '../server/server-facts.ts'
import type { XaEnds } from '../transactions/xa-ends.ts'

/** How long a read waits for its position before the wait counts as failed; it may be tried again. */
const WAIT_MS_MAX = 60_000
/** One wait on the server, after which the signal is looked at. */
const WAIT_SECONDS = 2
const RETRY_MS = 20

export interface ReadView {
  readonly connection: Connection
  readonly flavor: Flavor
  readonly includes: Position
  /** Of the same source. */
  readonly xaEnds: XaEnds
  /** The connection is one to a replica, which is waited for so long. */
  readonly replicaWaitMs?: number
}

/**
 * What `read` answers, inside a transaction that sees everything in `includes`. Throws a Failure, `transient`, when the
 * server does not reach the position in time.
 */
export async function withView<Result>(
  view: ReadView,
  signal: AbortSignal,
  read: () => Promise<Result>,
): Promise<Result> {
  await openView(view, signal)
  try {
    return await read()
  } finally {
    await query(view.connection, 'ROLLBACK', [], 'ending a read')
  }
}

/** All that the server of the connection has executed: of the very server that rows are read from, for no other may have it. */
export async function readHead({
  connection,
  flavor,
}: Pick<ReadView, 'connection' | 'flavor'>): Promise<Position> {
  return formatPosition({ executed: await readExecuted(connection, flavor) })
}

/**
 * All that a read in the view can have seen, and that the log will have. A replica may have transactions of its own, which
 * are in no log: of what it shows beyond the view nobody can tell.
 */
export async function headAfter(view: ReadView): Promise<Position> {
  return view.replicaWaitMs === undefined ? await readHead(view) : view.includes
}

/** Rows come in the form of the binlog's, and all statements of a transaction see one point in time. */
export async function prepareSession(connection: Connection): Promise<void> {
  if (readyToRead.has(connection)) return
  const attempt = 'preparing a session for reading'
  await query(connection, "SET SESSION sql_mode = '', time_zone = '+00:00'", [], attempt)
  await query(connection, 'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ', [], attempt)
  readyToRead.add(connection)
}

/** Nobody undoes it. */
const readyToRead = new WeakSet<Connection>()

/**
 * Begins a read-only transaction that sees everything in `includes`. On MySQL, what is executed is visible. MariaDB writes
 * a transaction to its binlog before it becomes visible; there the snapshot's own place in the binlog is looked at, and
 * the branches that are still prepared.
 */
async function openView(view: ReadView, signal: AbortSignal): Promise<void> {
  const { executed } = parsePosition(view.includes)
  const waitMs = view.replicaWaitMs ?? WAIT_MS_MAX
  const endMs = performance.now() + waitMs
  const attempt = attemptOf(view, executed)
  for (;;) {
    const leftSeconds = Math.ceil((endMs - performance.now()) / 1000)
    const missing = await attempt(Math.max(1, Math.min(WAIT_SECONDS, leftSeconds)))
    if (missing === undefined) return
    signal.throwIfAborted()
    if (performance.now() > endMs) throw new Failure('transient', `${missing} within ${waitMs / 1000} s`)
    // An aborted pause has only ended early; the next turn says so.
    await sleep(RETRY_MS, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}

function attemptOf({ connection, flavor, xaEnds, replicaWaitMs }: ReadView, executed: GtidSet): Attempt {
  if (flavor === 'mysql') return viewOfMysql(connection, executed)
  return replicaWaitMs === undefined
    ? viewOfMariadb(connection, executed, xaEnds)
    : viewOfMariadbReplica(connection, executed, xaEnds)
}

/** Tries once; what the server has not done yet, where it was in vain. */
type Attempt = (waitSeconds: number) => Promise<string | undefined>

function viewOfMysql(connection: Connection, executed: GtidSet): Attempt {
  return async (waitSeconds) => {
    const wait = 'SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?) AS timed_out'
    if (!(await waited(connection, wait, executed, waitSeconds))) return notExecuted(executed)
    await query(connection, 'START TRANSACTION READ ONLY', [], 'beginning a read')
    return undefined
  }
}

/** Whether the server has executed the set, by a function of its own that waits for it; whole seconds, and 0 is for ever. */
async function waited(
  connection: Connection,
  sql: string,
  executed: GtidSet,
  waitSeconds: number,
): Promise<boolean> {
  if (executed.isEmpty) return true
  const values = [executed.toString(), waitSeconds]
  const [row] = await query(connection, sql, values, 'waiting for a position')
  return Number(row?.['timed_out']) === 0
}

/** What a replica has applied is visible on it; its own binlog need not hold it. */
function viewOfMariadbReplica(connection: Connection, executed: GtidSet, xaEnds: XaEnds): Attempt {
  let hasSinceMs: number | undefined
  return async (waitSeconds) => {
    const wait = 'SELECT MASTER_GTID_WAIT(?, ?) AS timed_out'
    if (!(await waited(connection, wait, executed, waitSeconds))) return notExecuted(executed)
    hasSinceMs ??= performance.now()
    const unsettled = await unsettledOn(connection, executed, xaEnds, hasSinceMs)
    if (unsettled !== undefined) return unsettled
    await query(connection, 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY', [], 'beginning a read')
    return undefined
  }
}

/** What is to be said where a branch is still prepared whose COMMIT may have been read. */
async function unsettledOn(
  connection: Connection,
  executed: GtidSet,
  xaEnds: XaEnds,
  hasSinceMs: number,
): Promise<string | undefined> {
  const prepared = await readPrepared(connection)
  const [branch] = xaEnds.unsettled(prepared, executed, { nowMs: performance.now(), hasSinceMs })
  return branch === undefined
    ? undefined
    : `the server has not finished the XA transaction ${branch}, whose COMMIT may be in its binlog,`
}

function viewOfMariadb(connection: Connection, executed: GtidSet, xaEnds: XaEnds): Attempt {
  const begin = 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY'
  let hasSinceMs: number | undefined
  return async () => {
    if (!executed.isEmpty && !containsAll(await readExecuted(connection, 'mariadb'), executed))
      return notExecuted(executed)
    hasSinceMs ??= performance.now()
    const unsettled = await unsettledOn(connection, executed, xaEnds, hasSinceMs)
    if (unsettled !== undefined) return unsettled
    // Whatever is executed lies before this place, and a snapshot of this place or a later one sees it.
    const [status] = await query(connection, 'SHOW MASTER STATUS', [], "reading the binlog's end")
    await query(connection, begin, [], 'beginning a read')
    if (await sees(connection, String(status?.['File'] ?? ''), Number(status?.['Position']))) return undefined
    await query(connection, 'ROLLBACK', [], 'ending a read')
    return notExecuted(executed)
  }
}

function notExecuted(executed: GtidSet): string {
  return `the server has not executed ${executed.toString()}`
}

/** Whether the snapshot under way is of that place in the binlog or of a later one. */
async function sees(connection: Connection, file: string, offset: number): Promise<boolean> {
  const sql = "SHOW STATUS WHERE Variable_name IN ('binlog_snapshot_file', 'binlog_snapshot_position')"
  const seen = new Map(
    (await query(connection, sql)).map((row) => Object.values(row).map(String) as [string, string]),
  )
  const seenFile = seen.get('Binlog_snapshot_file') ?? ''
  if (seenFile !== file) return fileNumber(seenFile) > fileNumber(file)
  return Number(seen.get('Binlog_snapshot_position')) >= offset
}

/** The branches that are prepared on the server, as `gtrid:bqual:format`, hexadecimal. */
async function readPrepared(connection: Connection): Promise<readonly string[]> {
  const rows = await query(connection, 'XA RECOVER', [], 'asking for prepared XA transactions')
  return rows.map(({ formatID, gtrid_length: globalBytes, data }) => {
    const text = Buffer.from(data as Buffer).toString('hex')
    const globalEnd = Number(globalBytes) * 2
    return `${text.slice(0, globalEnd)}:${text.slice(globalEnd)}:${String(formatID)}`
  })
}
