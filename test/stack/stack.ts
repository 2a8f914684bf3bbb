import { needDocker } from './docker.ts'
import { ElasticsearchServer } from './elasticsearch.ts'
import { KafkaServer } from './kafka.ts'
import { kinds, parseNames, replicaName, type Kind, type Request } from './kinds.ts'
import { MariadbServer } from './mariadb.ts'
import { MysqlServer } from './mysql.ts'
import { OpensearchServer } from './opensearch.ts'
import { silent, type Report } from './progress.ts'
import { RedisServer } from './redis.ts'
import { RunDirectory } from './run-directory.ts'
import type { Profile, Server } from './server.ts'

export interface StackOptions {
  /** Names such as `mysql`, `mysql@8.0`, `mysql-replica`, `elasticsearch`. */
  readonly servers: readonly string[]
  /** `test` starts fast and small, `bench` serves fast. */
  readonly profile?: Profile
  /** From official images by Docker, instead of processes of this machine. */
  readonly docker?: boolean
  readonly onProgress?: Report
}

/**
 * Starts real servers, at the same time, each on a free port of 127.0.0.1 with data of its own, and resolves when all
 * serve. They end when the stack is disposed, and at the latest when this process ends, however it ends.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const requests = parseNames(options.servers)
  const report = options.onProgress ?? silent
  const docker = options.docker ?? false
  if (docker) await needDocker()
  const stack = new Stack(await RunDirectory.create())
  const start = async (request: Request) => {
    const kind: Kind = kinds[request.kind]
    const { version } = request
    const common = { profile: options.profile ?? 'test', directory: stack.directory, report, docker }
    return await kind.start({ ...common, ...(version === undefined ? {} : { version }) })
  }
  const results = await Promise.allSettled(requests.map(start))
  for (const [index, result] of results.entries()) {
    if (result.status === 'fulfilled') stack.add(requests[index]?.name ?? result.value.name, result.value)
  }
  try {
    for (const result of results) if (result.status === 'rejected') throw result.reason
    if (stack.names.includes(replicaName)) await stack.mysqlReplica.replicateFrom(stack.mysql)
    return stack
  } catch (failure) {
    await stack[Symbol.asyncDispose]()
    throw failure
  }
}

/** Real servers that belong to this process. `await using` stops them and removes their data. */
export class Stack implements AsyncDisposable {
  readonly #directory: RunDirectory
  readonly #servers = new Map<string, Server>()

  constructor(directory: RunDirectory) {
    this.#directory = directory
  }

  /** A folder of this run, removed at its end. */
  get directory(): string {
    return this.#directory.path
  }

  get names(): readonly string[] {
    return [...this.#servers.keys()]
  }

  get servers(): ReadonlyMap<string, Server> {
    return this.#servers
  }

  /** The MySQL server, of whatever version; the first one where there are several. */
  get mysql(): MysqlServer {
    return this.#first('mysql', (server, name) =>
      server instanceof MysqlServer && name !== replicaName ? server : undefined,
    )
  }

  get mysqlReplica(): MysqlServer {
    return this.#first(replicaName, (server, name) =>
      server instanceof MysqlServer && name === replicaName ? server : undefined,
    )
  }

  get mariadb(): MariadbServer {
    return this.#first('mariadb', (server) => (server instanceof MariadbServer ? server : undefined))
  }

  get elasticsearch(): ElasticsearchServer {
    return this.#first('elasticsearch', (server) =>
      server instanceof ElasticsearchServer ? server : undefined,
    )
  }

  get opensearch(): OpensearchServer {
    return this.#first('opensearch', (server) => (server instanceof OpensearchServer ? server : undefined))
  }

  get kafka(): KafkaServer {
    return this.#first('kafka', (server) => (server instanceof KafkaServer ? server : undefined))
  }

  get redis(): RedisServer {
    return this.#first('redis', (server) => (server instanceof RedisServer ? server : undefined))
  }

  /** Puts a server that was started with special settings under the stack's care. */
  add(name: string, server: Server): void {
    this.#servers.set(name, server)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stops = [...this.#servers.values()].map((server) => server[Symbol.asyncDispose]())
    const results = await Promise.allSettled(stops)
    await this.#directory[Symbol.asyncDispose]()
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  #first<Chosen extends Server>(
    wanted: string,
    choose: (server: Server, name: string) => Chosen | undefined,
  ): Chosen {
    for (const [name, server] of this.#servers) {
      const chosen = choose(server, name)
      if (chosen !== undefined) return chosen
    }
    throw new Error(`the stack has no ${wanted}; it was started with ${this.names.join(', ')}`)
  }
}
