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
  /** The cluster of this server is joined, as its second broker. */
  readonly joins?: KafkaServer
  /** Settings of the broker beside those that the stack needs itself. */
  readonly settings?: Readonly<Record<string, string>>
  /** Further listeners by name, beside the one that asks clients for nothing. */
  readonly listeners?: Readonly<Record<string, Listener>>
  /** Users with SCRAM credentials, which exist before the first start. */
  readonly scramUsers?: Readonly<Record<string, string>>
  /** Refused: brokers are processes of this machine. */
  readonly docker?: boolean
  /** An existing folder for all that belongs to this run. */
  readonly directory: string
  readonly report?: Report
}

/** One more way to a broker. */
export interface Listener {
  readonly protocol: 'PLAINTEXT' | 'SASL_PLAINTEXT' | 'SSL' | 'SASL_SSL'
  /** Settings of this listener alone, without the `listener.name.NAME.` in front. */
  readonly settings?: Readonly<Record<string, string>>
  /** The port that clients are told, where something stands between: made for the broker's own. */
  readonly advertised?: (port: number) => Promise<number>
}

export class KafkaServer extends Server {
  /** Where clients find it: host:port. */
  readonly broker: string
  override readonly urls: Readonly<Record<string, string>>
  /** Who decides in the cluster, as further brokers are told. */
  readonly quorum: string
  readonly #listeners: Readonly<Record<string, number>>

  constructor(
    blueprint: Blueprint,
    { listeners, quorum }: { readonly listeners: Readonly<Record<string, number>>; readonly quorum: string },
  ) {
    super(blueprint)
    this.quorum = quorum
    this.broker = `${this.host}:${blueprint.port}`
    this.urls = { broker: this.broker }
    this.#listeners = listeners
  }

  /** Where clients find a further listener: host:port. */
  listener(name: string): string {
    const port = this.#listeners[name]
    if (port === undefined) throw new Error(`${this.name} has no listener ${name}`)
    return `${this.host}:${port}`
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
    const further = await Promise.all(Object.entries(options.listeners ?? {}).map(openListener))
    const controller = await freePort()
    const quorum = options.joins?.quorum ?? `1@127.0.0.1:${controller}`
    const settings = await settingsOf({ port, directory, further, controller, quorum }, options)
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
    await writeFile(properties, `${lines.join('\n')}\n`)
    await writeFile(join(directory, 'log4j2.properties'), logging)
    await writeFile(join(directory, 'log4j.properties'), loggingBefore4)
    const program = { jdk, jars, directory }
    await format(program, { version, properties, users: options.scramUsers ?? {} })
    const listeners = Object.fromEntries(further.map(({ name, advertised }) => [name, advertised]))
    const blueprint = {
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
    }
    return new KafkaServer(blueprint, { listeners, quorum })
  })
}

interface OpenedListener {
  readonly name: string
  readonly port: number
  readonly advertised: number
  readonly listener: Listener
}

async function openListener([name, listener]: readonly [string, Listener]): Promise<OpenedListener> {
  const port = await freePort()
  return { name, port, advertised: (await listener.advertised?.(port)) ?? port, listener }
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

interface Addresses {
  readonly port: number
  readonly directory: string
  readonly further: readonly OpenedListener[]
  readonly controller: number
  readonly quorum: string
}

async function settingsOf(
  { port, directory, further, controller, quorum }: Addresses,
  { settings, joins }: KafkaOptions,
): Promise<Readonly<Record<string, string>>> {
  const inner = await freePort()
  const own = [
    { name: 'CLIENTS', port, advertised: port, protocol: 'PLAINTEXT' },
    { name: 'INNER', port: inner, advertised: inner, protocol: 'PLAINTEXT' },
    ...further.map(({ name, port: at, advertised, listener: { protocol } }) => ({
      name: name.toUpperCase(),
      port: at,
      advertised,
      protocol,
    })),
  ]
  const listed = (shown: (listener: (typeof own)[number]) => string): string => own.map(shown).join(',')
  const listeners = listed(({ name, port: at }) => `${name}://127.0.0.1:${at}`)
  return {
    'process.roles': joins === undefined ? 'broker,controller' : 'broker',
    'node.id': joins === undefined ? '1' : '2',
    'controller.quorum.voters': quorum,
    listeners: joins === undefined ? `${listeners},CONTROLLER://127.0.0.1:${controller}` : listeners,
    'advertised.listeners': listed(({ name, advertised }) => `${name}://127.0.0.1:${advertised}`),
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': `CONTROLLER:PLAINTEXT,${listed(({ name, protocol }) => `${name}:${protocol}`)}`,
    'inter.broker.listener.name': 'INNER',
    'log.dirs': join(directory, 'data'),
    ...small,
    ...Object.fromEntries(further.flatMap(settingsOfListener)),
    ...settings,
  }
}

function settingsOfListener({ name, listener }: OpenedListener): readonly (readonly [string, string])[] {
  return Object.entries(listener.settings ?? {}).map(([key, value]) => [
    `listener.name.${name.toLowerCase()}.${key}`,
    value,
  ])
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
