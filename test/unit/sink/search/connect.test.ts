/** The client, as it talks to each product, against a server on loopback that answers what each test wants. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { Failure } from '../../../../src/change/failure.ts'
import { connectSearch, type SearchSettings } from '../../../../src/sink/search/connect.ts'
import { unlimited } from '../../../../src/sink/sink.ts'
import { makeCertificates } from '../../../support/certificates.ts'
import {
  answer,
  bodyOf,
  closing,
  connectTo,
  echo,
  failureOf,
  serve,
  settingsOf,
  told,
  type Client,
  type LoopbackNode,
} from '../../../support/loopback-node.ts'

const never = new AbortController().signal
const get = { method: 'GET', path: '/orders' } as const

for (const product of ['elasticsearch', 'opensearch'] as const) {
  const connect = (settings: Partial<SearchSettings>): Client => connectTo({ product, ...settings })

  describe(`the client of ${product}`, () => {
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
      const ways: readonly (readonly [Partial<SearchSettings>, string])[] = [
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

    it('refuses addresses that are none', () => {
      for (const address of ['localhost:9200', 'ftp://host', ''])
        assert.throws(() => connect({ nodes: [address] }), Failure)
    })
  })

  describe(`the client of ${product}, in trouble`, () => {
    it('tries once, and takes another node next time', async () => {
      let calls = 0
      await using good = await serve((_, response) => answer(response, `{"call":${++calls}}`))
      await using dead = await serve((_, response) => response.destroy())
      await using client = connect({ nodes: [dead.url, good.url] })
      const results = await Promise.allSettled([client.send(get, never), client.send(get, never)])
      assert.deepEqual(new Set(results.map(({ status }) => status)), new Set(['fulfilled', 'rejected']))
      assert.equal(calls, 1)
    })

    it('leaves a node alone that cannot serve, and finds it again', async () => {
      let serves = false
      await using first = await serve((_, response) => answer(response, '{}', serves ? 200 : 503))
      await using second = await serve((_, response) => answer(response, '{}'))
      await using client = connect({ nodes: [first.url, second.url] })
      for (let call = 0; call < 6; call++) await client.send(get, never)
      // In turn it would be three times each; on a slow machine the first is tried once more.
      const asked = first.requests()
      assert.equal(asked + second.requests(), 6)
      assert.ok(asked > 0 && asked < 3, `${asked} times`)
      serves = true
      while (first.requests() === asked) await client.send(get, never)
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

  describe(`the client of ${product}, over TLS`, () => {
    let folder = ''
    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'certificates-'))
      makeCertificates(folder)
    })
    after(() => rmSync(folder, { recursive: true }))
    const file = (name: string): string => readFileSync(join(folder, name), 'utf8')
    const serveTls = async (): Promise<LoopbackNode> =>
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
}

describe('a client that asks what it talks to', () => {
  it('begins with any node that answers', async () => {
    const gone = await serve(echo)
    await gone[Symbol.asyncDispose]()
    await using good = await serve(echo)
    for (const nodes of [
      [gone.url, good.url],
      [good.url, gone.url],
    ]) {
      await using client = connectTo({ nodes })
      assert.equal((await client.dialect(never)).release.product, 'opensearch')
    }
  })

  const elastic = { 'x-elastic-product': 'Elasticsearch' }

  it('tells products and versions apart', async () => {
    assert.deepEqual(await found(version('8.19.3')), {
      product: 'elasticsearch',
      version: { major: 8, minor: 19 },
    })
    assert.deepEqual(await found(version('2.19.4', { distribution: 'opensearch' })), {
      product: 'opensearch',
      version: { major: 2, minor: 19 },
    })
    const disguised = { ...version('7.10.2'), tagline: 'The OpenSearch Project: https://opensearch.org/' }
    assert.deepEqual(await found(disguised), { product: 'opensearch', version: undefined })
  })

  it('needs no leave to ask for the version', async () => {
    assert.deepEqual(await found('{}', 403, elastic), { product: 'elasticsearch', version: undefined })
    assert.deepEqual(await found('{}', 403), { product: 'opensearch', version: undefined })
  })

  it('refuses what is too old, and what is no search server', async () => {
    const old = await failureOf('configuration', found({ version: { number: '6.8.0' } }))
    assert.match(old.message, /6\.8 is older than 7\.17/)
    for (const info of ['<html>', '{}', '{"version":{"number":"new"}}'])
      assert.match((await failureOf('configuration', found(info))).message, /neither/)
    await failureOf('transient', found('{}', 503))
    await failureOf('unauthorised', found('{}', 401))
  })

  it('refuses answers of another product than it was told', async () => {
    await using node = await serve((_, response) => void response.end('{}'))
    await using client = connectTo({ nodes: [node.url], product: 'elasticsearch' })
    assert.match((await failureOf('configuration', client.send(get, never))).message, /not Elasticsearch/)
  })
})

describe('credentials that are replaced while we run', () => {
  for (const product of ['elasticsearch', 'opensearch', undefined] as const) {
    it(`count from the first refusal on (${product ?? 'asked for'})`, async () => {
      let secret = 'old'
      const settings = (): Partial<SearchSettings> => ({
        product,
        authentication: { kind: 'bearer', token: secret },
      })
      await using node = await serve(guard, createServer, (response) => guard(response.req, response))
      const whole = (): SearchSettings => settingsOf({ nodes: [node.url], ...settings() })
      await using client = closing(connectSearch(whole(), unlimited, whole))
      const status = async (): Promise<number> => {
        const sent = client.send(get, never).catch((error: unknown) => {
          assert.ok(error instanceof Failure && error.kind === 'unauthorised', String(error))
          return { status: 401 }
        })
        return (await sent).status
      }
      assert.deepEqual([await status(), await status()], [401, 401])
      secret = 'new'
      assert.deepEqual([await status(), await status()], [401, 200])
    })
  }
})

/** What the client takes a server to be that introduces itself so. */
async function found(info: object | string, status = 200, headers = {}): Promise<unknown> {
  const text = typeof info === 'string' ? info : JSON.stringify(info)
  await using node = await serve(
    (_, response) => answer(response, '{}'),
    createServer,
    (response) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
    },
  )
  await using client = connectTo({ nodes: [node.url] })
  return (await client.dialect(never)).release
}

function version(number: string, more = {}): object {
  return { version: { number, ...more } }
}

const guard: RequestListener = ({ headers }, response) => {
  const known = headers.authorization === 'Bearer new'
  answer(response, JSON.stringify({ version: { number: '9.0.0' } }), known ? 200 : 401)
}
