import { join } from 'node:path'
import { containerBlueprint } from './docker.ts'
import { elasticsearchLaunch } from './elasticsearch-launch.ts'
import { chooseElasticsearchVersion, elasticsearchJdk, fetchElasticsearch } from './elasticsearch-programs.ts'
import { freePort } from './ports.ts'
import { silent, type Report } from './progress.ts'
import {
  heapOf,
  isServing,
  prepareNode,
  reachableTree,
  serverUserId,
  type SearchNode,
} from './search-node.ts'
import { Server, startOnFreePort, type Blueprint, type Profile } from './server.ts'

export interface ElasticsearchOptions {
  readonly version?: string
  readonly profile?: Profile
  /** The heap, such as `512m`; the profile decides where it is not given. */
  readonly heap?: string
  /** Settings of the node beside those that the stack needs itself. */
  readonly settings?: Readonly<Record<string, string>>
  /** Ports that were chosen before, of nodes that must know each other's. */
  readonly ports?: { readonly http: number; readonly transport: number }
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
  const jdk = await elasticsearchJdk(version)
  return await startOnFreePort(async () => {
    const port = options.ports?.http ?? (await freePort())
    const directory = join(options.directory, `elasticsearch-${port}`)
    const home = await reachableTree(tree, directory)
    const node: SearchNode = { version, port, directory, userId: serverUserId, jdk, home }
    await prepareNode(node, 'elasticsearch.yml')
    const settings = await settingsOf(node, options)
    return new ElasticsearchServer({
      name: `elasticsearch@${version}`,
      version,
      port,
      directory,
      dataDirectory: join(directory, 'data'),
      logFile: join(directory, 'logs', 'console.log'),
      launch: await elasticsearchLaunch(node, { ...options, settings }),
      ready: () => isServing(port),
      report,
    })
  })
}

async function settingsOf(node: SearchNode, options: ElasticsearchOptions): Promise<Record<string, string>> {
  return {
    'path.home': node.home,
    'path.data': join(node.directory, 'data'),
    'path.logs': join(node.directory, 'logs'),
    'cluster.name': `millrace-${node.port}`,
    'node.name': 'node-1',
    'http.host': '127.0.0.1',
    'http.port': String(node.port),
    'transport.host': '127.0.0.1',
    'transport.port': String(options.ports?.transport ?? (await freePort())),
    'discovery.type': 'single-node',
    'cluster.routing.allocation.disk.threshold_enabled': 'false',
    ...options.settings,
  }
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
