import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { run } from './command.ts'
import { needJdk, type Jdk } from './jdk.ts'
import { fetchDependencies } from './maven.ts'
import { freePort } from './ports.ts'
import { silent, type Report } from './progress.ts'
import { Server, startOnFreePort, type Blueprint, type Profile } from './server.ts'

export interface KafkaOptions {
  readonly version?: string
  readonly profile?: Profile
  /** Settings of the broker beside those that the stack needs itself. */
  readonly settings?: Readonly<Record<string, string>>
  /** Clients say who they are: the protocol of their listener, and what it needs. */
  readonly listener?: { readonly protocol: 'SASL_PLAINTEXT' | 'SSL' | 'SASL_SSL' }
  /** Users with SCRAM credentials, which exist before the first start. */
  readonly scramUsers?: Readonly<Record<string, string>>
  /** Refused: brokers are processes of this machine. */
  readonly docker?: boolean
  /** An existing folder for all that belongs to this run. */
  readonly directory: string
  readonly report?: Report
}

export class KafkaServer extends Server {
  /** Where clients find it: host:port. */
  readonly broker: string
  override readonly urls: Readonly<Record<string, string>>

  constructor(blueprint: Blueprint) {
    super(blueprint)
    this.broker = `${this.host}:${blueprint.port}`
    this.urls = { broker: this.broker }
  }
}

export const kafkaVersions = ['4.3', '3.9']

const releases: Readonly<Record<string, string>> = { '4.3': '4.3.1', '3.9': '3.9.2' }

/** Starts one broker on 127.0.0.1, which is its own controller, and resolves when it serves. */
export async function startKafka(options: KafkaOptions): Promise<KafkaServer> {
  const report = options.report ?? silent
  const version = chooseKafkaVersion(options.version)
  if (options.docker === true) throw new Error('kafka is started as a process only: leave out --docker')
  const jars = await fetchKafka(version, report)
  const jdk = await needJdk(`kafka@${version}`, { fits: ({ feature }) => feature >= 17, words: 'Java 17' })
  return await startOnFreePort(async () => {
    const port = await freePort()
    const directory = join(options.directory, `kafka-${port}`)
    const properties = join(directory, 'server.properties')
    const logFile = join(directory, 'server.log')
    await mkdir(directory, { recursive: true })
    const settings = await settingsOf({ port, directory }, options)
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
    await writeFile(properties, `${lines.join('\n')}\n`)
    await writeFile(join(directory, 'log4j2.properties'), logging)
    await writeFile(join(directory, 'log4j.properties'), loggingBefore4)
    const program = { jdk, jars, directory }
    await format(program, { version, properties, users: options.scramUsers ?? {} })
    return new KafkaServer({
      name: `kafka@${version}`,
      version,
      port,
      directory,
      dataDirectory: join(directory, 'data'),
      logFile,
      launch: {
        command: commandOf(program, engines[options.profile ?? 'test'], ['kafka.Kafka', properties]),
        workingDirectory: directory,
        logFile,
      },
      ready: () => accepts(port),
      report,
    })
  })
}

/** The release that a version means; the newest where none is asked for. */
export function chooseKafkaVersion(requested: string | undefined): string {
  const version = releases[requested ?? '4.3'] ?? Object.values(releases).find((each) => each === requested)
  if (version === undefined) {
    throw new Error(`there is no kafka@${requested}; there are ${kafkaVersions.join(', ')}`)
  }
  return version
}

/** The folder with the jars of a version, fetched when it is not in the cache yet. */
export async function fetchKafka(version: string, report: Report): Promise<string> {
  return await cached(`kafka-${version}`, report, async ({ tree, scratch }) => {
    const artifacts = [
      { group: 'org.apache.kafka', name: 'kafka_2.13', version },
      { group: 'org.apache.kafka', name: 'kafka-tools', version },
    ]
    const wanted = { server: `kafka@${version}`, artifacts, bytesExpected: 55_000_000 }
    await fetchDependencies(wanted, { scratch, into: tree }, report)
  })
}

/** One broker for a test: little memory, few threads, nothing replicated. */
const small: Readonly<Record<string, string>> = {
  'offsets.topic.num.partitions': '4',
  'offsets.topic.replication.factor': '1',
  'transaction.state.log.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'share.coordinator.state.topic.num.partitions': '1',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  'num.network.threads': '2',
  'num.io.threads': '4',
  'num.recovery.threads.per.data.dir': '1',
  'log.cleaner.threads': '1',
  'log.cleaner.dedupe.buffer.size': '16777216',
  'auto.create.topics.enable': 'false',
  'controlled.shutdown.enable': 'false',
}

async function settingsOf(
  { port, directory }: { readonly port: number; readonly directory: string },
  { listener, settings }: KafkaOptions,
): Promise<Readonly<Record<string, string>>> {
  const controller = await freePort()
  const inner = await freePort()
  const protocol = listener?.protocol ?? 'PLAINTEXT'
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    listeners: `CLIENTS://127.0.0.1:${port},INNER://127.0.0.1:${inner},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `CLIENTS://127.0.0.1:${port},INNER://127.0.0.1:${inner}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': `CONTROLLER:PLAINTEXT,INNER:PLAINTEXT,CLIENTS:${protocol}`,
    'inter.broker.listener.name': 'INNER',
    'log.dirs': join(directory, 'data'),
    ...small,
    ...settings,
  }
}

interface Program {
  readonly jdk: Jdk
  readonly jars: string
  readonly directory: string
}

/** What starts fast and stays small, or serves fast. */
const engines: Readonly<Record<Profile, readonly string[]>> = {
  test: ['-Xmx320m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'],
  bench: ['-Xmx1g'],
}

function commandOf(
  { jdk, jars, directory }: Program,
  engine: readonly string[],
  words: readonly string[],
): string[] {
  return [
    join(jdk.home, 'bin', 'java'),
    ...engine,
    '-XX:+ExitOnOutOfMemoryError',
    '-Djava.awt.headless=true',
    `-Dlog4j2.configurationFile=${join(directory, 'log4j2.properties')}`,
    `-Dlog4j.configuration=file:${join(directory, 'log4j.properties')}`,
    '-cp',
    join(jars, '*'),
    ...words,
  ]
}

async function format(
  program: Program,
  {
    version,
    properties,
    users,
  }: {
    readonly version: string
    readonly properties: string
    readonly users: Readonly<Record<string, string>>
  },
): Promise<void> {
  if (existsSync(join(program.directory, 'data', 'meta.properties'))) return
  const scram = Object.entries(users).flatMap(([name, password]) =>
    ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((kind) => [
      '--add-scram',
      `${kind}=[name=${name},password=${password}]`,
    ]),
  )
  const words = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties, ...scram]
  const [java = '', ...rest] = commandOf(program, engines.test, words)
  await run(java, rest).catch((error: unknown) => {
    throw new Error(`kafka@${version} cannot prepare its data`, { cause: error })
  })
}

const clusterId = 'MkU3OEVBNTcwNTJENDM2Qg'

const logging = `rootLogger.level = info
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
`

const loggingBefore4 = `log4j.rootLogger=INFO, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=[%d] %p %m (%c)%n
`

/** The port opens when the broker may serve. */
function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const answer = (opened: boolean): void => {
      socket.destroy()
      resolve(opened)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}
