/**
 * Stands between the daemon and the search server, passes every byte on as it comes, and tells of each bulk request
 * once it has been answered.
 *
 *   daemon ──▶ proxy ──▶ search server
 *                └─ told: path, body, answer, when the request and when the answer was complete
 */
import { once } from 'node:events'
import {
  Agent,
  createServer,
  request,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'

export interface BulkExchange {
  /** With its query. */
  readonly path: string
  readonly body: Buffer
  readonly status: number
  readonly answer: Buffer
  /** When the last byte of the request was here, by `performance.now()`. */
  readonly requestedAt: number
  /** When the last byte of the answer was here, by `performance.now()`. */
  readonly answeredAt: number
}

export class BulkProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #agent = new Agent({ keepAlive: true })
  readonly #target: URL
  readonly #onBulk: (exchange: BulkExchange) => void

  private constructor(target: string, onBulk: (exchange: BulkExchange) => void) {
    this.#target = new URL(target)
    this.#onBulk = onBulk
    this.#server = createServer((incoming, outgoing) => this.#pass(incoming, outgoing))
  }

  /** Listens on a free port of 127.0.0.1. */
  static async start(target: string, onBulk: (exchange: BulkExchange) => void): Promise<BulkProxy> {
    const proxy = new BulkProxy(target, onBulk)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    this.#agent.destroy()
    await closed
  }

  #pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const path = incoming.url ?? '/'
    const bulk = incoming.method === 'POST' && /\/_bulk(\?|$)/.test(path)
    const onward = request({
      agent: this.#agent,
      host: this.#target.hostname,
      port: this.#target.port,
      method: incoming.method,
      path,
      headers: incoming.headers,
    })
    const body = bulk ? piecesOf(incoming) : []
    let requestedAt = 0
    incoming.once('end', () => (requestedAt = performance.now()))
    onward.once('response', (response) => {
      const answer = bulk ? piecesOf(response) : []
      const status = response.statusCode ?? 502
      if (bulk) {
        response.once('end', () => {
          const answeredAt = performance.now()
          const all = { body: Buffer.concat(body), answer: Buffer.concat(answer) }
          this.#onBulk({ path, status, ...all, requestedAt, answeredAt })
        })
      }
      outgoing.writeHead(status, response.headers)
      response.pipe(outgoing)
    })
    // What breaks on one side breaks on the other, as without a proxy.
    onward.once('error', () => outgoing.destroy())
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) onward.destroy()
    })
    incoming.pipe(onward)
  }
}

function piecesOf(stream: IncomingMessage): readonly Buffer[] {
  const pieces: Buffer[] = []
  stream.on('data', (piece: Buffer) => pieces.push(piece))
  return pieces
}
