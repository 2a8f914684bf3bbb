/** What doctor says of XA transactions. */
import { Failure } from '../../../change/failure.ts'
import type { Finding } from '../../source.ts'
import { query, type Connection } from '../server/connection.ts'

/** How many are prepared, where there are any and the user may ask: MySQL 8 asks for XA_RECOVER_ADMIN. */
export async function preparedFindings(connection: Connection): Promise<readonly Finding[]> {
  const count = await countPrepared(connection)
  if (count === 0) return []
  const found = `${count}: each needs its PREPARE in the binlog until it ends; where that is purged before, its COMMIT has the captured tables read again`
  const remedy = 'XA RECOVER shows them: end those that nobody will end, with XA COMMIT or XA ROLLBACK'
  return [{ level: 'ok', fact: 'prepared XA transactions', found, remedies: { mysql: remedy } }]
}

async function countPrepared(connection: Connection): Promise<number> {
  try {
    return (await query(connection, 'XA RECOVER', [], 'asking for prepared XA transactions')).length
  } catch (error) {
    if (error instanceof Failure && error.kind !== 'transient') return 0
    throw error
  }
}
