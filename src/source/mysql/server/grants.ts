/** What the user of a connection may do, from SHOW GRANTS. */
import { query, type Connection } from './connection.ts'
import type { Flavor } from '../gtid/gtid.ts'

export interface Grants {
  /** `'user'@'host'`, as a GRANT statement names the account. */
  readonly account: string
  /** Whether the user holds one of these privileges, in capitals, on the whole server. */
  readonly holds: (...privileges: readonly string[]) => boolean
}

/** Reads the grants of the user, and of the roles that are active. Throws a Failure. */
export async function readGrants(connection: Connection, flavor: Flavor): Promise<Grants> {
  const [who] = await query(connection, 'SELECT CURRENT_USER() AS account', [], 'asking for the user')
  const attempt = "reading the user's grants"
  const own = await query(connection, 'SHOW GRANTS', [], attempt)
  // MariaDB lists the active role's grants with the user's own.
  const roles = flavor === 'mysql' ? await activeRoles(connection) : ''
  const ofRoles =
    roles === '' ? [] : await query(connection, `SHOW GRANTS FOR CURRENT_USER() USING ${roles}`, [], attempt)
  const held = globalPrivileges([...own, ...ofRoles].map((row) => String(Object.values(row)[0])))
  return {
    account: quotedAccount(String(who?.['account'] ?? '')),
    holds: (...privileges) =>
      held.has('ALL PRIVILEGES') || privileges.some((privilege) => held.has(privilege)),
  }
}

/** The privileges on `*.*` in lines of SHOW GRANTS, in capitals. */
export function globalPrivileges(lines: readonly string[]): ReadonlySet<string> {
  const held = new Set<string>()
  for (const line of lines) {
    const [, privileges] = /^GRANT (.+?) ON \*\.\* TO /i.exec(line) ?? []
    for (const privilege of privileges?.split(',') ?? []) held.add(privilege.trim().toUpperCase())
  }
  return held
}

/** Empty = none, or a server before roles, which came with MySQL 8. */
async function activeRoles(connection: Connection): Promise<string> {
  const [server] = await query(
    connection,
    'SELECT @@version AS version',
    [],
    "asking for the server's version",
  )
  if (Number.parseInt(String(server?.['version']), 10) < 8) return ''
  const [row] = await query(connection, 'SELECT CURRENT_ROLE() AS roles', [], "asking for the user's roles")
  const roles = String(row?.['roles'] ?? 'NONE')
  return roles === 'NONE' ? '' : roles
}

function quotedAccount(account: string): string {
  const at = account.lastIndexOf('@')
  const parts = [account.slice(0, at), account.slice(at + 1)]
  return parts.map((part) => `'${part.replaceAll("'", "''")}'`).join('@')
}
