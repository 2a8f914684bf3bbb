/** Talks to Elasticsearch 7.17, 8 and 9 through the official client, of which only the connections are used. */
import type { Readable } from 'node:stream'
import { Client, ClusterConnectionPool, errors, HttpConnection } from '@elastic/elasticsearch'
import {
  deadDoublingsMax,
  deadForMs,
  discoverEveryMs,
  servingNodes,
  type Wire,
  type WireOptions,
} from './wire.ts'

/** Nothing is sent before the first call. */
export function elasticsearchWire(options: WireOptions): Wire {
  const client = new Client({
    nodes: options.nodes.map((url) => ({ url })),
    headers: { ...options.headers },
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    // Half a CPU second less per million documents than the default connection.
    Connection: HttpConnection,
    ConnectionPool: Pool,
    maxRetries: 0,
    compression: options.compress,
    requestTimeout: options.requestTimeoutMs,
    ...(options.discover ? { sniffOnStart: true, sniffInterval: discoverEveryMs } : {}),
    // An error of the client holds the whole request; ours never show it, so it need not be copied to be cleaned.
    redaction: { type: 'remove' },
  })
  return {
    nodes: () => servingNodes(client.connectionPool.connections),
    request: async ({ method, path, query, body }, headers, signal, node) => {
      // The body comes as a stream so that its reading can be aborted too; the client only aborts before it begins.
      const answer = await client.transport.request<Readable>(
        {
          method,
          path,
          ...(query === undefined ? {} : { querystring: { ...query } }),
          ...(body === undefined ? {} : { body }),
        },
        {
          signal,
          meta: true,
          asStream: true,
          headers: { ...headers },
          ...(node === undefined ? {} : { id: node }),
        },
      )
      const { connection } = answer.meta
      return {
        status: answer.statusCode ?? 0,
        headers: answer.headers ?? {},
        body: answer.body,
        judge: (serves) => {
          if (connection === null) return
          if (serves) client.connectionPool.markAlive(connection)
          else client.connectionPool.markDead(connection)
        },
      }
    },
    close: async () => await client.close(),
  }
}

/** Whether the client refused the answer because another product gave it. */
export function isOtherProduct(error: unknown): boolean {
  return error instanceof errors.ProductNotSupportedError
}

class Pool extends ClusterConnectionPool {
  override resurrectTimeout = deadForMs
  override resurrectTimeoutCutoff = deadDoublingsMax

  /** A request that has the name of a node for its id goes there. */
  override getConnection(
    options: Parameters<ClusterConnectionPool['getConnection']>[0],
  ): ReturnType<ClusterConnectionPool['getConnection']> {
    const next = super.getConnection(options)
    return this.connections.find(({ url }) => url.href === options.requestId) ?? next
  }
}
