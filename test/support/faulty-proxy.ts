/**
 * Stands between the daemon and the search server, and lets bulk requests fail as they were told to: each fault is for one
 * request; what comes after the last passes.
 *
 *   daemon ──▶ proxy ──▶ search server
 *                └─ refuse, cut in mid-body, answer with half or with another outcome of items, or not at all
 */
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Random } from './random.ts'
import { divide, joined, noRoomError } from './refused-share.ts'

export type Fault =
  /** Answered with this status, by the proxy alone. */
  | { readonly kind: 'status'; readonly status: number; readonly body?: string }
  /** The connection is cut while the request is being sent; the server sees none of it. */
  | { readonly kind: 'cut' }
  /** The server carries it out, and the answer is lost. */
  | { readonly kind: 'lost' }
  /** The server carries it out, and the answer ends in the middle. */
  | { readonly kind: 'half' }
  /** The server carries it out, and every nth item is said to have found no room. */
  | { readonly kind: 'busy'; readonly every: number }
  /** The server carries it out, and the answer has each item twice. */
  | { readonly kind: 'doubled' }
  /** The server carries it out, and the answer comes twice over the connection. */
  | { readonly kind: 'repeated' }
  /** The server carries it out twice, and the second answer counts. */
  | { readonly kind: 'again' }

export class FaultyProxy implements AsyncDisposable {
  /** For the next bulk requests, in order. */
  readonly faults: Fault[] = []
  /** Bulk requests with more bytes are refused with 413. */
  bytesMax = Infinity
  /** This share of the documents is turned away with 429; the server does not see it. */
  refusedShare = 0
  readonly #random = new Random(1)
  readonly #server: Server
  readonly #target: URL
  #met = 0

  private constructor(target: string) {
    this.#target = new URL(target)
    this.#server = createServer((incoming, outgoing) => {
      this.#pass(incoming, outgoing).catch(() => outgoing.destroy())
    })
  }

  /** Listens on a free port of 127.0.0.1. */
  static async start(target: string): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Requests that have met a fault. */
  get met(): number {
    return this.#met
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const fault = isBulk(incoming) ? this.faults.shift() : undefined
    if (fault !== undefined) this.#met++
    if (fault?.kind === 'cut') {
      await once(incoming, 'data')
      incoming.socket.destroy()
      return
    }
    const body = await bytesOf(incoming)
    if (fault?.kind === 'status') refuse(outgoing, fault.status, fault.body)
    else if (isBulk(incoming) && body.length > this.bytesMax) {
      this.#met++
      refuse(outgoing, 413)
    } else answer(outgoing, await this.#carriedOut(incoming, body, fault), fault)
  }

  async #carriedOut(incoming: IncomingMessage, body: Buffer, fault: Fault | undefined): Promise<Answer> {
    if (fault?.kind === 'again') await this.#ask(incoming, body)
    return await this.#askInPart(incoming, body)
  }

  async #askInPart(incoming: IncomingMessage, body: Buffer): Promise<Answer> {
    const share = isBulk(incoming) ? this.refusedShare : 0
    if (share === 0) return await this.#ask(incoming, body)
    const { passed, refused } = divide(body, share, this.#random)
    if (passed.length === 0) return { status: 200, headers: jsonHeaders, text: joined(undefined, refused) }
    const told = await this.#ask(incoming, passed)
    return told.status === 200 ? { ...told, text: joined(told.text, refused) } : told
  }

  async #ask(incoming: IncomingMessage, body: Buffer): Promise<Answer> {
    const { 'transfer-encoding': _, ...headers } = incoming.headers
    const onward = request({
      host: this.#target.hostname,
      port: this.#target.port,
      method: incoming.method,
      path: incoming.url,
      headers: { ...headers, 'content-length': body.length },
    })
    onward.end(body)
    const [response] = (await once(onward, 'response')) as [IncomingMessage]
    const text = (await bytesOf(response)).toString()
    return { status: response.statusCode ?? 502, headers: response.headers, text }
  }
}

function isBulk({ method, url = '' }: IncomingMessage): boolean {
  return method === 'POST' && /\/_bulk(\?|$)/.test(url)
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

function answer(outgoing: ServerResponse, { status, headers, text }: Answer, fault: Fault | undefined): void {
  if (fault?.kind === 'lost') {
    outgoing.destroy()
    return
  }
  if (fault?.kind === 'repeated') {
    outgoing.socket?.write(twice(text))
    return
  }
  const { 'content-length': _, 'transfer-encoding': __, ...rest } = headers
  outgoing.writeHead(status, rest)
  if (fault?.kind === 'half') outgoing.write(text.slice(0, text.length / 2), () => outgoing.destroy())
  else if (fault?.kind === 'doubled') outgoing.end(withItemsTwice(text))
  else outgoing.end(fault?.kind === 'busy' ? withBusyItems(text, fault.every) : text)
}

/** As bytes of the connection. */
function twice(text: string): string {
  const lines = Object.entries(jsonHeaders).map(([name, value]) => `${name}: ${value}\r\n`)
  const length = `content-length: ${Buffer.byteLength(text)}\r\n`
  return `HTTP/1.1 200 OK\r\n${lines.join('')}${length}\r\n${text}`.repeat(2)
}

function refuse(outgoing: ServerResponse, status: number, body = ''): void {
  outgoing.writeHead(status, jsonHeaders)
  outgoing.end(body)
}

const jsonHeaders = { 'content-type': 'application/json', 'x-elastic-product': 'Elasticsearch' }

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

function withItemsTwice(text: string): string {
  const told = JSON.parse(text) as { readonly items: readonly object[] }
  return JSON.stringify({ ...told, items: told.items.flatMap((item) => [item, item]) })
}

function withBusyItems(text: string, every: number): string {
  const told = JSON.parse(text) as { errors: boolean; items: Record<string, object>[] }
  for (const [at, item] of told.items.entries()) {
    const [op = 'index'] = Object.keys(item)
    if (at % every === 0) item[op] = { status: 429, error: noRoomError }
  }
  return JSON.stringify({ ...told, errors: true })
}
