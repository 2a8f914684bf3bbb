/** Everything that must hold before a source can be captured: one finding for each fact, good or bad. */
import { Failure } from '../../../change/failure.ts'
import type { Finding } from '../../source.ts'
import { connect, hangUp, query, type Connection, type MysqlSettings } from '../server/connection.ts'
import { tableOptions } from '../schema/describe.ts'
import { readGrants, type Grants } from '../server/grants.ts'
import type { Flavor } from '../gtid/gtid.ts'
import { demands, wordedFor, type Demand, type Remedies } from '../server/server-demands.ts'
import {
  logsCascades,
  readReplicaChannels,
  readRetentionSeconds,
  updatesLogged,
} from '../server/server-facts.ts'
import { examineTables } from './table-findings.ts'
import { preparedFindings } from './xa-findings.ts'

/** Never throws for what is wrong with the server; a server that cannot be reached is a finding as well. */
export async function examine(
  settings: MysqlSettings,
  tables: readonly string[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  let connection: Connection | undefined
  try {
    connection = await connect(settings)
    for await (const finding of findingsOf(connection, settings, tables)) findings.push(finding)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const fact = connection === undefined ? 'connection' : 'examination'
    findings.push({
      level: 'fatal',
      fact,
      found: error.message,
      ...(error.remedy === undefined ? {} : { remedies: { mysql: error.remedy } }),
    })
  } finally {
    if (connection !== undefined) hangUp(connection)
  }
  return findings
}

/** The fatal findings as one Failure, `configuration`, for a start that cannot go on; undefined = there are none. */
export function refusalOf(findings: readonly Finding[], source: string): Failure | undefined {
  const fatal = findings.filter(({ level }) => level === 'fatal')
  if (fatal.length === 0) return undefined
  const message = `source ${source} cannot be captured: ${fatal.map(({ fact, found }) => `${fact}: ${found}`).join('; ')}`
  const remedies = fatal.flatMap(({ remedies: all }) => all?.['mysql'] ?? [])
  return new Failure('configuration', message, remedies.length === 0 ? {} : { remedy: remedies.join('; ') })
}

async function* findingsOf(
  connection: Connection,
  settings: MysqlSettings,
  tables: readonly string[],
): AsyncGenerator<Finding> {
  const variables = await readVariables(connection)
  const version = variables.get('version') ?? ''
  const flavor: Flavor = /mariadb/i.test(version) ? 'mariadb' : 'mysql'
  yield versionFinding(version, flavor)
  for (const demand of demands)
    if (demand.only === undefined || demand.only === flavor) yield* variableFinding(demand, flavor, variables)
  const expires = variables.has('binlog_expire_logs_seconds')
    ? 'binlog_expire_logs_seconds'
    : 'expire_logs_days'
  yield await retentionFinding(connection, flavor, expires)
  yield* await replicaFindings(connection, variables)
  yield* await preparedFindings(connection)
  const grants = await readGrants(connection, flavor)
  yield* grantFindings(grants, flavor)
  const areSeveral = (settings.hosts ?? []).length > 0
  if (areSeveral && flavor === 'mariadb') yield await followingFinding(connection, version, grants)
  const optionsOf = (table: string) => tableOptions(settings, table)
  const cascadesLogged = logsCascades({ flavor, identity: '', variables })
  yield* await examineTables(connection, tables, { grants, cascadesLogged, optionsOf })
}

async function readVariables(connection: Connection): Promise<ReadonlyMap<string, string>> {
  const names = [...demands.map(({ name }) => name), 'version', 'log_slave_updates', 'log_replica_updates']
  const sql = 'SHOW GLOBAL VARIABLES WHERE Variable_name IN (?)'
  const wanted = [...names, 'innodb_native_foreign_keys', 'binlog_expire_logs_seconds']
  const rows = await query(connection, sql, [wanted], "reading the server's variables")
  return new Map(rows.map((row) => Object.values(row)).map(([name, value]) => [String(name), String(value)]))
}

function versionFinding(version: string, flavor: Flavor): Finding {
  const isGood = numberOf(version) >= (flavor === 'mysql' ? 50_709 : 100_500)
  const found = `${flavor === 'mysql' ? 'MySQL' : 'MariaDB'} ${version}`
  if (isGood) return { level: 'ok', fact: 'version', found }
  const upgrade = 'upgrade to MySQL 5.7.9 or MariaDB 10.5 at least: the binlogs of older ones are not read'
  return { level: 'fatal', fact: 'version', found, remedies: { mysql: upgrade } }
}

function* variableFinding(
  demand: Demand,
  flavor: Flavor,
  variables: ReadonlyMap<string, string>,
): Generator<Finding> {
  const { name, isGood, level, absence, cost } = demand
  const value = variables.get(name)
  if (value === undefined) {
    if (absence !== undefined) yield { level, fact: name, found: absence }
    return
  }
  const costs = cost?.(value)
  const found = `${value === '' ? "''" : value}${costs === undefined ? '' : `: ${costs}`}`
  if (isGood(value)) yield { level: 'ok', fact: name, found }
  else {
    const remedies = wordedRemedies(demand.remedies(flavor), variables.get('version') ?? '')
    yield { level, fact: name, found, remedies }
  }
}

function wordedRemedies(remedies: Remedies, version: string): Remedies {
  return Object.fromEntries(
    Object.entries(remedies).map(([service, remedy]) => [
      service,
      service === 'mysql' ? wordedFor(version, remedy) : remedy,
    ]),
  )
}

const RETENTION_SECONDS_MIN = 86_400

async function retentionFinding(connection: Connection, flavor: Flavor, variable: string): Promise<Finding> {
  const seconds = await readRetentionSeconds(connection)
  const fact = 'binlog retention'
  if (seconds === undefined) return { level: 'ok', fact, found: 'kept until it is purged' }
  const found = `${Math.round(seconds / 360) / 10} h`
  if (seconds >= RETENTION_SECONDS_MIN) return { level: 'ok', fact, found }
  const remedies: Remedies = {
    mysql:
      flavor === 'mysql' && variable !== 'expire_logs_days'
        ? 'SET PERSIST binlog_expire_logs_seconds = 604800'
        : 'SET GLOBAL expire_logs_days = 7, and in its option file',
    rds: "CALL mysql.rds_set_configuration('binlog retention hours', 168)",
    aurora: "CALL mysql.rds_set_configuration('binlog retention hours', 168)",
    cloudsql: 'gcloud sql instances patch INSTANCE --retained-transaction-log-days=7',
  }
  return { level: 'warning', fact, found: `${found}: a longer pause of capture means a new load`, remedies }
}

/** A replica must write what it applies into its own binlog. */
async function replicaFindings(
  connection: Connection,
  variables: ReadonlyMap<string, string>,
): Promise<readonly Finding[]> {
  const { name, value } = updatesLogged(variables)
  if (value === 'ON') return [{ level: 'ok', fact: name, found: value }]
  const channels = await readReplicaChannels(connection)
  if (channels?.length === 0)
    return [{ level: 'ok', fact: name, found: `${value}; the server is no replica` }]
  const remedies = {
    mysql: `add ${name} = ON below [mysqld] in its option file and restart the server`,
    rds: 'switch automated backups on for the replica',
  }
  if (channels !== undefined)
    return [{ level: 'fatal', fact: name, found: `${value} on a replica`, remedies }]
  const found = `${value}; whether the server is a replica may not be asked`
  return [{ level: 'warning', fact: name, found, remedies }]
}

/**
 * Whether a server follows another one tells, after a failover, those that are only behind from one that lost changes. To ask it
 * MariaDB wants a privilege of its own, of another name before 10.5.9.
 */
async function followingFinding(
  connection: Connection,
  version: string,
  { account }: Grants,
): Promise<Finding> {
  const privilege = numberOf(version) >= 100_509 ? 'REPLICA MONITOR' : 'REPLICATION SLAVE ADMIN'
  const fact = `grant ${privilege}`
  if ((await readReplicaChannels(connection)) !== undefined)
    return { level: 'ok', fact, found: `${account} has it` }
  const found = `${account} lacks it: after a failover, a replica that takes writes and is behind would count as a leader that lost changes`
  return { level: 'warning', fact, found, remedies: granting(privilege, account) }
}

/** 8.0.22 = 80022 */
function numberOf(version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number)
  return major * 10_000 + minor * 100 + patch
}

function* grantFindings(grants: Grants, flavor: Flavor): Generator<Finding> {
  const monitor = flavor === 'mysql' ? 'REPLICATION CLIENT' : 'BINLOG MONITOR'
  yield grantFinding(grants, 'REPLICATION SLAVE', ['REPLICATION SLAVE', 'REPLICATION REPLICA'])
  yield grantFinding(grants, monitor, ['REPLICATION CLIENT', 'BINLOG MONITOR', 'SUPER'])
}

function grantFinding({ account, holds }: Grants, privilege: string, any: readonly string[]): Finding {
  const fact = `grant ${privilege}`
  if (holds(...any)) return { level: 'ok', fact, found: `${account} has it` }
  return { level: 'fatal', fact, found: `${account} lacks it`, remedies: granting(privilege, account) }
}

function granting(privilege: string, account: string): Remedies {
  const statement = `GRANT ${privilege} ON *.* TO ${account}`
  return { mysql: statement, rds: statement, aurora: statement, cloudsql: statement }
}
