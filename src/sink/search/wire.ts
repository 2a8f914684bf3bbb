/** A pool of connections to the nodes of a cluster, as a product's client keeps it. */
import type { Readable } from 'node:stream'
import type { ConnectionOptions } from 'node:tls'
import type { Call } from './search-client.ts'

export interface WireOptions {
  readonly nodes: readonly URL[]
  /** Of each request. */
  readonly headers: Readonly<Record<string, string>>
  readonly tls: Pick<ConnectionOptions, 'ca' | 'rejectUnauthorized' | 'allowPartialTrustChain'> | undefined
  /** In place of a header, where requests are signed. */
  readonly signing: Signing | undefined
  readonly requestTimeoutMs: number
  readonly compress: boolean
  /** Ask the cluster for its other nodes, again and again. */
  readonly discover: boolean
}

/** AWS Signature Version 4. */
export interface Signing {
  readonly region: string
  readonly service: 'es' | 'aoss'
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | undefined
}

export interface WireAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** As it comes in; to be read to its end, or destroyed. */
  readonly body: Readable
  /** Makes other nodes the better choice for the next call, or this one as good as they. */
  readonly judge: (serves: boolean) => void
}

export interface Wire {
  /** The nodes that serve, as far as is known; all of them where none does. */
  nodes(): readonly string[]
  /**
   * Goes to the node that is named, otherwise to each in turn. The body is given as bytes or text and not looked at. Throws
   * the client's error when no answer begins.
   */
  request(
    call: Call,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
    node?: string,
  ): Promise<WireAnswer>
  close(): Promise<void>
}

/** A connection of a client's pool, as both clients know it. */
interface Pooled {
  readonly url: URL
  readonly status: string
  readonly roles?: Roles
}

interface Roles {
  readonly master?: boolean
  readonly cluster_manager?: boolean
  readonly data?: boolean
  readonly ingest?: boolean
}

/** Those that serve, as far as is known; all of them where none does. */
export function servingNodes(pooled: readonly Pooled[]): readonly string[] {
  const useful = pooled.filter((each) => !isMasterAlone(each))
  const serving = useful.filter(({ status }) => status === 'alive')
  return (serving.length > 0 ? serving : useful).map(({ url }) => url.href)
}

/** Such a node may be among those that a cluster names; no documents are sent to it. */
function isMasterAlone({ roles }: Pooled): boolean {
  const leads = roles?.master === true || roles?.cluster_manager === true
  return leads && roles.data === false && roles.ingest === false
}

/** A node that failed is tried again after so long, twice as long each further time, up to the fourth. */
export const deadForMs = 2000
export const deadDoublingsMax = 3
export const discoverEveryMs = 60_000
