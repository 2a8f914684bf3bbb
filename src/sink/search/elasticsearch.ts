/** Talks to Elasticsearch 7.17, 8 and 9 through the official client, of which only the connections are used. */
import { addAbortSignal, pipeline, type Readable } from 'node:stream'
import { createUnzip } from 'node:zlib'
import { Client, errors, HttpConnection, type ClientOptions } from '@elastic/elasticsearch'
import { Failure } from '../../change/failure.ts'
import { pinnedAuthority } from './pinned-authority.ts'
import type { Answer, Call, PointInTimeCalls, SearchClient } from './search-client.ts'

export interface ElasticsearchOptions {
  /** `http://host:9200`; several nodes of one cluster. Names and passwords in them count when `authentication` is none. */
  readonly nodes: readonly string[]
  readonly authentication: Authentication | undefined
  readonly tls: TlsOptions | undefined
  /** A call that is not answered in this time has failed. */
  readonly requestTimeoutMs: number
  /** Compress requests and answers. */
  readonly compress: boolean
}

export type Authentication =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'apiKey'; readonly apiKey: string }
  | { readonly kind: 'bearer'; readonly token: string }

interface TlsOptions {
  /** PEM text of the authority that signed the servers' certificates. */
  readonly ca?: string
  /** SHA-256 of that authority's certificate in hex, with or without colons; stands in for `ca`. */
  readonly fingerprint?: string
  /** false = any certificate will do. */
  readonly verify: boolean
}

/** Nothing is sent before the first call. Throws a Failure of kind `configuration`. */
export function connectElasticsearch(options: ElasticsearchOptions): SearchClient {
  return new ElasticsearchClient(options, options.nodes.map(nodeOf))
}

class ElasticsearchClient implements SearchClient {
  readonly pointInTime: PointInTimeCalls = {
    open: (index, keepAlive) => ({
      method: 'POST',
      path: `/${encodeURIComponent(index)}/_pit`,
      query: { keep_alive: keepAlive },
    }),
    close: (id) => ({ method: 'DELETE', path: '/_pit', body: JSON.stringify({ id }) }),
  }

  readonly #options: ElasticsearchOptions
  readonly #nodes: readonly Node[]
  #client: Promise<Client> | undefined

  constructor(options: ElasticsearchOptions, nodes: readonly Node[]) {
    this.#options = options
    this.#nodes = nodes
  }

  async send(call: Call, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted()
    const ending = new AbortController()
    const abort = (): void => ending.abort()
    const timer = setTimeout(abort, this.#options.requestTimeoutMs)
    signal.addEventListener('abort', abort, { once: true })
    try {
      return await this.#request(call, ending.signal)
    } catch (error) {
      signal.throwIfAborted()
      if (ending.signal.aborted)
        throw new Failure('transient', `no answer within ${this.#options.requestTimeoutMs / 1000} s`)
      throw failureOf(error)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    }
  }

  async close(): Promise<void> {
    await (await this.#client)?.close()
  }

  async #request(call: Call, signal: AbortSignal): Promise<Answer> {
    const client = await this.#connected(signal)
    const { method, path, query, body } = call
    // The body comes as a stream so that its reading can be aborted too; the client only aborts before it begins.
    const {
      statusCode,
      headers,
      body: stream,
      meta,
    } = await client.transport.request<Readable>(
      {
        method,
        path,
        ...(query === undefined ? {} : { querystring: { ...query } }),
        ...(body === undefined ? {} : { body }),
      },
      { signal, meta: true, asStream: true, headers: call.lines === true ? linesHeaders : jsonHeaders },
    )
    const status = statusCode ?? 0
    const text = await textOf(stream, headers?.['content-encoding'], signal)
    // Answers of a node that cannot serve make others the better choice for the next call.
    if (meta.connection !== null) {
      if (status >= 502 && status <= 504) client.connectionPool.markDead(meta.connection)
      else client.connectionPool.markAlive(meta.connection)
    }
    return { status, text }
  }

  #connected(signal: AbortSignal): Promise<Client> {
    this.#client ??= clientOf(this.#options, this.#nodes, signal).catch((error: unknown) => {
      this.#client = undefined
      throw error
    })
    return this.#client
  }
}

// Plain JSON is understood by every version; the client's own versioned types are refused by some.
const jsonHeaders = { 'content-type': 'application/json', accept: 'application/json' }
const linesHeaders = { 'content-type': 'application/x-ndjson', accept: 'application/json' }

async function textOf(stream: Readable, encoding: string | undefined, signal: AbortSignal): Promise<string> {
  addAbortSignal(signal, stream)
  const readable =
    encoding === 'gzip' || encoding === 'deflate' ? pipeline(stream, createUnzip(), ignored) : stream
  readable.setEncoding('utf8')
  let text = ''
  for await (const piece of readable) text += String(piece)
  return text
}

// A stream that fails ends the other one with its error, which the reader then meets.
const ignored = (): void => {}

async function clientOf(
  options: ElasticsearchOptions,
  nodes: readonly Node[],
  signal: AbortSignal,
): Promise<Client> {
  const authentication = options.authentication ?? nodes.find((node) => node.own !== undefined)?.own
  const tls = await tlsOf(options.tls, nodes, signal)
  try {
    return new Client({
      nodes: nodes.map(({ url }) => ({ url })),
      ...(authentication === undefined ? {} : { auth: authOf(authentication) }),
      ...(tls === undefined ? {} : { tls }),
      // Half a CPU second less per million documents than the default connection.
      Connection: HttpConnection,
      maxRetries: 0,
      compression: options.compress,
      requestTimeout: options.requestTimeoutMs,
      // An error of the client holds the whole request; ours never show it, so it need not be copied to be cleaned.
      redaction: { type: 'remove' },
    })
  } catch (error) {
    throw new Failure('configuration', `the target's settings do not work together: ${messageOf(error)}`)
  }
}

interface Node {
  readonly url: URL
  /** Name and password that the address brought along. */
  readonly own: Authentication | undefined
}

function nodeOf(address: string): Node {
  const url = URL.parse(address)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new Failure('configuration', 'the address of a search server is not an http or https URL', {
      remedy: 'write it as http://host:9200 or https://host:9200',
    })
  const [username, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)]
  url.username = ''
  url.password = ''
  return { url, own: username === '' ? undefined : { kind: 'basic', username, password } }
}

function authOf(authentication: Authentication): NonNullable<ClientOptions['auth']> {
  if (authentication.kind === 'apiKey') return { apiKey: authentication.apiKey }
  if (authentication.kind === 'bearer') return { bearer: authentication.token }
  return { username: authentication.username, password: authentication.password }
}

async function tlsOf(
  tls: TlsOptions | undefined,
  nodes: readonly Node[],
  signal: AbortSignal,
): Promise<ClientOptions['tls']> {
  const node = nodes.find(({ url }) => url.protocol === 'https:')
  if (tls === undefined || node === undefined) return undefined
  if (!tls.verify) return { rejectUnauthorized: false }
  if (tls.fingerprint !== undefined)
    return { ca: await pinnedAuthority(node.url, tls.fingerprint, signal), allowPartialTrustChain: true }
  return tls.ca === undefined ? undefined : { ca: tls.ca }
}

function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error
  const message = messageOf(error)
  if (error instanceof errors.ProductNotSupportedError)
    return new Failure('configuration', 'what answers there is not Elasticsearch', {
      remedy: 'check the address of the target; a proxy must let the header X-Elastic-Product pass',
    })
  if (certificateTrouble.test(message))
    return new Failure('transient', `the server's certificate is not trusted: ${message}`, {
      remedy: 'give the authority that signed it as tls.ca, or its SHA-256 fingerprint as tls.fingerprint',
    })
  return new Failure('transient', `no answer: ${message}`)
}

const certificateTrouble = /certificate|self.signed|altnames|fingerprint/i

/** The message alone: the client's errors hold the whole request, with the credentials. */
function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
