/** Talks to OpenSearch through the official client, of which only the connections and the signer are used. */
import type { IncomingMessage } from 'node:http'
import { Client, ConnectionPool, type ClientOptions } from '@opensearch-project/opensearch'
import { AwsSigv4Signer } from '@opensearch-project/opensearch/aws-v3'
import {
  deadDoublingsMax,
  deadForMs,
  discoverEveryMs,
  servingNodes,
  type Signing,
  type Wire,
  type WireOptions,
} from './wire.ts'

/** Nothing is sent before the first call. Any search server answers it: it does not ask what it talks to. */
export function opensearchWire(options: WireOptions): Wire {
  const client = new Client({
    ...signerOf(options.signing),
    nodes: options.nodes.map((url) => ({ url })),
    headers: { ...options.headers },
    ...(options.tls === undefined ? {} : { ssl: options.tls }),
    maxRetries: 0,
    ...(options.compress ? { compression: 'gzip' } : {}),
    requestTimeout: options.requestTimeoutMs,
    ConnectionPool: Pool,
    ...(options.discover ? { sniffOnStart: true, sniffInterval: discoverEveryMs } : {}),
  })
  return {
    nodes: () => servingNodes(client.connectionPool.connections),
    request: async ({ method, path, query, body }, headers, signal, node) => {
      const asked = client.transport.request(
        {
          method,
          path,
          ...(query === undefined ? {} : { querystring: { ...query } }),
          ...(body === undefined ? {} : { body }),
        },
        {
          asStream: true,
          headers: { ...headers, ...(options.compress ? acceptPacked : {}) },
          ...(node === undefined ? {} : { id: node }),
        },
      )
      const abort = (): void => {
        asked.abort()
      }
      signal.addEventListener('abort', abort, { once: true })
      try {
        const answer = await asked
        // What `asStream` gives.
        const stream = answer.body as unknown as IncomingMessage
        quieten(stream)
        const { connection } = answer.meta
        return {
          status: answer.statusCode ?? 0,
          headers: answer.headers ?? {},
          body: stream,
          judge: (serves) => {
            if (serves) client.connectionPool.markAlive(connection)
            else client.connectionPool.markDead(connection)
          },
        }
      } finally {
        signal.removeEventListener('abort', abort)
      }
    },
    close: async () => await client.close(),
  }
}

class Pool extends ConnectionPool {
  override resurrectTimeout = deadForMs
  override resurrectTimeoutCutoff = deadDoublingsMax

  /** A request that has the name of a node for its id goes there. */
  override getConnection(
    options?: Parameters<ConnectionPool['getConnection']>[0],
  ): ReturnType<ConnectionPool['getConnection']> {
    const next = super.getConnection(options)
    return this.connections.find(({ url }) => url.href === options?.requestId) ?? next
  }
}

const acceptPacked = { 'accept-encoding': 'gzip,deflate' }

/** The client prints errors that come after an answer has begun; whoever reads the answer meets them anyway. */
function quieten(answer: IncomingMessage): void {
  // Node's answers know their requests, though its types do not say so.
  const { req: request } = answer as IncomingMessage & { readonly req?: NodeJS.EventEmitter }
  request?.removeAllListeners('error').on('error', () => {})
}

function signerOf(signing: Signing | undefined): Partial<ClientOptions> {
  if (signing === undefined) return {}
  const { region, service, accessKeyId, secretAccessKey, sessionToken } = signing
  const credentials = {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
  }
  return AwsSigv4Signer({ region, service, getCredentials: () => Promise.resolve(credentials) })
}
