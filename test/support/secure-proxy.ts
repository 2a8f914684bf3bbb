/**
 * Encryption and a password in front of a search server, each of which may be replaced or be gone while it runs.
 *
 *   daemon ══ TLS ══▶ proxy ──▶ search server
 *                       └─ 401 where the password is another
 */
import { once } from 'node:events'
import {
  createServer as createHttpServer,
  request,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { Identity } from './certificates.ts'

export interface SecureOptions {
  /** Where the server is. */
  readonly target: string
  readonly identity: Identity
  readonly username: string
  readonly password: string
}

export class SecureProxy implements AsyncDisposable {
  /** What is asked of everybody from now on. */
  password: string
  readonly #options: SecureOptions
  readonly #sockets = new Set<Socket>()
  readonly #plain = createHttpServer((incoming, outgoing) => this.#answer(incoming, outgoing))
  readonly #tls: ReturnType<typeof createTlsServer>
  readonly #door = createServer((socket) => this.#open(socket))
  #isPlain = false
  #refused = 0

  private constructor(options: SecureOptions) {
    this.#options = options
    this.password = options.password
    this.#tls = createTlsServer(options.identity, (incoming, outgoing) => this.#answer(incoming, outgoing))
  }

  /** Listens on a free port of 127.0.0.1. */
  static async start(options: SecureOptions): Promise<SecureProxy> {
    const proxy = new SecureProxy(options)
    proxy.#door.listen(0, '127.0.0.1')
    await once(proxy.#door, 'listening')
    return proxy
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#door.address() as AddressInfo).port}`
  }

  /** Requests with another password. */
  get refused(): number {
    return this.#refused
  }

  /** Another certificate, for whoever connects anew; everybody has to. */
  become(identity: Identity): void {
    this.#tls.setSecureContext(identity)
    this.#cut()
  }

  /** Whether encryption is understood at all. */
  encrypt(isOn: boolean): void {
    this.#isPlain = !isOn
    this.#cut()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#door, 'close')
    this.#door.close()
    this.#cut()
    await closed
  }

  #open(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    // Whoever is cut off may have something to say.
    socket.on('error', () => socket.destroy())
    const server = this.#isPlain ? this.#plain : this.#tls
    server.emit('connection', socket)
  }

  #cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #answer(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { target, username } = this.#options
    const { authorization, ...headers } = incoming.headers
    const known = Buffer.from(`${username}:${this.password}`).toString('base64')
    if (authorization !== `Basic ${known}`) {
      this.#refused++
      incoming.resume()
      outgoing.writeHead(401, { 'content-type': 'application/json', 'x-elastic-product': 'Elasticsearch' })
      outgoing.end(unknown)
      return
    }
    const { hostname, port } = new URL(target)
    const onward = request({ hostname, port, method: incoming.method, path: incoming.url, headers })
    onward.once('response', (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(outgoing)
    })
    onward.once('error', () => outgoing.destroy())
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) onward.destroy()
    })
    incoming.pipe(onward)
  }
}

const unknown = JSON.stringify({ error: { type: 'security_exception', reason: 'unable to authenticate' } })
