/** What processes share in Redis: its contract, and what happens when Redis is killed, hangs or does not let us in. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { RedisCache, type RedisCacheSettings } from '../../src/cache/redis/redis-cache.ts'
import { Failure } from '../../src/change/failure.ts'
import { examineCache } from '../../src/opening/cache.ts'
import { testCache } from '../contract/cache.contract.ts'
import { freePort } from '../stack/ports.ts'
import { startRedis } from '../stack/redis.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { identityIn, makeCertificates } from '../support/certificates.ts'
import { configurationOf } from '../support/configured.ts'

const rate = { name: 'requests', perSecond: 1000 }

suite('what processes share in Redis', () => {
  let stack: Stack

  before(async () => {
    stack = await startStack({ servers: ['redis'] })
  })
  after(() => stack?.[Symbol.asyncDispose]())

  testCache('redis', async () => {
    const prefix = `t-${randomUUID()}`
    const [one, other] = [client(stack.redis, { prefix }), client(stack.redis, { prefix })]
    await one.until(undefined)
    await other.until(undefined)
    return {
      one: one.cache,
      other: other.cache,
      pass: (durationMs) => delay(durationMs),
      close: async () => {
        await one.cache.close()
        await other.cache.close()
      },
    }
  })

  test('killed: calls fail at once, it is told once, and all keep to their own part until everyone is back', async () => {
    const prefix = 'killed'
    await using one = client(stack.redis, { prefix, settleMs: 600_000 })
    await using other = client(stack.redis, { prefix, settleMs: 600_000 })
    await Promise.all([one.until(undefined), other.until(undefined)])
    assert.ok(((await one.cache.take(rate, 1, 0)) ?? -1) >= 0)
    await stack.redis.kill()
    await one.until('transient')
    for (let call = 0; call < 100; call++) await assert.rejects(one.cache.take(rate, 1, 0), Failure)
    await stack.redis.start()
    await Promise.all([one.until(undefined), other.until(undefined)])
    assert.equal(await one.cache.take(rate, 1, 0), undefined, 'another may still keep to its own part')
    assert.equal(await other.cache.take(rate, 1, 0), undefined)
    // The last who comes back says for how long.
    await using last = client(stack.redis, { prefix, settleMs: 1 })
    await assert.rejects(last.cache.take(rate, 1, 0), /not connected yet/)
    await last.until(undefined)
    while ((await other.cache.take(rate, 1, 0)) === undefined) await delay(20)
    assert.deepEqual(one.told, [undefined, 'transient', undefined])
  })

  test('hanging: no call waits for long, and it is used again when it answers', async () => {
    await using one = client(stack.redis, { prefix: 'hanging', callMs: 200, settleMs: 1 })
    await one.until(undefined)
    stack.redis.pause()
    try {
      await assert.rejects(one.cache.take(rate, 1, 0), /timed out/)
      const begunMs = performance.now()
      for (let call = 0; call < 100; call++) await assert.rejects(one.cache.take(rate, 1, 0), Failure)
      assert.ok(performance.now() - begunMs < 100 * 200, 'calls do not wait one after the other')
    } finally {
      stack.redis.resume()
    }
    // Whoever waits for 200 ms only may lose it once more.
    const taken = (): Promise<number | undefined> => one.cache.take(rate, 1, 0).catch(() => undefined)
    while ((await taken()) === undefined) await delay(20)
  })

  test('an error that Redis itself tells leaves the connection, and the work goes on alone', async () => {
    await using one = client(stack.redis, { prefix: 'wrong' })
    await one.until(undefined)
    const shelf = { name: 'weather', freshMs: Number.NaN, entriesMax: 10 }
    await assert.rejects(one.cache.keep(shelf, [{ question: 'a', answer: '1' }]), /ERR/)
    assert.deepEqual(one.told, [undefined, 'transient'])
    assert.ok(((await one.cache.take(rate, 1, 0)) ?? -1) >= 0)
    assert.deepEqual(one.told, [undefined, 'transient', undefined])
  })

  test('with a password: who has none is told what to correct', async () => {
    const server = await startRedis({
      directory: stack.directory,
      extraArguments: ['--requirepass', 'a secret'],
    })
    stack.add('guarded', server)
    await using stranger = client(server, { password: 'another' })
    await stranger.until('unauthorised')
    await using friend = client(server, { password: 'a secret' })
    await friend.until(undefined)
    assert.ok(((await friend.cache.take(rate, 1, 0)) ?? -1) >= 0)
  })

  test('over TLS: who trusts its authority works, who trusts another one is told', async (t) => {
    const folder = stack.directory
    makeCertificates(folder)
    const port = await freePort()
    const files = { cert: 'server.pem', key: 'server.key', 'ca-cert': 'ca.pem' }
    const named = Object.entries(files).flatMap(([kind, name]) => [`--tls-${kind}-file`, join(folder, name)])
    const extraArguments = ['--tls-port', String(port), '--tls-auth-clients', 'no', ...named]
    stack.add('encrypted', await startRedis({ directory: folder, extraArguments }))
    const trusting = (name: string, host = '127.0.0.1', verifyName = true) =>
      client({ host, port }, { tls: { ca: identityIn(folder, name).cert, verify: true, verifyName } })
    await using friend = trusting('ca')
    await friend.until(undefined)
    assert.ok(((await friend.cache.take(rate, 1, 0)) ?? -1) >= 0)
    const url = `rediss://127.0.0.1:${port}/0`
    const cache = { kind: 'redis', url, processes: 2, tls: { ca: join(folder, 'ca.pem') } }
    const { settings } = configurationOf(t, {}, { cache })
    assert.deepEqual(
      (await examineCache(settings)).map(({ level }) => level),
      ['ok'],
    )
    await using byAnotherName = trusting('ca', 'localhost', false)
    await byAnotherName.until(undefined)
    await using misnamed = trusting('ca', 'localhost')
    while (misnamed.told.length === 0) await delay(10)
    assert.notEqual(misnamed.told[0], undefined)
    await using stranger = trusting('other')
    while (stranger.told.length === 0) await delay(10)
    assert.notEqual(stranger.told[0], undefined)
    await assert.rejects(stranger.cache.take(rate, 1, 0), Failure)
  })
})

/** A cache with what it told: the kinds of failures, undefined = it is there. */
function client(
  { host, port }: Pick<RedisCacheSettings, 'host' | 'port'>,
  more: Partial<RedisCacheSettings>,
) {
  const told: (string | undefined)[] = []
  const tell = (failure: Failure | undefined): void => void told.push(failure?.kind)
  const cache = new RedisCache({
    host,
    port,
    user: undefined,
    password: undefined,
    database: 0,
    tls: undefined,
    prefix: 'p',
    // Nothing but a test of this very limit may come to it.
    callMs: 60_000,
    tell,
    ...more,
  })
  return {
    cache,
    told,
    until: async (kind: string | undefined): Promise<void> => {
      while (told.length === 0 || told.at(-1) !== kind) await delay(10)
    },
    [Symbol.asyncDispose]: () => cache.close(),
  }
}
