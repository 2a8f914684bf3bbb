/** The client against a server on loopback that answers what each test wants. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { Failure, type FailureKind } from '../../../../src/change/failure.ts'
import { connectElasticsearch, type ElasticsearchOptions } from '../../../../src/sink/search/elasticsearch.ts'
import type { SearchClient } from '../../../../src/sink/search/search-client.ts'

const never = new AbortController().signal
const get = { method: 'GET', path: '/orders' } as const

describe('the client of Elasticsearch', () => {
  it('gives answers of any status as text', async () => {
    await using node = await serve((_, response) => answer(response, '{"n":9007199254740993}', 404))
    await using client = connect({ nodes: [node.url] })
    assert.deepEqual(await client.send(get, never), { status: 404, text: '{"n":9007199254740993}' })
  })

  it('sends bodies as they are, in types that every version takes', async () => {
    await using node = await serve(echo)
    await using client = connect({ nodes: [node.url] })
    const lines = await told(client, { ...get, method: 'POST', body: Buffer.from('{}\n'), lines: true })
    assert.equal(lines.body, '{}\n')
    assert.equal(lines.headers['content-type'], 'application/x-ndjson')
    const json = await told(client, { ...get, method: 'PUT', query: { a: 'b c' }, body: '{"ü":1}' })
    assert.equal(json.body, '{"ü":1}')
    assert.equal(json.headers['content-type'], 'application/json')
    assert.equal(json.url, '/orders?a=b%20c')
  })

  it('proves who it is by password, key or token', async () => {
    await using node = await serve(echo)
    const basic = `Basic ${Buffer.from('elastic:s3:cret').toString('base64')}`
    const ways: readonly (readonly [Partial<ElasticsearchOptions>, string])[] = [
      [{ authentication: { kind: 'basic', username: 'elastic', password: 's3:cret' } }, basic],
      [{ nodes: [node.url.replace('//', '//elastic:s3%3Acret@')] }, basic],
      [{ authentication: { kind: 'apiKey', apiKey: 'a2V5' } }, 'ApiKey a2V5'],
      [{ authentication: { kind: 'bearer', token: 'abc' } }, 'Bearer abc'],
    ]
    for (const [options, expected] of ways) {
      await using client = connect({ nodes: [node.url], ...options })
      assert.equal((await told(client, get)).headers['authorization'], expected)
    }
  })

  it('compresses both ways when it is told to', async () => {
    await using node = await serve((request, response) => {
      response.setHeader('content-encoding', 'gzip')
      void bodyOf(request).then((body) => answer(response, gzipSync(gunzipSync(body))))
    })
    await using client = connect({ nodes: [node.url], compress: true })
    const { text } = await client.send({ ...get, method: 'POST', body: '{"größe":1}' }, never)
    assert.equal(text, '{"größe":1}')
  })

  it('refuses what is not Elasticsearch, and addresses that are none', async () => {
    await using node = await serve((_, response) => response.end('{}'))
    await using client = connect({ nodes: [node.url] })
    assert.match((await failureOf('configuration', client.send(get, never))).message, /not Elasticsearch/)
    for (const address of ['localhost:9200', 'ftp://host', ''])
      assert.throws(() => connect({ nodes: [address] }), Failure)
  })
})

describe('the client of Elasticsearch, in trouble', () => {
  it('tries once, and takes another node next time', async () => {
    let calls = 0
    await using good = await serve((_, response) => answer(response, `{"call":${++calls}}`))
    await using dead = await serve((_, response) => response.destroy())
    await using client = connect({ nodes: [dead.url, good.url] })
    const results = await Promise.allSettled([client.send(get, never), client.send(get, never)])
    assert.deepEqual(new Set(results.map(({ status }) => status)), new Set(['fulfilled', 'rejected']))
    assert.equal(calls, 1)
  })

  it('gives up on an answer that stalls, whether in its head or in its body', async () => {
    for (const stall of [
      (): void => {},
      (_: IncomingMessage, response: ServerResponse): void => {
        response.setHeader('x-elastic-product', 'Elasticsearch')
        response.write('{"half":')
      },
    ]) {
      await using node = await serve(stall)
      await using client = connect({ nodes: [node.url], requestTimeoutMs: 50 })
      assert.match((await failureOf('transient', client.send(get, never))).message, /within 0.05 s/)
    }
  })

  it('ends with the reason of the signal', async () => {
    const stop = new AbortController()
    const reason = new Error('stopped')
    await using node = await serve(() => stop.abort(reason))
    await using client = connect({ nodes: [node.url] })
    await assert.rejects(client.send(get, stop.signal), reason)
    await assert.rejects(client.send(get, stop.signal), reason)
  })

  it('calls a connection that breaks transient, and never shows a secret', async () => {
    await using node = await serve((_, response) => {
      response.setHeader('x-elastic-product', 'Elasticsearch')
      response.write('{"half":', () => response.destroy())
    })
    const authentication = { kind: 'basic', username: 'elastic', password: 's3cret' } as const
    for (const address of [node.url, 'http://127.0.0.1:1']) {
      await using client = connect({ nodes: [address.replace('//', '//elastic:s3cret@')], authentication })
      const failure = await failureOf('transient', client.send(get, never))
      assert.equal(failure.cause, undefined)
      assert.doesNotMatch(`${failure.message}${failure.stack}`, /s3cret/)
    }
  })
})

describe('the client of Elasticsearch, over TLS', () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'certificates-'))
    makeCertificates(folder)
  })
  after(() => rmSync(folder, { recursive: true }))
  const file = (name: string): string => readFileSync(join(folder, name), 'utf8')
  const serveTls = async (): Promise<Node> =>
    await serve(echo, (listener) =>
      createTlsServer({ key: file('server.key'), cert: file('server.pem') + file('ca.pem') }, listener),
    )

  it('trusts the authority that it was given', async () => {
    await using node = await serveTls()
    await using client = connect({ nodes: [node.url], tls: { ca: file('ca.pem'), verify: true } })
    assert.equal((await client.send(get, never)).status, 200)
  })

  it('trusts nobody else, unless it is told to trust anybody', async () => {
    await using node = await serveTls()
    await using strict = connect({ nodes: [node.url], tls: { verify: true } })
    assert.match((await failureOf('transient', strict.send(get, never))).remedy ?? '', /tls\.ca/)
    await using other = connect({ nodes: [node.url], tls: { ca: file('other.pem'), verify: true } })
    await failureOf('transient', other.send(get, never))
    await using anybody = connect({ nodes: [node.url], tls: { verify: false } })
    assert.equal((await anybody.send(get, never)).status, 200)
  })

  it('trusts the certificate whose fingerprint it knows, and sends nothing to others', async () => {
    await using node = await serveTls()
    for (const name of ['ca.pem', 'server.pem']) {
      const { fingerprint256 } = new X509Certificate(file(name))
      for (const fingerprint of [fingerprint256, fingerprint256.replaceAll(':', '').toLowerCase()]) {
        await using client = connect({ nodes: [node.url], tls: { fingerprint, verify: true } })
        assert.equal((await client.send(get, never)).status, 200)
      }
    }
    const { fingerprint256: fingerprint } = new X509Certificate(file('other.pem'))
    await using stranger = connect({ nodes: [node.url], tls: { fingerprint, verify: true } })
    await failureOf('unauthorised', stranger.send(get, never))
    assert.equal(node.requests(), 4)
  })
})

interface Node extends AsyncDisposable {
  readonly url: string
  readonly requests: () => number
}

async function serve(
  listener: RequestListener,
  make: (listener: RequestListener) => Server = createServer,
): Promise<Node> {
  let requests = 0
  const server = make((request, response) => {
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

function connect(options: Partial<ElasticsearchOptions>): SearchClient & AsyncDisposable {
  const client = connectElasticsearch({
    nodes: [],
    authentication: undefined,
    tls: undefined,
    requestTimeoutMs: 10_000,
    compress: false,
    ...options,
  })
  return Object.assign(client, { [Symbol.asyncDispose]: async () => await client.close() })
}

function answer(response: ServerResponse, body: string | Buffer, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json', 'x-elastic-product': 'Elasticsearch' })
  response.end(body)
}

/** Answers with the request. */
function echo(request: IncomingMessage, response: ServerResponse): void {
  const { url, headers } = request
  void bodyOf(request).then((body) =>
    answer(response, JSON.stringify({ url, headers, body: body.toString() })),
  )
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece)
  return Buffer.concat(pieces)
}

interface Told {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

async function told(client: SearchClient, call: Parameters<SearchClient['send']>[0]): Promise<Told> {
  return JSON.parse((await client.send(call, never)).text)
}

async function failureOf(kind: FailureKind, work: Promise<unknown>): Promise<Failure> {
  const error = await work.then(
    () => assert.fail('a failure was expected'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof Failure, String(error))
  assert.equal(error.kind, kind, error.message)
  return error
}

const program = 'openssl'

/** An authority, a server's certificate that it signed, and an authority that has nothing to do with them. */
function makeCertificates(folder: string): void {
  const openssl = (...words: string[]): void =>
    void execFileSync(program, words, { cwd: folder, stdio: 'pipe' })
  const selfSigned = [
    'req',
    '-x509',
    '-nodes',
    '-days',
    '2',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
  ]
  for (const name of ['ca', 'other'])
    openssl(...selfSigned, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.pem`)
  const signed = [
    ...selfSigned,
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-addext',
    'subjectAltName=IP:127.0.0.1',
  ]
  openssl(...signed, '-subj', '/CN=server', '-keyout', 'server.key', '-out', 'server.pem')
}
