import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { commandInRoot, fillFromPackages } from './apt.ts'
import { cached } from './cache.ts'
import { randomServerId } from './mysql.ts'
import { silent, type Report } from './progress.ts'
import type { Blueprint } from './server.ts'
import {
  SqlServer,
  startSqlContainer,
  startSqlProgram,
  userStatements,
  type Initialisation,
  type SqlServerOptions,
} from './sql-server.ts'

export class MariadbServer extends SqlServer {}

/** Starts a MariaDB server on 127.0.0.1 with row events in full and the stack's users. */
export async function startMariadb(options: SqlServerOptions): Promise<MariadbServer> {
  const report = options.report ?? silent
  const version = options.version ?? '10.11'
  const server = `mariadb@${version}`
  const serverArguments = [
    `--server-id=${options.serverId ?? randomServerId()}`,
    ...replicationArguments,
    `--innodb_buffer_pool_size=${options.profile === 'bench' ? '1G' : '256M'}`,
    ...(options.extraArguments ?? []),
  ]
  const make = (blueprint: Blueprint) => new MariadbServer(blueprint)
  if (options.docker === true)
    return await startSqlContainer({ server, version, users }, serverArguments, options, make)
  const root = await fetchMariadb(version, report)
  const initialisation = initialisationOf(server, root)
  const command = (dataDirectory: string) => serverCommand(root, dataDirectory)
  return await startSqlProgram({ version, initialisation, command }, serverArguments, options, make)
}

/** Row events in full; a commit survives the death of the process, not of the machine: the disk is not waited for. */
const replicationArguments = [
  '--log-bin=binlog',
  '--binlog-format=ROW',
  '--binlog-row-image=FULL',
  '--binlog-row-metadata=FULL',
  '--log-slave-updates',
  '--skip-name-resolve',
  '--sync_binlog=0',
  '--innodb_flush_log_at_trx_commit=2',
  '--innodb_doublewrite=OFF',
]

const users = userStatements('REPLICATION SLAVE, BINLOG MONITOR', undefined)

export const mariadbVersions = ['10.11', '11.8']

/** The Debian suite that has each version. */
const suites: Readonly<Record<string, string>> = { '10.11': 'bookworm', '11.8': 'sid' }

/** The private root of a version, fetched when it is not in the cache yet. */
export async function fetchMariadb(version: string, report: Report): Promise<string> {
  const suite = suiteOfMariadb(version)
  const packages = ['mariadb-server-core', 'mariadb-client-core']
  const bytesExpected = 25_000_000
  return await cached(`mariadb-${version}`, report, async (filling) => {
    const server = `mariadb@${version}`
    await fillFromPackages(
      { server, suite, packages, withDependencies: true, bytesExpected },
      filling,
      report,
    )
  })
}

/** Throws for a version that there is not. */
export function suiteOfMariadb(version: string): string {
  const suite = suites[version]
  if (suite !== undefined) return suite
  throw new Error(`there is no mariadb@${version}; there are ${mariadbVersions.join(', ')}`)
}

function serverCommand(root: string, dataDirectory: string): readonly string[] {
  const share = shareOf(root)
  return [
    ...commandInRoot(root, 'usr/sbin/mariadbd'),
    '--no-defaults',
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    `--basedir=${join(root, 'usr')}`,
    `--datadir=${dataDirectory}`,
    `--lc-messages-dir=${share}`,
    `--character-sets-dir=${join(share, 'charsets')}`,
  ]
}

function shareOf(root: string): string {
  const folders = ['usr/share/mariadb', 'usr/share/mysql'].map((folder) => join(root, folder))
  const folder = folders.find((path) => existsSync(join(path, 'charsets')))
  if (folder === undefined) throw new Error(`${root} has no folder of MariaDB's shared files`)
  return folder
}

/** What `mariadb-install-db` does, without its shell script: system tables first, users after the grants are loaded. */
function initialisationOf(server: string, root: string): Initialisation {
  const share = shareOf(root)
  const scripts = systemScripts.flatMap((name) => {
    const path = join(share, `${name}.sql`)
    return existsSync(path) ? [readFileSync(path, 'utf8')] : []
  })
  return {
    server,
    command: (dataDirectory) => [...serverCommand(root, dataDirectory), '--bootstrap', '--log-warnings=0'],
    sql: [
      'CREATE DATABASE IF NOT EXISTS mysql;',
      'USE mysql;',
      ...scripts,
      'FLUSH PRIVILEGES;',
      ...users,
      '',
    ].join('\n'),
    environment: {},
    sqlAsInput: true,
  }
}

/** In the order of their use; MariaDB renamed them from 11 on. */
const systemScripts = ['system_tables', 'performance_tables', 'system_tables_data']
  .flatMap((name) => [`mysql_${name}`, `mariadb_${name}`])
  .concat('fill_help_tables', 'maria_add_gis_sp_bootstrap', 'mysql_sys_schema', 'mariadb_sys_schema')
