/** What a node of Elasticsearch and one of OpenSearch have in common: its folders, its JVM, and when it serves. */
import { chown, cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './command.ts'
import type { Launch } from './guarded-process.ts'
import type { Jdk } from './jdk.ts'
import { freePort } from './ports.ts'
import type { Report } from './progress.ts'
import { Server, type Blueprint, type Profile } from './server.ts'

/** A node that is to be started, and the folder that is its own. */
export interface SearchNode {
  readonly version: string
  readonly port: number
  readonly directory: string
  /** The unprivileged user that runs it, where this process is root's. */
  readonly userId: number | undefined
  readonly jdk: Jdk
  /** Its programs, where that user can read them. */
  readonly home: string
}

/** Elasticsearch refuses to run as root; root runs it as this user, whom Debian and others call nobody. */
export const serverUserId = process.getuid?.() === 0 ? 65_534 : undefined

/**
 * A place of the programs that the server's user can read: root's cache usually lies in root's home, which is closed to
 * others, so that root copies the tree to the run's folder.
 */
export async function reachableTree(tree: string, directory: string): Promise<string> {
  if (serverUserId === undefined) return tree
  const copy = join(directory, 'programs')
  await cp(tree, copy, { recursive: true })
  await run('chmod', ['-R', 'a+rX', copy])
  return copy
}

/** Makes the folders of a node, with a configuration that logs to its standard output. */
export async function prepareNode(node: SearchNode, configurationFile: string): Promise<void> {
  for (const name of ['.', 'config', 'data', 'logs', 'tmp']) {
    const path = join(node.directory, name)
    await mkdir(path, { recursive: true })
    if (node.userId !== undefined) await chown(path, node.userId, node.userId)
  }
  await writeFile(join(node.directory, 'config', configurationFile), '')
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

/** A server of either product. */
export class SearchServer extends Server {
  /** Where it answers, without a trailing slash. */
  readonly url: string
  override readonly urls: Readonly<Record<string, string>>

  constructor(blueprint: Blueprint) {
    super(blueprint)
    this.url = `http://${this.host}:${blueprint.port}`
    this.urls = { url: this.url }
  }
}

/** What a node is started and started again by. */
export function nodeBlueprint(
  product: string,
  { version, port, directory }: SearchNode,
  launch: Launch,
  report: Report,
): Blueprint {
  return {
    name: `${product}@${version}`,
    version,
    port,
    directory,
    dataDirectory: join(directory, 'data'),
    logFile: launch.logFile,
    launch,
    ready: () => isServing(port),
    report,
  }
}

/** Settings of a node that is alone, but for those that somebody asks for. */
export async function nodeSettings(
  { directory, port }: SearchNode,
  transportPort?: number,
): Promise<Record<string, string>> {
  return {
    'path.data': join(directory, 'data'),
    'path.logs': join(directory, 'logs'),
    'cluster.name': `millrace-${port}`,
    'node.name': 'node-1',
    'http.host': '127.0.0.1',
    'http.port': String(port),
    'transport.host': '127.0.0.1',
    'transport.port': String(transportPort ?? (await freePort())),
    'discovery.type': 'single-node',
    'cluster.routing.allocation.disk.threshold_enabled': 'false',
  }
}

/** Of every node, whatever its product. */
export const commonJvmOptions = [
  '-Xss1m',
  '-XX:+ExitOnOutOfMemoryError',
  '-XX:-UsePerfData',
  '-XX:-OmitStackTraceInFastThrow',
  '-XX:MaxDirectMemorySize=256m',
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

/** Heap and compiler: the profile decides what is not given. */
export function profileJvmOptions(options: {
  readonly profile?: Profile
  readonly heap?: string
}): readonly string[] {
  const heap = heapOf(options)
  const fast = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
  return [`-Xms${heap}`, `-Xmx${heap}`, ...(options.profile === 'bench' ? ['-XX:+UseG1GC'] : fast)]
}

export function heapOf(options: { readonly profile?: Profile; readonly heap?: string }): string {
  return options.heap ?? (options.profile === 'bench' ? '1g' : '384m')
}

/** Green or yellow says that the node has elected a master and serves. */
export async function isServing(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/_cluster/health`, {
    signal: AbortSignal.timeout(5000),
  })
  const health = (await response.json()) as { readonly status?: string }
  return response.ok && (health.status === 'green' || health.status === 'yellow')
}
