/** When nothing of what was committed is under way any more. */
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { PipelineStatus, Status } from '../../src/control/operations.ts'
import { containsAll, parseGtidSet } from '../../src/source/mysql/gtid/gtid-set.ts'
import type { DaemonProcess } from './daemon-process.ts'

/**
 * Resolves when all that the server has executed by now is captured and delivered, and no load is under way. While somebody
 * writes on, something is always on its way, and this may never be: see `untilDelivered`.
 */
export async function untilCaughtUp(
  daemon: DaemonProcess,
  connection: Connection,
  timeoutMs?: number,
): Promise<Status> {
  const executed = await executedOn(connection)
  return await daemon.until('catch up', (status) => isCaughtUp(status, executed), timeoutMs)
}

/**
 * Resolves when these pipelines have delivered all that the server has executed by now, and no load of theirs is under way;
 * whatever becomes of others, and though more is written meanwhile. For pipelines of one table: what is derived comes later.
 */
export async function untilDelivered(
  daemon: DaemonProcess,
  connection: Connection,
  names: readonly string[],
): Promise<Status> {
  const { sources } = await untilCaptured(daemon, connection)
  const ends = new Map(sources.map(({ name, logNextOffset }) => [name, logNextOffset]))
  return await daemon.until('deliver', ({ pipelines }) =>
    names.every((name) =>
      pipelines.some(
        (each) =>
          each.name === name &&
          isAtWork(each) &&
          each.lanes.every((next) => next >= (ends.get(each.source) ?? 0)),
      ),
    ),
  )
}

/** Resolves when all that the server has executed by now is in the log, delivered or not. */
export async function untilCaptured(
  daemon: DaemonProcess,
  connection: Connection,
  timeoutMs?: number,
): Promise<Status> {
  const executed = await executedOn(connection)
  return await daemon.until('capture all', (status) => hasCaptured(status, executed), timeoutMs)
}

/** All transactions of the server, in its own words. */
async function executedOn(connection: Connection): Promise<string> {
  const [[server]] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version')
  const variable = /mariadb/i.test(String(server?.['version'])) ? 'gtid_binlog_pos' : 'gtid_executed'
  const [[row]] = await connection.query<RowDataPacket[]>(`SELECT @@GLOBAL.${variable} AS executed`)
  return String(row?.['executed']).replaceAll(/\s/g, '')
}

function isCaughtUp(status: Status, executed: string): boolean {
  const delivered = status.pipelines.every((each) => each.lagChanges === 0 && isAtWork(each))
  return hasCaptured(status, executed) && delivered
}

/** No trouble and no load. */
function isAtWork({ state, load }: PipelineStatus): boolean {
  return state === 'running' && (load === null || load.state === 'done')
}

/** Whether every source has captured this set of transactions. */
export function hasCaptured({ sources }: Status, executed: string): boolean {
  const goal = parseGtidSet(executed)
  // Behind the set: a part of a transaction, and the place in the server's files.
  return sources.every(({ position }) =>
    containsAll(parseGtidSet(position.replace(/(, and | \().*$|^the.*$/, '')), goal),
  )
}
