/** What a server says of itself, read at each connect: after a failover it may be another one. */
import { Failure } from '../../../change/failure.ts'
import { query, type Connection, type SqlRow } from './connection.ts'
import { parseGtidSet } from '../gtid/gtid-set.ts'
import type { Flavor, GtidSet } from '../gtid/gtid.ts'
import { demands, wordedFor } from './server-demands.ts'

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
  'innodb_read_only',
  'log_replica_updates',
  'log_slave_updates',
  'read_only',
  'port',
  'server_id',
  'server_uuid',
  'version',
  'wsrep_on',
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

/** Whether it takes no writes of its own: one that leads takes them. */
export function isReplica({ variables }: ServerFacts): boolean {
  // Readers of a cluster with shared storage have the latter.
  return ['read_only', 'innodb_read_only'].some((name) => isOn(variables.get(name)))
}

/** Names of versions differ: `ON`, `1`, and MariaDB 11.8's kinds of read-only. */
function isOn(value: string | undefined): boolean {
  return value !== undefined && !['', '0', 'OFF', 'NO'].includes(value.toUpperCase())
}

/** Whether it follows another server now, or tries to. Undefined = the user may not ask. */
export async function replicates(connection: Connection): Promise<boolean | undefined> {
  const channels = await readReplicaChannels(connection)
  return channels?.some((row) => parts.every((part) => isRunning(row, part)))
}

/** What is known of each server that it was told to follow; undefined = the user may not ask. */
export async function readReplicaChannels(connection: Connection): Promise<readonly SqlRow[] | undefined> {
  for (const sql of ['SHOW ALL SLAVES STATUS', 'SHOW REPLICA STATUS', 'SHOW SLAVE STATUS']) {
    try {
      return await query(connection, sql, [], 'asking whether the server is a replica')
    } catch (error) {
      if (!(error instanceof Failure) || error.kind === 'transient') throw error
      if (error.kind === 'unauthorised') return undefined
    }
  }
  return undefined
}

/** Of replication: one receives, one applies. */
const parts = ['IO_Running', 'SQL_Running'] as const

function isRunning(channel: SqlRow, part: (typeof parts)[number]): boolean {
  return (channel[`Replica_${part}`] ?? channel[`Slave_${part}`] ?? 'No') !== 'No'
}

export interface BinlogFile {
  readonly name: string
  readonly bytes: number
}

/** The number in a file's name, by which files follow each other; -1 = it has none. */
export function fileNumber(file: string): number {
  return Number(/\.(\d+)$/.exec(file)?.[1] ?? -1)
}

/** The files that the server still has, oldest first. */
export async function readBinlogFiles(connection: Connection): Promise<readonly BinlogFile[]> {
  const attempt = "reading the list of the server's binlog files"
  const rows = await query(connection, 'SHOW BINARY LOGS', [], attempt)
  return rows.map((row) => ({ name: String(row['Log_name']), bytes: Number(row['File_size']) }))
}

/** All that the server has executed; on MariaDB, all that is in its binlog. */
export async function readExecuted(connection: Connection, flavor: Flavor): Promise<GtidSet> {
  return await readSet(connection, flavor, flavor === 'mysql' ? 'gtid_executed' : 'gtid_binlog_pos')
}

/** What the server's binlog has no more. */
export async function readPurged(connection: Connection, flavor: Flavor): Promise<GtidSet> {
  if (flavor === 'mysql') return await readSet(connection, flavor, 'gtid_purged')
  const [first] = await readBinlogFiles(connection)
  const [row] = await query(
    connection,
    'SELECT BINLOG_GTID_POS(?, 4) AS gtids',
    [first?.name ?? null],
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
    const version = variables.get('version') ?? ''
    const detail = remedy === undefined ? {} : { remedy: wordedFor(version, remedy) }
    throw new Failure('unsupported', `the server's binlog does not show every row whole: ${what}`, detail)
  }
}

/** Whether a server writes into its own binlog what it gets from others: the variable that says so, and its value. */
export function updatesLogged(variables: ServerFacts['variables']): {
  readonly name: string
  readonly value: string
} {
  const name = variables.has('log_replica_updates') ? 'log_replica_updates' : 'log_slave_updates'
  return { name, value: variables.get(name) ?? 'OFF' }
}

/**
 * Throws a Failure where the server gets changes from others that never come into its binlog: `unsupported`, or `transient`
 * where that cannot be asked and it takes no writes of its own, which may end.
 */
export async function refuseUnlogged(connection: Connection, facts: ServerFacts): Promise<void> {
  const { name, value } = updatesLogged(facts.variables)
  if (isOn(value)) return
  const isInCluster = isOn(facts.variables.get('wsrep_on'))
  const channels = isInCluster ? undefined : await readReplicaChannels(connection)
  const isFed = isInCluster || (channels ?? []).length > 0
  if (!isFed && (channels !== undefined || !isReplica(facts))) return
  const what = `what the server gets from others does not come into its binlog: ${name} is ${value}`
  throw new Failure(isFed ? 'unsupported' : 'transient', what, {
    remedy: `add ${name} = ON below [mysqld] in its option file and restart the server; or, where it follows nobody any more, RESET REPLICA ALL`,
  })
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
