/** What a server says of itself, read at each connect: after a failover it may be another one. */
import { Failure } from '../../change/failure.ts'
import { query, type Connection } from './connection.ts'
import { parseGtidSet } from './gtid-set.ts'
import type { Flavor, GtidSet } from './gtid.ts'

export interface ServerFacts {
  readonly flavor: Flavor
  /** Of this very server: row events are counted on it. */
  readonly identity: string
  /** Global variables by name, in small letters; those that the server lacks are absent. */
  readonly variables: ReadonlyMap<string, string>
}

const names = [
  'binlog_checksum',
  'binlog_format',
  'binlog_row_image',
  'binlog_row_metadata',
  'gtid_mode',
  'hostname',
  'innodb_native_foreign_keys',
  'log_bin',
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

/** What must hold for every row to be in the binlog in full; a variable that the server lacks is not asked for. */
const demands: readonly { readonly name: string; readonly value: string; readonly remedy: string }[] = [
  { name: 'log_bin', value: 'ON', remedy: 'start the server with --log-bin' },
  {
    name: 'gtid_mode',
    value: 'ON',
    remedy: 'SET GLOBAL gtid_mode = ON (by way of OFF_PERMISSIVE and ON_PERMISSIVE)',
  },
  { name: 'binlog_format', value: 'ROW', remedy: 'SET GLOBAL binlog_format = ROW' },
  { name: 'binlog_row_image', value: 'FULL', remedy: 'SET GLOBAL binlog_row_image = FULL' },
  { name: 'binlog_row_metadata', value: 'FULL', remedy: 'SET GLOBAL binlog_row_metadata = FULL' },
]

/** Throws a Failure ('unsupported') with the fixing statement when the server's binlog does not show everything. */
export function refuseServer({ variables }: ServerFacts): void {
  for (const { name, value, remedy } of demands) {
    const found = variables.get(name)
    if (found !== undefined && found !== value)
      throw new Failure('unsupported', `${name} is ${found}, but capture needs ${value}`, { remedy })
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
