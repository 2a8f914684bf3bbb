/** The connections on which a server streams its binlog. */
import type { SqlServer } from '../stack/sql-server.ts'
import { ask } from './ask.ts'

const sql = "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'"

/** Breaks all of them. One whose reader hung up may end by itself meanwhile: the server notices that late. */
export async function killDumps(server: SqlServer): Promise<void> {
  const dumps = await ask(server, sql)
  if (dumps.length === 0) throw new Error('there is no dump to kill')
  for (const { id } of dumps) await server.execute(`KILL ${Number(id)}`).catch(unlessGone)
}

function unlessGone(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'ER_NO_SUCH_THREAD')) throw error
}

/** Has the server forget all of its binlog but the last file: one that a dump still reads stays for a while. */
export async function purgeBinlog(server: SqlServer): Promise<void> {
  const late = AbortSignal.timeout(180_000)
  for (;;) {
    const files = await ask(server, 'SHOW BINARY LOGS')
    if (files.length === 1) return
    if (late.aborted) throw new Error(`the binlog was not purged: ${files.length} files`)
    await server.execute(`PURGE BINARY LOGS TO '${String(files.at(-1)?.['Log_name'])}'`)
  }
}
