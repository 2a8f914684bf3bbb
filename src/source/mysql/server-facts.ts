/** What a server says of itself, read at each connect: after a failover it may be another one. */
import { Failure } from '../../change/failure.ts'
import { query, type Connection } from './connection.ts'
import { parseGtidSet } from './gtid-set.ts'
import type { Flavor, GtidSet } from './gtid.ts'
import { demands } from './server-demands.ts'

export interface ServerFacts {
  readonly flavor: Flavor
  /** Of this very server: row events are counted on it. */
  readonly identity: string
  /** Global variables by name, in small letters; those that the server lacks are absent. */
  readonly variables: ReadonlyMap<string, string>
}

const names = [
  ...demands.map(({ name }) => name),
  'hostname',
  'innodb_native_foreign_keys',
  'port',
  'server_id',
  'server_uuid',
  'version',
]

export async function readServerFacts(connection: Connection): Promise<ServerFacts> {
  const sql = 'SHOW GLOBAL VARIABLES WHERE Variable_name IN (?)'
  const rows = await query(connection, sql, [names], "reading the server's variables")
  const variables = new Map(
    rows.map((row) => {
      const [name, value] = Object.values(row)
      return [String(name).toLowerCase(), String(value)]
    }),
  )
  const flavor = /mariadb/i.test(variables.get('version') ?? '') ? 'mariadb' : 'mysql'
  const place = ['hostname', 'port', 'server_id'].map((name) => variables.get(name)).join(':')
  return { flavor, identity: variables.get('server_uuid') ?? place, variables }
}

/** All that the server has executed; on MariaDB, all that is in its binlog. */
export async function readExecuted(connection: Connection, flavor: Flavor): Promise<GtidSet> {
  return await readSet(connection, flavor, flavor === 'mysql' ? 'gtid_executed' : 'gtid_binlog_pos')
}

/** What the server's binlog has no more. */
export async function readPurged(connection: Connection, flavor: Flavor): Promise<GtidSet> {
  if (flavor === 'mysql') return await readSet(connection, flavor, 'gtid_purged')
  const [first] = await query(
    connection,
    'SHOW BINARY LOGS',
    [],
    "reading the list of the server's binlog files",
  )
  const file = Object.values(first ?? {})[0]
  const [row] = await query(
    connection,
    'SELECT BINLOG_GTID_POS(?, 4) AS gtids',
    [file],
    'reading the oldest position',
  )
  return parseGtidSet(String(row?.['gtids'] ?? ''), flavor)
}

async function readSet(connection: Connection, flavor: Flavor, variable: string): Promise<GtidSet> {
  const [row] = await query(connection, `SELECT @@global.${variable} AS gtids`, [], `reading ${variable}`)
  return parseGtidSet(String(row?.['gtids'] ?? ''), flavor)
}

/** Whether rows that a foreign key's cascade changes are in the binlog (MySQL 9.6 and later). */
export function logsCascades({ variables }: ServerFacts): boolean {
  return variables.get('innodb_native_foreign_keys') === 'OFF'
}

/** Throws a Failure ('unsupported') with the fixing statement when the server's binlog does not show everything. */
export function refuseServer({ flavor, variables }: ServerFacts): void {
  for (const { name, only, level, isGood, absence, remedies } of demands) {
    if (level !== 'fatal' || (only !== undefined && only !== flavor)) continue
    const found = variables.get(name)
    if (found === undefined ? absence === undefined : isGood(found)) continue
    const what = found === undefined ? (absence ?? '') : `${name} is ${found === '' ? 'empty' : found}`
    const remedy = remedies(flavor)['mysql']
    const detail = remedy === undefined ? {} : { remedy }
    throw new Failure('unsupported', `the server's binlog does not show every row whole: ${what}`, detail)
  }
}

/** How long binlog files are kept, in seconds; undefined = for ever. Both variables set: the newer one counts. */
export async function readRetentionSeconds(connection: Connection): Promise<number | undefined> {
  const sql =
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('binlog_expire_logs_seconds', 'expire_logs_days')"
  const rows = await query(connection, sql, [], 'reading how long the binlog is kept')
  const found = new Map(
    rows.map((row) => Object.values(row)).map(([name, value]) => [String(name), Number(value)]),
  )
  const seconds =
    (found.get('binlog_expire_logs_seconds') ?? 0) || (found.get('expire_logs_days') ?? 0) * 86_400
  return seconds > 0 ? seconds : undefined
}
