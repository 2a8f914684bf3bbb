/** Whether a server can go on from where we are. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../../change/failure.ts'
import type { Connection } from './connection.ts'
import type { GtidSet } from './gtid.ts'
import { readExecuted, readPurged } from './server-facts.ts'

const askAgainMs = 200

/**
 * Throws a Failure ('lost') when the server has deleted transactions that were not read yet, or lacks some that were
 * read. The latter only after `catchUpMs`: a new primary may still be applying what it received, and a commit is streamed
 * before it is counted as executed.
 */
export async function checkContinuity(
  connection: Connection,
  executed: GtidSet,
  catchUpMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { flavor } = executed
  const lacking = await lackingAfter(catchUpMs, connection, executed, signal)
  if (lacking !== '')
    throw new Failure(
      'lost',
      `the server does not have transactions that were read before: ${shorten(lacking)}`,
      {
        remedy: 'a backup was restored, or a failover lost them: load the pipelines of this source anew',
      },
    )
  // MariaDB answers this itself when the dump begins: its domains may have been begun at different times.
  if (flavor === 'mariadb') return
  const purged = await readPurged(connection, flavor)
  const gone = purged.missingFrom(executed)
  if (gone === '') return
  throw new Failure('lost', `the server has purged transactions that were not read yet: ${shorten(gone)}`, {
    remedy: 'load the pipelines of this source anew, and keep the binlog longer: binlog_expire_logs_seconds',
  })
}

async function lackingAfter(
  catchUpMs: number,
  connection: Connection,
  executed: GtidSet,
  signal: AbortSignal,
): Promise<string> {
  const until = Date.now() + catchUpMs
  for (;;) {
    const lacking = executed.missingFrom(await readExecuted(connection, executed.flavor))
    if (lacking === '' || Date.now() >= until) return lacking
    await sleep(askAgainMs, undefined, { signal })
  }
}

function shorten(set: string): string {
  return set.length > 300 ? `${set.slice(0, 297)}...` : set
}
