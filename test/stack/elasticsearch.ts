import { join } from 'node:path'
import { containerBlueprint } from './docker.ts'
import { elasticsearchLaunch } from './elasticsearch-launch.ts'
import { chooseElasticsearchVersion, elasticsearchJdk, fetchElasticsearch } from './elasticsearch-programs.ts'
import { freePort } from './ports.ts'
import { silent, type Report } from './progress.ts'
import {
  heapOf,
  isServing,
  nodeBlueprint,
  nodeSettings,
  prepareNode,
  reachableTree,
  SearchServer,
  serverUserId,
  type SearchNode,
} from './search-node.ts'
import { startOnFreePort, type Profile } from './server.ts'

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

export class ElasticsearchServer extends SearchServer {}

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
    const settings = {
      'path.home': home,
      ...(await nodeSettings(node, options.ports?.transport)),
      ...options.settings,
    }
    const launch = await elasticsearchLaunch(node, { ...options, settings })
    return new ElasticsearchServer(nodeBlueprint('elasticsearch', node, launch, report))
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
