import { startElasticsearch } from './elasticsearch.ts'
import { chooseElasticsearchVersion, fetchElasticsearch } from './elasticsearch-programs.ts'
import { chooseKafkaVersion, fetchKafka, kafkaVersions, startKafka } from './kafka.ts'
import { fetchMariadb, mariadbVersions, startMariadb } from './mariadb.ts'
import { fetchMysql, mysqlVersions, startMysql } from './mysql.ts'
import { chooseOpensearchVersion, fetchOpensearch, startOpensearch } from './opensearch.ts'
import type { Report } from './progress.ts'
import { fetchRedis, redisVersions, startRedis } from './redis.ts'
import type { Profile, Server } from './server.ts'

/** What every kind of server is started with. */
export interface StartOptions {
  readonly version?: string
  readonly profile: Profile
  readonly directory: string
  readonly report: Report
  readonly docker: boolean
}

/** A kind of server: how it is fetched and started. A new kind is a file of its own and a line in `kinds`. */
export interface Kind {
  /** The versions to ask for; the first one is meant when none is named. */
  readonly versions: readonly string[]
  /** Fetches the programs into the cache. */
  readonly fetch: (version: string | undefined, report: Report) => Promise<unknown>
  readonly start: (options: StartOptions) => Promise<Server>
}

export const kinds = {
  mysql: {
    versions: mysqlVersions,
    fetch: async (version, report) => fetchMysql(version ?? '9.7', report),
    start: startMysql,
  },
  mariadb: {
    versions: mariadbVersions,
    fetch: async (version, report) => fetchMariadb(version ?? '10.11', report),
    start: startMariadb,
  },
  elasticsearch: {
    versions: ['9', '8', '7'],
    fetch: async (version, report) => fetchElasticsearch(await chooseElasticsearchVersion(version), report),
    start: startElasticsearch,
  },
  opensearch: {
    versions: ['3', '2', '1'],
    fetch: async (version, report) => fetchOpensearch(chooseOpensearchVersion(version), report),
    start: startOpensearch,
  },
  kafka: {
    versions: kafkaVersions,
    fetch: async (version, report) => fetchKafka(chooseKafkaVersion(version), report),
    start: startKafka,
  },
  redis: {
    versions: redisVersions,
    fetch: async (version, report) => fetchRedis(version ?? '7.0', report),
    start: startRedis,
  },
} as const satisfies Record<string, Kind>

export type KindName = keyof typeof kinds

/** One server that somebody asked for by name. */
export interface Request {
  /** The name as it was given, such as `mysql@8.0`. */
  readonly name: string
  readonly kind: KindName
  readonly version?: string
  /** Whether it replicates from the stack's other server of its kind. */
  readonly replica: boolean
}

/** Every name that can be asked for. */
export function knownNames(): readonly string[] {
  const versioned = Object.entries(kinds).flatMap(([kind, { versions }]) => [
    kind,
    ...versions.map((version) => `${kind}@${version}`),
  ])
  return [...versioned, replicaName]
}

export const replicaName = 'mysql-replica'

/** What a name such as `mysql`, `mysql@8.0` or `mysql-replica` asks for. Throws with the known names otherwise. */
export function parseName(name: string): Request {
  if (name === replicaName) return { name, kind: 'mysql', replica: true }
  const [kindName = '', version, ...rest] = name.split('@')
  const kind = Object.keys(kinds).find((known): known is KindName => known === kindName)
  const known = kind !== undefined && (version === undefined || isOffered(kind, version))
  if (!known || rest.length > 0) {
    throw new Error(`there is no server "${name}"; there are ${knownNames().join(', ')}`)
  }
  return { name, kind, replica: false, ...(version === undefined ? {} : { version }) }
}

/** Names without repetition, each replica after its source, which is added when it was not named. */
export function parseNames(names: readonly string[]): readonly Request[] {
  const requests = [...new Set(names)].map(parseName)
  const replica = requests.find((request) => request.replica)
  if (replica === undefined) return requests
  const others = requests.filter((request) => request !== replica)
  const hasSource = others.some((request) => request.kind === replica.kind)
  return [...(hasSource ? [] : [parseName(replica.kind)]), ...others, replica]
}

function isOffered(kind: KindName, version: string): boolean {
  const { versions }: Kind = kinds[kind]
  return versions.includes(version)
}
