/** A question to a server, on a connection of its own. */
import type { SqlServer } from '../stack/sql-server.ts'

export async function ask(server: SqlServer, sql: string): Promise<readonly Record<string, unknown>[]> {
  const connection = await server.connect()
  try {
    const [rows] = await connection.query(sql)
    return rows as readonly Record<string, unknown>[]
  } finally {
    await connection.end()
  }
}
