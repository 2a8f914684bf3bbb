/**
 * Stands between the daemon and the search server and holds one bulk request, or its answer, until it is let go; all else
 * passes, after a pause where one is asked for. A held request reaches the server late even when the daemon has given up on it: a network that delays.
 *
 *   daemon ──▶ proxy ──▶ search server        hold request: ──▶ ▌      hold answer: ──▶ ──▶
 *                                                                                   ◀── ▌
 */
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export type HeldPart = 'request' | 'answer'

/** One request that is to be held. */
export interface Hold {
  /** Resolves when the request, or the answer, is held. */
  readonly caught: Promise<void>
  /** Lets it go; resolves with the server's answer to it. */
  release(): Promise<string>
}

interface Trap {
  readonly part: HeldPart
  readonly body: RegExp
  readonly caught: PromiseWithResolvers<void>
  readonly released: PromiseWithResolvers<void>
  readonly answered: PromiseWithResolvers<string>
}

export class HoldingProxy implements AsyncDisposable {
  /** Each bulk request waits so long before it is passed on. */
  pauseMs = 0
  readonly #server: Server
  readonly #target: URL
  readonly #ending = new AbortController()
  #trap: Trap | undefined
  #bulks = 0

  private constructor(target: string) {
    this.#target = new URL(target)
    this.#server = createServer((incoming, outgoing) => {
      // Whoever asked may be gone when there is something to say.
      this.#pass(incoming, outgoing).catch(() => outgoing.destroy())
    })
  }

  /** Listens on a free port of 127.0.0.1. */
  static async start(target: string): Promise<HoldingProxy> {
    const proxy = new HoldingProxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Bulk requests that have been answered by the server. */
  get bulks(): number {
    return this.#bulks
  }

  /** Holds the next bulk request whose body matches, and only that one. */
  hold(part: HeldPart, body: RegExp): Hold {
    const trap: Trap = {
      part,
      body,
      caught: Promise.withResolvers(),
      released: Promise.withResolvers(),
      answered: Promise.withResolvers(),
    }
    this.#trap = trap
    return {
      caught: trap.caught.promise,
      release() {
        trap.released.resolve()
        return trap.answered.promise
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#ending.abort()
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const bulk = incoming.method === 'POST' && /\/_bulk(\?|$)/.test(incoming.url ?? '')
    const body = await bytesOf(incoming)
    const trap = bulk ? this.#take(body) : undefined
    if (bulk) await this.#pause()
    if (trap?.part === 'request') await held(trap)
    const { response, answer } = await this.#forward(incoming, body)
    if (bulk) this.#bulks++
    if (trap?.part === 'answer') await held(trap)
    trap?.answered.resolve(answer.toString('utf8'))
    outgoing.writeHead(response.statusCode ?? 502, response.headers)
    outgoing.end(answer)
  }

  async #pause(): Promise<void> {
    if (this.pauseMs > 0) await delay(this.pauseMs, undefined, { signal: this.#ending.signal })
  }

  #take(body: Buffer): Trap | undefined {
    const trap = this.#trap
    if (trap === undefined || !trap.body.test(body.toString('utf8'))) return undefined
    this.#trap = undefined
    return trap
  }

  async #forward(
    { method, url, headers }: IncomingMessage,
    body: Buffer,
  ): Promise<{ readonly response: IncomingMessage; readonly answer: Buffer }> {
    const { hostname, port } = this.#target
    const { signal } = this.#ending
    const onward = request({ host: hostname, port, method, path: url, headers, agent: false, signal })
    onward.end(body)
    const [response] = (await once(onward, 'response')) as [IncomingMessage]
    return { response, answer: await bytesOf(response) }
  }
}

async function held({ caught, released }: Trap): Promise<void> {
  caught.resolve()
  await released.promise
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}
