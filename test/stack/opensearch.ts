import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cached } from './cache.ts'
import { run } from './command.ts'
import { containerBlueprint } from './docker.ts'
import type { Launch } from './guarded-process.ts'
import { needJdk, type Jdk, type JdkWish } from './jdk.ts'
import { fetchDependencies, type Coordinates } from './maven.ts'
import { freePort } from './ports.ts'
import { silent, type Report } from './progress.ts'
import {
  commonJvmOptions,
  heapOf,
  isServing,
  nodeBlueprint,
  nodeSettings,
  prepareNode,
  profileJvmOptions,
  reachableTree,
  SearchServer,
  serverUserId,
  type SearchNode,
} from './search-node.ts'
import { startOnFreePort, type Profile } from './server.ts'

export interface OpensearchOptions {
  readonly version?: string
  readonly profile?: Profile
  /** The heap, such as `512m`; the profile decides where it is not given. */
  readonly heap?: string
  /** Settings of the node beside those that the stack needs itself. */
  readonly settings?: Readonly<Record<string, string>>
  /** From the official image instead of a process of this machine. */
  readonly docker?: boolean
  /** An existing folder for all that belongs to this run. */
  readonly directory: string
  readonly report?: Report
}

export class OpensearchServer extends SearchServer {}

/** Starts a single node of OpenSearch on 127.0.0.1, without security, and resolves when it is green or yellow. */
export async function startOpensearch(options: OpensearchOptions): Promise<OpensearchServer> {
  const report = options.report ?? silent
  const version = chooseOpensearchVersion(options.version)
  if (options.docker === true) return await startContainer(version, options, report)
  const jars = await fetchOpensearch(version, report)
  const release = releaseOf(version)
  const jdk = await needJdk(`opensearch@${version}`, release.jdk)
  const classes = await compile(version, jars, jdk, report)
  return await startOnFreePort(async () => {
    const port = await freePort()
    const directory = join(options.directory, `opensearch-${port}`)
    const home = await reachableTree(jars, directory)
    const node: SearchNode = { version, port, directory, userId: serverUserId, jdk, home }
    await prepareNode(node, 'opensearch.yml')
    const own = await reachableTree(classes, join(directory, 'main'))
    const launch = await launchOf(node, `${own}:${join(home, '*')}`, options)
    return new OpensearchServer(nodeBlueprint('opensearch', node, launch, report))
  })
}

async function startContainer(
  version: string,
  options: OpensearchOptions,
  report: Report,
): Promise<OpensearchServer> {
  const heap = heapOf(options)
  const container = {
    server: `opensearch@${version}`,
    version,
    image: `opensearchproject/opensearch:${version}`,
    innerPort: 9200,
    innerData: '/usr/share/opensearch/data',
    environment: {
      'discovery.type': 'single-node',
      'cluster.routing.allocation.disk.threshold_enabled': 'false',
      ...options.settings,
      DISABLE_SECURITY_PLUGIN: 'true',
      OPENSEARCH_JAVA_OPTS: `-Xms${heap} -Xmx${heap}`,
    },
    programArguments: [],
    ready: isServing,
  }
  return await startOnFreePort(
    async () => new OpensearchServer(await containerBlueprint(container, options.directory, report)),
  )
}

/** The version a request means: of `undefined`, `1`, `2` or `3`, the one that is offered. */
export function chooseOpensearchVersion(requested: string | undefined): string {
  const known = Object.keys(releases)
  const version = known.find(
    (each) => requested === undefined || each === requested || each.startsWith(`${requested}.`),
  )
  if (version === undefined)
    throw new Error(`there is no opensearch@${requested}; there are ${known.join(', ')}`)
  return version
}

interface Release {
  readonly log4j: string
  readonly jdk: JdkWish
  /** The artifact of each plugin and its class below org.opensearch. */
  readonly plugins: Readonly<Record<string, string>>
  readonly bytesExpected: number
}

const releases: Readonly<Record<string, Release>> = {
  '3.8.0': {
    log4j: '2.25.4',
    jdk: { fits: ({ feature }) => feature >= 21, words: 'JDK 21 or newer' },
    plugins: {
      'transport-netty4-client': 'transport.Netty4ModulePlugin',
      'reindex-client': 'index.reindex.ReindexModulePlugin',
      'lang-painless': 'painless.PainlessModulePlugin',
      'analysis-common': 'analysis.common.CommonAnalysisModulePlugin',
    },
    bytesExpected: 70_000_000,
  },
  '2.19.4': {
    log4j: '2.21.0',
    jdk: { fits: ({ feature }) => feature >= 11 && feature < 24, words: 'JDK 11 to 23' },
    plugins: {
      'transport-netty4-client': 'transport.Netty4Plugin',
      'reindex-client': 'index.reindex.ReindexPlugin',
      'lang-painless': 'painless.PainlessPlugin',
      'analysis-common': 'analysis.common.CommonAnalysisPlugin',
    },
    bytesExpected: 51_000_000,
  },
  // Scripts and the rarer analysers of this version are in no Maven repository.
  '1.3.20': {
    log4j: '2.17.1',
    jdk: { fits: ({ feature }) => feature >= 11 && feature < 18, words: 'JDK 11 to 17' },
    plugins: {
      'transport-netty4-client': 'transport.Netty4Plugin',
      'reindex-client': 'index.reindex.ReindexPlugin',
    },
    bytesExpected: 34_000_000,
  },
}

function releaseOf(version: string): Release {
  const release = releases[version]
  if (release === undefined) throw new Error(`there is no opensearch@${version}`)
  return release
}

/** The folder with the jars of a version, fetched when it is not in the cache yet. */
export async function fetchOpensearch(version: string, report: Report): Promise<string> {
  const { log4j, plugins, bytesExpected } = releaseOf(version)
  const artifacts: readonly Coordinates[] = [
    { group: 'org.opensearch', name: 'opensearch', version },
    ...Object.keys(plugins).map((name) => ({ group: 'org.opensearch.plugin', name, version })),
    { group: 'org.apache.logging.log4j', name: 'log4j-core', version: log4j },
  ]
  return await cached(`opensearch-${version}`, report, async ({ tree, scratch }) => {
    const wanted = { server: `opensearch@${version}`, artifacts, bytesExpected }
    await fetchDependencies(wanted, { scratch, into: tree }, report)
  })
}

/** The folder with the compiled program that starts a node of those jars. */
async function compile(version: string, jars: string, jdk: Jdk, report: Report): Promise<string> {
  const source = fileURLToPath(import.meta.resolve('./opensearch/OpenSearchNode.java'))
  const print = createHash('sha256')
    .update(await readFile(source))
    .digest('hex')
    .slice(0, 12)
  return await cached(`opensearch-node-${version}-${print}`, report, async ({ tree }) => {
    report({ server: `opensearch@${version}`, doing: 'compiling the program that starts it' })
    const javac = join(jdk.home, 'bin', 'javac')
    await run(javac, ['-nowarn', '-proc:none', '-d', tree, '-cp', join(jars, '*'), source])
  })
}

async function launchOf(node: SearchNode, classPath: string, options: OpensearchOptions): Promise<Launch> {
  const { directory, jdk, userId, version } = node
  const settings = { ...(await nodeSettings(node)), ...options.settings }
  return {
    command: [
      join(jdk.home, 'bin', 'java'),
      ...profileJvmOptions(options),
      `-Djava.io.tmpdir=${join(directory, 'tmp')}`,
      ...commonJvmOptions,
      ...(jdk.feature >= 21
        ? ['--enable-native-access=ALL-UNNAMED', '--add-modules=jdk.incubator.vector']
        : []),
      '-cp',
      classPath,
      'OpenSearchNode',
      directory,
      Object.values(releaseOf(version).plugins)
        .map((name) => `org.opensearch.${name}`)
        .join(','),
      ...Object.entries(settings).map(([name, value]) => `${name}=${value}`),
    ],
    workingDirectory: directory,
    logFile: join(directory, 'logs', 'console.log'),
    environment: { LANG: 'C.UTF-8' },
    ...(userId === undefined ? {} : { userId }),
  }
}
