/** One client for all products: finds out what it talks to, keeps time, and takes new credentials when the old ones fail. */
import { pipeline, type Readable } from 'node:stream'
import { createUnzip } from 'node:zlib'
import { Failure, messageOf } from '../../change/failure.ts'
import { dialectOf, refusalOf, releaseOf, type Dialect, type Product, type Release } from './dialect.ts'
import { elasticsearchWire, isOtherProduct } from './elasticsearch.ts'
import { opensearchWire } from './opensearch.ts'
import { failureOf as failureOfAnswer } from './outcomes.ts'
import { pinnedAuthority } from './pinned-authority.ts'
import type { Answer, Call, SearchClient } from './search-client.ts'
import { unlimited, type Throttle } from '../sink.ts'
import type { Signing, Wire, WireAnswer, WireOptions } from './wire.ts'

export interface SearchSettings {
  /** undefined = the server is asked; none = no search server at all, but one that takes the same kinds of requests. */
  readonly product: Product | 'none' | undefined
  /** `http://host:9200`; several nodes of one cluster. Names and passwords in them count when `authentication` is none. */
  readonly nodes: readonly string[]
  readonly authentication: Authentication | undefined
  readonly tls: TlsOptions | undefined
  /** A call that is not answered in this time has failed. */
  readonly requestTimeoutMs: number
  /** Compress requests and answers. */
  readonly compress: boolean
  /** Ask the cluster for its other nodes. */
  readonly discover: boolean
}

export type Authentication =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'apiKey'; readonly apiKey: string }
  | { readonly kind: 'bearer'; readonly token: string }
  | ({ readonly kind: 'aws' } & Signing)

interface TlsOptions {
  /** PEM text of the authority that signed the servers' certificates. */
  readonly ca?: string
  /** SHA-256 of that authority's certificate in hex, with or without colons; stands in for `ca`. */
  readonly fingerprint?: string
  /** false = any certificate will do. */
  readonly verify: boolean
}

/**
 * Nothing is sent before the first call. Writes keep to the throttle, at the node that each goes to. `reread` gives the
 * settings as they are now; it is asked when the server refuses who we are or we refuse who it is, so that what was replaced
 * on disk counts without a restart. Throws a Failure of kind `configuration`.
 */
export function connectSearch(
  settings: SearchSettings,
  throttle: Throttle = unlimited,
  reread: () => SearchSettings = () => settings,
): SearchClient {
  for (const node of settings.nodes) nodeOf(node)
  return new ConnectedClient(settings, throttle, reread)
}

interface Connected {
  readonly wire: Wire
  readonly dialect: Dialect
}

class ConnectedClient implements SearchClient {
  readonly #throttle: Throttle
  readonly #reread: () => SearchSettings
  #settings: SearchSettings
  #connected: Promise<Connected> | undefined
  #chosen = 0

  constructor(settings: SearchSettings, throttle: Throttle, reread: () => SearchSettings) {
    this.#settings = settings
    this.#throttle = throttle
    this.#reread = reread
  }

  async dialect(signal: AbortSignal): Promise<Dialect> {
    return await this.#inTime(signal, async (ending) => (await this.#connection(ending)).dialect)
  }

  async send(call: Call, signal: AbortSignal): Promise<Answer> {
    if (call.writes !== true) return await this.#send(call, undefined, signal)
    const bytes = Buffer.byteLength(call.body ?? '')
    for (;;) {
      const node = this.#leastBusy(await this.#nodes(signal))
      const answer = await this.#throttle.pass({ node, bytes }, signal, async () => {
        // While it waited the node may have gone, and others may still be there.
        const nodes = await this.#nodes(signal)
        return nodes.includes(node) ? await this.#send(call, node, signal) : undefined
      })
      if (answer !== undefined) return answer
    }
  }

  async close(): Promise<void> {
    const connected = await this.#connected?.catch(() => undefined)
    await connected?.wire.close()
  }

  async #nodes(signal: AbortSignal): Promise<readonly string[]> {
    return await this.#inTime(signal, async (ending) => (await this.#connection(ending)).wire.nodes())
  }

  /** Of nodes with equally few requests on their way, each in turn. */
  #leastBusy(nodes: readonly string[]): string {
    const load = nodes.map((node) => this.#throttle.onTheWay(node))
    const least = Math.min(...load)
    const idle = nodes.filter((_, at) => load[at] === least)
    return idle[this.#chosen++ % idle.length] ?? ''
  }

  async #send(call: Call, node: string | undefined, signal: AbortSignal): Promise<Answer> {
    return await this.#inTime(signal, async (ending) => {
      const { wire } = await this.#connection(ending)
      const answer = await ask(wire, { call, node }, ending)
      if (answer.status === 401 || (answer.status === 403 && this.#signs)) await this.#renew()
      return answer
    })
  }

  get #signs(): boolean {
    return this.#settings.authentication?.kind === 'aws'
  }

  async #inTime<T>(signal: AbortSignal, work: (ending: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    const { requestTimeoutMs } = this.#settings
    const ending = new AbortController()
    const abort = (): void => ending.abort()
    const timer = setTimeout(abort, requestTimeoutMs)
    signal.addEventListener('abort', abort, { once: true })
    try {
      return await work(ending.signal)
    } catch (error) {
      signal.throwIfAborted()
      if (ending.signal.aborted)
        throw new Failure('transient', `no answer within ${requestTimeoutMs / 1000} s`)
      const failure = failureOf(error)
      if (isMistrust(failure)) await this.#renew()
      throw failure
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    }
  }

  #connection(signal: AbortSignal): Promise<Connected> {
    this.#connected ??= this.#connect(signal).catch((error: unknown) => {
      this.#connected = undefined
      throw error
    })
    return this.#connected
  }

  async #connect(signal: AbortSignal): Promise<Connected> {
    const options = await wireOptionsOf(this.#settings, signal)
    const { product } = this.#settings
    if (product === 'elasticsearch')
      return {
        wire: made(() => elasticsearchWire(options)),
        dialect: dialectOf({ product, version: undefined }),
      }
    if (product === 'none') return { wire: made(() => opensearchWire(options)), dialect: dialectOf(unknown) }
    // The client of OpenSearch takes any server's answers; the other one refuses products that are not its own.
    const first = made(() => opensearchWire(options))
    try {
      const release = await identify(first, product, signal)
      const dialect = dialectOf(release)
      if (release.product === 'opensearch') return { wire: first, dialect }
      await first.close()
      return { wire: made(() => elasticsearchWire(options)), dialect }
    } catch (error) {
      await first.close()
      if (error instanceof Failure && error.kind === 'unauthorised') await this.#renew()
      throw error
    }
  }

  /** Connects anew where the settings are others by now. What is under way on the old connections is cut short. */
  async #renew(): Promise<void> {
    let settings: SearchSettings
    try {
      settings = this.#reread()
    } catch (error) {
      // A file that is being replaced: the next refusal asks again.
      if (error instanceof Failure) return
      throw error
    }
    if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return
    const old = this.#connected
    this.#settings = settings
    this.#connected = undefined
    void old?.then(({ wire }) => wire.close()).catch(ignored)
  }
}

const unknown: Release = { product: 'opensearch', version: undefined }

/** The client's own refusal of options is a mistake of the settings. */
function made(make: () => Wire): Wire {
  try {
    return make()
  } catch (error) {
    throw new Failure('configuration', `the target's settings do not work together: ${messageOf(error)}`)
  }
}

/** Each node is asked, until one answers. */
async function identify(wire: Wire, product: Product | undefined, signal: AbortSignal): Promise<Release> {
  for (let others = wire.nodes().length - 1; ; others--) {
    try {
      return await introduce(wire, product, signal)
    } catch (error) {
      if (others === 0 || signal.aborted || failureOf(error).kind !== 'transient') throw error
    }
  }
}

async function introduce(wire: Wire, product: Product | undefined, signal: AbortSignal): Promise<Release> {
  const asked = await wire.request({ method: 'GET', path: '/' }, jsonHeaders, signal)
  const answer = await read(asked, signal)
  // Who may write need not be allowed to ask for the version; a header tells one product from the other.
  if (answer.status === 403 || answer.status === 404) {
    const found = asked.headers['x-elastic-product'] === undefined ? 'opensearch' : 'elasticsearch'
    return { product: product ?? found, version: undefined }
  }
  if (answer.status !== 200) throw failureOfAnswer(answer, 'asking the target for its version')
  const release = releaseOf(answer.text)
  if (release === undefined)
    throw new Failure('configuration', 'what answers there is neither Elasticsearch nor OpenSearch', {
      remedy: 'check the address of the target',
    })
  const refusal = refusalOf(release)
  if (refusal !== undefined) throw new Failure('configuration', refusal, { remedy: 'upgrade the cluster' })
  return { ...release, product: product ?? release.product }
}

async function ask(
  wire: Wire,
  { call, node }: { readonly call: Call; readonly node: string | undefined },
  signal: AbortSignal,
): Promise<Answer> {
  const headers = call.lines === true ? linesHeaders : jsonHeaders
  return await read(await wire.request(call, headers, signal, node), signal)
}

// Plain JSON is understood by every version; the clients' own versioned types are refused by some.
const jsonHeaders = { 'content-type': 'application/json', accept: 'application/json' }
const linesHeaders = { 'content-type': 'application/x-ndjson', accept: 'application/json' }

async function read(answer: WireAnswer, signal: AbortSignal): Promise<Answer> {
  const { status, headers, body, judge } = answer
  const text = await textOf(body, headers['content-encoding'], signal)
  // Answers of a node that cannot serve make others the better choice for the next call.
  judge(status < 502 || status > 504)
  return { status, text }
}

async function textOf(
  stream: Readable,
  encoding: string | readonly string[] | undefined,
  signal: AbortSignal,
): Promise<string> {
  const abort = (): void => void stream.destroy()
  signal.addEventListener('abort', abort, { once: true })
  try {
    const packed = encoding === 'gzip' || encoding === 'deflate'
    const readable = packed ? pipeline(stream, createUnzip(), ignored) : stream
    readable.setEncoding('utf8')
    let text = ''
    for await (const piece of readable) text += String(piece)
    return text
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

// A stream that fails ends the other one with its error, which the reader then meets.
const ignored = (): void => {}

async function wireOptionsOf(settings: SearchSettings, signal: AbortSignal): Promise<WireOptions> {
  const { requestTimeoutMs, compress, discover } = settings
  const nodes = settings.nodes.map(nodeOf)
  const authentication = settings.authentication ?? nodes.find((node) => node.own !== undefined)?.own
  return {
    nodes: nodes.map(({ url }) => url),
    headers: headersOf(authentication),
    signing: authentication?.kind === 'aws' ? authentication : undefined,
    tls: await tlsOf(settings.tls, nodes, signal),
    requestTimeoutMs,
    compress,
    discover,
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

function headersOf(authentication: Authentication | undefined): Readonly<Record<string, string>> {
  switch (authentication?.kind) {
    case 'basic': {
      const { username, password } = authentication
      return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` }
    }
    case 'apiKey':
      return { authorization: `ApiKey ${authentication.apiKey}` }
    case 'bearer':
      return { authorization: `Bearer ${authentication.token}` }
    default:
      return {}
  }
}

async function tlsOf(
  tls: TlsOptions | undefined,
  nodes: readonly Node[],
  signal: AbortSignal,
): Promise<WireOptions['tls']> {
  const node = nodes.find(({ url }) => url.protocol === 'https:')
  if (tls === undefined || node === undefined) return undefined
  if (!tls.verify) return { rejectUnauthorized: false }
  if (tls.fingerprint !== undefined)
    return { ca: await pinnedAuthority(node.url, tls.fingerprint, signal), allowPartialTrustChain: true }
  return tls.ca === undefined ? undefined : { ca: tls.ca }
}

/** By the message alone: the clients' errors hold the whole request, with the credentials. */
function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error
  const message = messageOf(error)
  if (isOtherProduct(error))
    return new Failure('configuration', 'what answers there is not Elasticsearch', {
      remedy: 'check the address of the target; a proxy must let the header X-Elastic-Product pass',
    })
  if (certificateTrouble.test(message))
    return new Failure('transient', `the server's certificate is not trusted: ${message}`, {
      remedy: 'give the authority that signed it as tls.ca, or its SHA-256 fingerprint as tls.fingerprint',
    })
  return new Failure('transient', `no answer: ${message}`)
}

/** Who answers is not whom we trust: its certificate may have been replaced, and the file that we trust with it. */
function isMistrust({ kind, message }: Failure): boolean {
  return (kind === 'transient' || kind === 'unauthorised') && certificateTrouble.test(message)
}

const certificateTrouble = /certificate|self.signed|altnames|fingerprint/i
