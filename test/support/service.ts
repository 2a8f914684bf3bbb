/** A service over HTTP that answers as a test says, as an upstream of documents would. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ServiceRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** When it was here whole, by `performance.now()`. */
  readonly atMs: number
}

export interface ServiceReply {
  /** Default: 200. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** The connection ends in the middle of the body. */
  readonly isCut?: boolean
}

export type Answering = (request: ServiceRequest) => ServiceReply | Promise<ServiceReply>

export interface Service extends AsyncDisposable {
  readonly url: string
  /** All that came, in order. */
  readonly requests: readonly ServiceRequest[]
  /** How it answers from now on. */
  answer: Answering
}

export async function startService(answer: Answering): Promise<Service> {
  const requests: ServiceRequest[] = []
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      const received: ServiceRequest = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(pieces).toString(),
        atMs: performance.now(),
      }
      requests.push(received)
      const reply = async (): Promise<void> => {
        const { status = 200, headers = {}, body = '', isCut = false } = await service.answer(received)
        if (!isCut) return void response.writeHead(status, headers).end(body)
        response.writeHead(status, { ...headers, 'content-length': 2 * Buffer.byteLength(body) + 2 })
        response.write(body, () => response.destroy())
      }
      void reply()
    })
  })
  await listening(server)
  const service: Service = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answer,
    [Symbol.asyncDispose]: () => closed(server),
  }
  return service
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
