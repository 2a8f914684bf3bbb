import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { createConnection, type Connection } from 'mysql2/promise'
import { cached } from './cache.ts'
import { containerBlueprint, type Container } from './docker.ts'
import { GuardedProcess } from './guarded-process.ts'
import { freePort } from './ports.ts'
import { lastLines, Server, startOnFreePort, type Blueprint, type Profile } from './server.ts'
import { silent, type Report } from './progress.ts'

/** What MySQL and MariaDB have in common: the protocol, the users and how a data directory is prepared. */
export interface SqlServerOptions {
  readonly version?: string
  readonly profile?: Profile
  /** The server's id in replication; random where it is not given. */
  readonly serverId?: number
  /** Options of the server program, after those of the stack, so that they prevail. */
  readonly extraArguments?: readonly string[]
  /** From the official image instead of a process of this machine. */
  readonly docker?: boolean
  /** An existing folder for all that belongs to this run. */
  readonly directory: string
  readonly report?: Report
}

export class SqlServer extends Server {
  /** As root, who may do everything and has no password. */
  readonly url: string
  /** As `app`, who may do everything: an application that writes. */
  readonly appUrl: string
  /** As `cdc`, who may only read and replicate: what change capture needs and no more. */
  readonly cdcUrl: string
  override readonly urls: Readonly<Record<string, string>>

  constructor(blueprint: Blueprint) {
    super(blueprint)
    const address = `${this.host}:${blueprint.port}/`
    this.url = `mysql://root@${address}`
    this.appUrl = `mysql://app:apppass@${address}`
    this.cdcUrl = `mysql://cdc:cdcpass@${address}`
    this.urls = { url: this.url, appUrl: this.appUrl, cdcUrl: this.cdcUrl }
  }

  /** The certificate authority that signed the server's certificate, where the server made one. */
  get caFile(): string | undefined {
    const path = join(this.dataDirectory, 'ca.pem')
    return existsSync(path) ? path : undefined
  }

  /** A connection as root; the caller ends it. */
  async connect(): Promise<Connection> {
    return await createConnection({ host: this.host, port: this.port, user: 'root' })
  }

  /** Executes statements as root, one after the other. */
  async execute(...statements: readonly string[]): Promise<void> {
    const connection = await this.connect()
    try {
      for (const statement of statements) await connection.query(statement)
    } finally {
      await connection.end()
    }
  }
}

/** The statements that make the users of every stack. `authentication` is a plugin, or undefined for the server's own. */
export function userStatements(
  replicationGrants: string,
  authentication: string | undefined,
): readonly string[] {
  const identified = authentication === undefined ? 'IDENTIFIED BY' : `IDENTIFIED WITH ${authentication} BY`
  return [
    `CREATE USER IF NOT EXISTS root@'127.0.0.1' ${identified} '';`,
    `GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;`,
    `CREATE USER IF NOT EXISTS app@'%' ${identified} 'apppass';`,
    `GRANT ALL ON *.* TO app@'%' WITH GRANT OPTION;`,
    `CREATE USER IF NOT EXISTS cdc@'%' ${identified} 'cdcpass';`,
    `GRANT ${replicationGrants}, SELECT ON *.* TO cdc@'%';`,
  ]
}

/** A server from its official image; the users are made when it serves for the first time, outside its binlog. */
export async function startSqlContainer<Kind extends SqlServer>(
  image: { readonly server: string; readonly version: string; readonly users: readonly string[] },
  programArguments: readonly string[],
  options: SqlServerOptions,
  make: (blueprint: Blueprint) => Kind,
): Promise<Kind> {
  const { server, version } = image
  const environment = { MYSQL_ALLOW_EMPTY_PASSWORD: 'yes', MARIADB_ALLOW_EMPTY_ROOT_PASSWORD: 'yes' }
  const container: Container = {
    server,
    version,
    image: server.replace('@', ':'),
    innerPort: 3306,
    innerData: '/var/lib/mysql',
    environment,
    programArguments,
    ready: acceptsQueries,
  }
  return await startOnFreePort(
    async () => make(await containerBlueprint(container, options.directory, options.report ?? silent)),
    async (started) => started.execute('SET SESSION sql_log_bin=0', ...image.users),
  )
}

/** A server program of this machine, and how its data begins. */
export interface SqlProgram {
  readonly version: string
  readonly initialisation: Initialisation
  /** The command for a data directory at the given path, without what a start chooses. */
  readonly command: (dataDirectory: string) => readonly string[]
}

/** A server as a process of this machine, on a free port, with data of its own. */
export async function startSqlProgram<Kind extends SqlServer>(
  { version, initialisation, command }: SqlProgram,
  programArguments: readonly string[],
  options: SqlServerOptions,
  make: (blueprint: Blueprint) => Kind,
): Promise<Kind> {
  const report = options.report ?? silent
  const { server } = initialisation
  return await startOnFreePort(async () => {
    const port = await freePort()
    const directory = join(options.directory, `${server.replace('@', '-')}-${port}`)
    const dataDirectory = join(directory, 'data')
    const logFile = join(directory, 'server.log')
    await mkdir(directory, { recursive: true })
    await copyPreparedData(initialisation, dataDirectory, report)
    const launch = {
      command: [
        ...command(dataDirectory),
        `--port=${port}`,
        '--bind-address=127.0.0.1',
        `--socket=${join(directory, 'socket')}`,
        `--pid-file=${join(directory, 'pid')}`,
        ...programArguments,
      ],
      workingDirectory: directory,
      logFile,
      environment: { ...initialisation.environment, ...ownTemporaryFiles(directory) },
    }
    const ready = () => acceptsQueries(port)
    return make({ name: server, version, port, directory, dataDirectory, logFile, launch, ready, report })
  })
}

/** Whether a client can log in and query. */
async function acceptsQueries(port: number): Promise<boolean> {
  const connection = await createConnection({
    host: '127.0.0.1',
    port,
    user: 'root',
    connectTimeout: 3000,
  })
  try {
    await connection.query('SELECT 1')
    return true
  } finally {
    connection.destroy()
  }
}

/** How a server program prepares a new data directory. */
export interface Initialisation {
  /** The server with its version, for messages. */
  readonly server: string
  /** The command for a data directory at the given path; `sqlFile` holds `sql`. */
  readonly command: (dataDirectory: string, sqlFile: string) => readonly string[]
  readonly sql: string
  readonly environment: Readonly<Record<string, string>>
  /** Whether the statements are given as standard input rather than by the file. */
  readonly sqlAsInput: boolean
}

/**
 * Copies a prepared data directory to a new place. Preparing one takes seconds, so that it is done once for a version
 * and its users and kept in the cache.
 */
async function copyPreparedData(
  initialisation: Initialisation,
  dataDirectory: string,
  report: Report,
): Promise<void> {
  const recipe = JSON.stringify([initialisation.command('', ''), initialisation.sql])
  const key = `data-${initialisation.server}-${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}`
  const prepared = await cached(key, report, async ({ tree, scratch }) => {
    report({ server: initialisation.server, doing: 'preparing a data directory (kept for later runs)' })
    const data = join(tree, 'data')
    await mkdir(data)
    const sqlFile = join(scratch, 'prepare.sql')
    const logFile = join(scratch, 'prepare.log')
    await writeFile(sqlFile, initialisation.sql)
    await runToEnd(initialisation, data, sqlFile, logFile)
    // The file holds the server's identity; each copy must make its own.
    await rm(join(data, 'auto.cnf'), { force: true })
  })
  await cp(join(prepared, 'data'), dataDirectory, { recursive: true })
}

/** Servers delete what others of their kind left in the folder of temporary files: each gets one of its own. */
function ownTemporaryFiles(directory: string): Readonly<Record<string, string>> {
  return { TMPDIR: directory }
}

async function runToEnd(
  initialisation: Initialisation,
  data: string,
  sqlFile: string,
  logFile: string,
): Promise<void> {
  const command = initialisation.command(data, sqlFile)
  const process = new GuardedProcess({
    command: initialisation.sqlAsInput
      ? ['/bin/sh', '-c', 'file=$1; shift; exec "$@" <"$file"', 'sh', sqlFile, ...command]
      : command,
    workingDirectory: data,
    logFile,
    environment: { ...initialisation.environment, ...ownTemporaryFiles(dirname(sqlFile)) },
  })
  const { code, signal } = await process.exited
  if (code === 0) return
  const log = lastLines(await readFile(logFile, 'utf8'), 15)
  throw new Error(
    `${initialisation.server} could not prepare a data directory (${signal ?? `exit code ${code}`}):\n${log}`,
  )
}
