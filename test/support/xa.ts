/** XA branches that one session prepares and another one ends. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { SqlServer } from '../stack/sql-server.ts'

const waitMsMax = 180_000

/** Prepares a branch of that work, and waits until the server has let go of the session that did it. */
export async function prepareBranch(server: SqlServer, xid: string, work: readonly string[]): Promise<void> {
  const session = await server.connect()
  for (const sql of [`XA START ${xid}`, ...work, `XA END ${xid}`, `XA PREPARE ${xid}`])
    await session.query(sql)
  await detach(server, session)
}

/**
 * Ends a session and waits until its branch is nobody's. MariaDB takes an XA COMMIT a moment too early, while it is still
 * letting go: it then writes it to the binlog, says that all is well, and leaves the rows uncommitted and locked.
 */
export async function detach(server: SqlServer, session: Connection): Promise<void> {
  const { threadId } = session
  await session.end()
  await until(async () => {
    const asking = await server.connect()
    try {
      // The table of transactions in information_schema is an older copy for whoever asks often.
      const [[row]] = await asking.query<RowDataPacket[]>('SHOW ENGINE INNODB STATUS')
      return !String(row?.['Status']).includes(` thread id ${threadId},`)
    } finally {
      await asking.end()
    }
  }, 'the session to end')
}

/** Ends a branch from another session, once the server lets it: some let go of a name later than of the rows. */
export async function endBranch(server: SqlServer, sql: string): Promise<void> {
  let failure: unknown
  await until(async () => {
    try {
      await server.execute(sql)
      return true
    } catch (error) {
      failure = error
      return false
    }
  }, sql).catch((cause: unknown) => {
    throw new Error('a branch could not be ended', { cause: failure ?? cause })
  })
}

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  for (const lateMs = Date.now() + waitMsMax; !(await isSo());) {
    if (Date.now() > lateMs) throw new Error(`waited too long for ${what}`)
    await delay(5)
  }
}
