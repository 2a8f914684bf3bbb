/** A server on loopback that answers as a test wants, and the client that talks to it. */
import assert from 'node:assert/strict'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { Failure, type FailureKind } from '../../src/change/failure.ts'
import { connectSearch, type SearchSettings } from '../../src/sink/search/connect.ts'
import type { SearchClient } from '../../src/sink/search/search-client.ts'

const never = new AbortController().signal

export interface LoopbackNode extends AsyncDisposable {
  readonly url: string
  readonly requests: () => number
}

/** `greet` answers `GET /`, which does not count. */
export async function serve(
  listener: RequestListener,
  make: (listener: RequestListener) => Server = createServer,
  greet: (response: ServerResponse & { readonly req: IncomingMessage }) => void = (response) =>
    answer(response, '{"version":{"number":"3.0.0","distribution":"opensearch"}}'),
): Promise<LoopbackNode> {
  let requests = 0
  const server = make((request, response) => {
    if (request.url === '/') return greet(response)
    requests++
    listener(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `${make === createServer ? 'http' : 'https'}://127.0.0.1:${port}`,
    requests: () => requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export type Client = SearchClient & AsyncDisposable

export function connectTo(settings: Partial<SearchSettings>): Client {
  return closing(connectSearch(settingsOf(settings)))
}

export function settingsOf(settings: Partial<SearchSettings>): SearchSettings {
  return {
    product: undefined,
    nodes: [],
    authentication: undefined,
    tls: undefined,
    requestTimeoutMs: 60_000,
    compress: false,
    discover: false,
    ...settings,
  }
}

export function closing(client: SearchClient): Client {
  return Object.assign(client, { [Symbol.asyncDispose]: async () => await client.close() })
}

export function answer(response: ServerResponse, body: string | Buffer, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json', 'x-elastic-product': 'Elasticsearch' })
  response.end(body)
}

/** Answers with the request. */
export function echo(request: IncomingMessage, response: ServerResponse): void {
  const { url, headers } = request
  void bodyOf(request).then((body) =>
    answer(response, JSON.stringify({ url, headers, body: body.toString() })),
  )
}

export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece)
  return Buffer.concat(pieces)
}

interface Told {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export async function told(client: SearchClient, call: Parameters<SearchClient['send']>[0]): Promise<Told> {
  return JSON.parse((await client.send(call, never)).text)
}

export async function failureOf(kind: FailureKind, work: Promise<unknown>): Promise<Failure> {
  const error = await work.then(
    () => assert.fail('a failure was expected'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof Failure, String(error))
  assert.equal(error.kind, kind, error.message)
  return error
}
