import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../../src/change/failure.ts'
import { HttpUpstream, type HttpSettings } from '../../../../src/upstream/http/http-upstream.ts'
import { startService, type Service } from '../../../support/service.ts'

const never = new AbortController().signal

function upstream(service: Service, more: Partial<HttpSettings> = {}): HttpUpstream {
  return new HttpUpstream({
    name: 'weather',
    url: `${service.url}/weather/{city}`,
    method: 'get',
    headers: { authorization: 'Bearer secret' },
    answers: [],
    value: [],
    key: [],
    questionsMax: 10,
    timeoutMs: 60_000,
    responseBytesMax: 1000,
    ...more,
  })
}

function failing(kind: Failure['kind'], words: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof Failure)
    assert.equal(error.kind, kind)
    assert.match(error.message, words)
    return true
  }
}

test('get puts the value into the URL; 404 means that nothing is known', async () => {
  await using service = await startService(({ url, headers }) => {
    if (url === '/weather/nowhere') return { status: 404 }
    return { body: JSON.stringify({ url, authorization: headers.authorization }) }
  })
  const weather = upstream(service)
  assert.deepEqual(await weather.ask([{ city: '"São Paulo/1"' }], never), [
    '{"url":"/weather/S%C3%A3o%20Paulo%2F1","authorization":"Bearer secret"}',
  ])
  assert.deepEqual(await weather.ask([{ city: '"nowhere"' }], never), [undefined])
})

test('post asks many at once, and finds answers and values by their paths, digit for digit', async () => {
  await using service = await startService(({ body }) => ({
    body: `{"data":{"items":[{"t":12345678901234567890.10},null,{"t":null}]},"asked":${body}}`,
  }))
  const weather = upstream(service, {
    method: 'post',
    url: service.url,
    answers: ['data', 'items'],
    value: ['t'],
  })
  const answers = await weather.ask([{ city: '1' }, { city: '2' }, { city: '"x"' }], never)
  assert.deepEqual(answers, ['12345678901234567890.10', undefined, undefined])
  assert.equal(service.requests[0]?.body, '{"keys":[{"city":1},{"city":2},{"city":"x"}]}')
})

test('answers that repeat what they are about may come in any order, and none may be about something else', async () => {
  await using service = await startService(({ method, body }) => {
    const { keys } = JSON.parse(method === 'POST' ? body : '{"keys":[]}') as { keys: { city: unknown }[] }
    return { body: JSON.stringify(keys.toReversed().map(({ city }) => ({ of: { id: city }, t: city }))) }
  })
  const keyed = { method: 'post', url: service.url, key: ['of', 'id'], value: ['t'] } as const
  const weather = upstream(service, keyed)
  assert.deepEqual(await weather.ask([{ city: '1' }, { city: '"x"' }, { city: '3' }], never), [
    '1',
    '"x"',
    '3',
  ])
  const replies: readonly (readonly [string, RegExp | readonly (string | undefined)[]])[] = [
    ['[{"of":{"id":"2"},"t":20}]', [undefined, '20']],
    ['[null,null]', [undefined, undefined]],
    ['[{"of":{"id":3},"t":30}]', /something that was not asked/],
    ['[{"t":30}]', /something that was not asked/],
    ['[{"of":{"id":1}},{"of":{"id":1}}]', /two answers to one question/],
  ]
  for (const [body, wanted] of replies) {
    service.answer = () => ({ body })
    const asked = weather.ask([{ city: '1' }, { city: '2' }], never)
    if (wanted instanceof RegExp) await assert.rejects(asked, failing('transient', wanted))
    else assert.deepEqual(await asked, wanted)
  }
  service.answer = ({ url }) => ({ body: url.endsWith('/1') ? '{"of":{"id":1},"t":7}' : '{"of":{"id":9}}' })
  const one = upstream(service, { key: ['of', 'id'], value: ['t'] })
  assert.deepEqual(await one.ask([{ city: '1' }], never), ['7'])
  await assert.rejects(one.ask([{ city: '2' }], never), failing('transient', /was not asked/))
})

test('a value cannot lead to another place of the host than the URL means', async () => {
  await using service = await startService(() => ({ body: '1' }))
  const weather = upstream(service)
  for (const city of ['"."', '".."']) {
    await assert.rejects(weather.ask([{ city }], never), failing('rejected', /cannot be asked with city/))
  }
  await weather.ask([{ city: '"../../x?y#z"' }], never)
  assert.deepEqual(
    service.requests.map(({ url }) => url),
    ['/weather/..%2F..%2Fx%3Fy%23z'],
  )
})

test('a service that lies is found out', async (t) => {
  const replies: readonly (readonly [string, string, RegExp])[] = [
    ['too few answers', '[1]', /1 answers to 2 questions/],
    ['no list', '{}', /no list of answers/],
    ['no JSON', '<html>', /not JSON/],
    ['too much', `"${'x'.repeat(2000)}"`, /more than 1000 bytes/],
  ]
  for (const [name, body, words] of replies) {
    await t.test(name, async () => {
      await using service = await startService(() => ({ body }))
      const weather = upstream(service, { method: 'post', url: service.url })
      await assert.rejects(weather.ask([{ city: '1' }, { city: '2' }], never), failing('transient', words))
    })
  }
})

test('what a status means', async (t) => {
  const cases: readonly (readonly [number, Failure['kind']])[] = [
    [500, 'transient'],
    [429, 'overload'],
    [503, 'overload'],
    [401, 'unauthorised'],
    [400, 'rejected'],
    [302, 'configuration'],
  ]
  for (const [status, kind] of cases) {
    await t.test(String(status), async () => {
      await using service = await startService(() => ({
        status,
        headers: { 'retry-after': '7', location: 'http://127.0.0.1:1/' },
      }))
      await assert.rejects(upstream(service).ask([{ city: '1' }], never), (error) => {
        assert.ok(error instanceof Failure)
        assert.equal(error.kind, kind)
        assert.equal(error.retryAfterMs, kind === 'overload' ? 7000 : undefined)
        return true
      })
    })
  }
})

test('a service that does not answer, or is not there, is a transient failure; an end is an end', async () => {
  const service = await startService(() => new Promise(() => {}))
  const weather = upstream(service, { timeoutMs: 50 })
  await assert.rejects(weather.ask([{ city: '1' }], never), failing('transient', /within 50 ms/))
  const ending = new AbortController()
  const asked = upstream(service).ask([{ city: '1' }], ending.signal)
  ending.abort(new Error('the end'))
  await assert.rejects(asked, /the end/)
  await service[Symbol.asyncDispose]()
  await assert.rejects(upstream(service).ask([{ city: '1' }], never), failing('transient', /ECONNREFUSED/))
})
