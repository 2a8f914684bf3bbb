/** When nothing of what was committed is under way any more. */
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { Status } from '../../src/control/operations.ts'
import type { DaemonProcess } from './daemon-process.ts'

/** Resolves when all that the server has executed by now is captured and delivered, and no load is under way. */
export async function untilCaughtUp(
  daemon: DaemonProcess,
  connection: Connection,
  timeoutMs?: number,
): Promise<Status> {
  const executed = await executedOn(connection)
  return await daemon.until('catch up', (status) => isCaughtUp(status, executed), timeoutMs)
}

/** All transactions of the server, in its own words. */
async function executedOn(connection: Connection): Promise<string> {
  const [[server]] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version')
  const variable = /mariadb/i.test(String(server?.['version'])) ? 'gtid_binlog_pos' : 'gtid_executed'
  const [[row]] = await connection.query<RowDataPacket[]>(`SELECT @@GLOBAL.${variable} AS executed`)
  return String(row?.['executed']).replaceAll(/\s/g, '')
}

function isCaughtUp({ sources, pipelines }: Status, executed: string): boolean {
  const captured = sources.every(({ position }) => reaches(position.replaceAll(/\s/g, ''), executed))
  const delivered = pipelines.every(
    ({ lagChanges, state, load }) =>
      lagChanges === 0 && state === 'running' && (load === null || load.state === 'done'),
  )
  return captured && delivered
}

/** Of a server that numbers in one sequence, as those of the tests do: `uuid:1-21` or `0-1-21`. */
function reaches(position: string, executed: string): boolean {
  const [at, goal] = [position, executed].map((text) => /^([^(,]*?)(\d+)(?=[(,]|$)/.exec(text))
  return at?.[1] === goal?.[1] && Number(at?.[2]) >= Number(goal?.[2])
}
