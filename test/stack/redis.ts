import { mkdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { commandInRoot, fillFromPackages } from './apt.ts'
import { cached } from './cache.ts'
import { freePort } from './ports.ts'
import { silent, type Report } from './progress.ts'
import { Server, startOnFreePort, type Blueprint } from './server.ts'

export interface RedisOptions {
  readonly version?: string
  /** Arguments of the server beside those that the stack needs itself. */
  readonly extraArguments?: readonly string[]
  /** Refused: it is a process of this machine. */
  readonly docker?: boolean
  /** An existing folder for all that belongs to this run. */
  readonly directory: string
  readonly report?: Report
}

export class RedisServer extends Server {
  readonly url: string
  override readonly urls: Readonly<Record<string, string>>

  constructor(blueprint: Blueprint) {
    super(blueprint)
    this.url = `redis://${this.host}:${blueprint.port}/0`
    this.urls = { redis: this.url }
  }
}

export const redisVersions = ['7.0']

/** The Debian suite that has each version. */
const suites: Readonly<Record<string, string>> = { '7.0': 'bookworm' }

/** Starts Redis on 127.0.0.1; what it holds is gone when it ends, as where it is a cache. */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  const report = options.report ?? silent
  const version = options.version ?? '7.0'
  if (options.docker === true) throw new Error('redis is started as a process only: leave out --docker')
  const root = await fetchRedis(version, report)
  return await startOnFreePort(async () => {
    const port = await freePort()
    const directory = join(options.directory, `redis-${port}`)
    const dataDirectory = join(directory, 'data')
    const logFile = join(directory, 'server.log')
    await mkdir(dataDirectory, { recursive: true })
    const command = [
      ...commandInRoot(root, 'usr/bin/redis-server'),
      '--port',
      `${port}`,
      '--bind',
      '127.0.0.1',
      '--dir',
      dataDirectory,
      '--save',
      '',
      '--appendonly',
      'no',
      ...(options.extraArguments ?? []),
    ]
    return new RedisServer({
      name: `redis@${version}`,
      version,
      port,
      directory,
      dataDirectory,
      logFile,
      launch: { command, workingDirectory: directory, logFile },
      ready: () => answersPing(port),
      report,
    })
  })
}

/** The private root of a version, fetched when it is not in the cache yet. */
export async function fetchRedis(version: string, report: Report): Promise<string> {
  const suite = suites[version]
  if (suite === undefined)
    throw new Error(`there is no redis@${version}; there are ${redisVersions.join(', ')}`)
  const server = `redis@${version}`
  const packages = {
    server,
    suite,
    packages: ['redis-server'],
    withDependencies: true,
    bytesExpected: 15_000_000,
  }
  return await cached(`redis-${version}`, report, (filling) => fillFromPackages(packages, filling, report))
}

/** Also by asking for a password. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write('PING\r\n'))
    const answer = (isReady: boolean): void => {
      socket.destroy()
      resolve(isReady)
    }
    socket.once('data', (bytes) => answer(/^(\+PONG|-NOAUTH)/.test(bytes.toString())))
    socket.once('error', () => answer(false))
  })
}
