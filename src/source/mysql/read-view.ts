/** Read-only transactions that see at least a given position. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Position } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { query, type Connection } from './connection.ts'
import { containsAll } from './gtid-set.ts'
import type { Flavor, GtidSet } from './gtid.ts'
import { parsePosition } from './position.ts'
import { readExecuted } from './server-facts.ts'

/** How long a read waits for its position before the wait counts as failed; it may be tried again. */
const WAIT_MS_MAX = 60_000
/** One wait on the server, after which the signal is looked at. */
const WAIT_SECONDS = 2
const RETRY_MS = 20

export interface ReadView {
  readonly connection: Connection
  readonly flavor: Flavor
  readonly includes: Position
}

/**
 * What `read` answers, inside a transaction that sees everything in `includes`. Throws a Failure, `transient`, when the
 * server does not reach the position in time.
 */
export async function withView<Result>(
  { connection, flavor, includes }: ReadView,
  signal: AbortSignal,
  read: () => Promise<Result>,
): Promise<Result> {
  await openView(connection, flavor, includes, signal)
  try {
    return await read()
  } finally {
    await query(connection, 'ROLLBACK', [], 'ending a read')
  }
}

/** Rows come in the form of the binlog's. */
export async function prepareSession(connection: Connection): Promise<void> {
  await query(
    connection,
    "SET SESSION sql_mode = '', time_zone = '+00:00'",
    [],
    'preparing a session for reading',
  )
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
