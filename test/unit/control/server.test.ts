import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Operations } from '../../../src/control/operations.ts'
import { startControl, type ControlServer } from '../../../src/control/server.ts'
import { Failure } from '../../../src/change/failure.ts'
import { operationsWith } from '../../support/operations.ts'

const operations = operationsWith({
  metrics: () => Promise.resolve('# HELP a b\na 1\n'),
  ready: () => ({ ready: false, reasons: ['source main has not begun yet'] }),
})

async function start(
  t: TestContext,
  change: Partial<Operations> = {},
): Promise<ControlServer & { url: string }> {
  const server = await startControl({
    host: '127.0.0.1',
    port: 0,
    operations: { ...operations, ...change },
    redact,
  })
  t.after(() => server.close())
  return { ...server, url: `http://127.0.0.1:${server.port}` }
}

function redact(text: string): string {
  return text.replaceAll('open-sesame', '****')
}

test('health answers with codes that an orchestrator understands, and reasons', async (t) => {
  const { url } = await start(t)
  assert.equal((await fetch(`${url}/livez`)).status, 200)
  const ready = await fetch(`${url}/readyz`)
  assert.equal(ready.status, 503)
  assert.deepEqual(await ready.json(), { ready: false, reasons: ['source main has not begun yet'] })
  const other = await start(t, { live: () => false, ready: () => ({ ready: true, reasons: [] }) })
  assert.equal((await fetch(`${other.url}/livez`)).status, 503)
  assert.equal((await fetch(`${other.url}/readyz`)).status, 200)
})

test('metrics are text for Prometheus, status is JSON', async (t) => {
  const { url } = await start(t)
  const metrics = await fetch(`${url}/metrics`)
  assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  assert.equal(await metrics.text(), '# HELP a b\na 1\n')
  assert.deepEqual(await (await fetch(`${url}/v1/status`)).json(), await operations.status())
})

test('errors are JSON, without secrets', async (t) => {
  const { url } = await start(t, { status: () => Promise.reject(new Error('open-sesame was wrong')) })
  const missing = await fetch(`${url}/v1/stauts`)
  assert.equal(missing.status, 404)
  assert.deepEqual(await missing.json(), { error: { code: 404, message: 'there is no GET /v1/stauts' } })
  const broken = await fetch(`${url}/v1/status`)
  assert.deepEqual(await broken.json(), { error: { code: 500, message: '**** was wrong' } })
  assert.equal((await fetch(`${url}/v1/status`, { method: 'POST', body: '{}' })).status, 404)
})

test('what changes something is a POST of JSON; a refusal names its remedy', async (t) => {
  const asked: unknown[] = []
  const { url } = await start(t, {
    touch: (request) => {
      asked.push(request)
      if (request.pipeline !== 'orders')
        return Promise.reject(new Failure('configuration', 'no such pipeline', { remedy: 'orders' }))
      const malformed = request.keys.flatMap((key, at) => (key === 'bad' ? [{ at, why: 'not a key' }] : []))
      return Promise.resolve({ touched: malformed.length > 0 ? 0 : request.keys.length, until: 7, malformed })
    },
  })
  const post = async (body: string, type = 'application/json'): Promise<[number, unknown]> => {
    const answer = await fetch(`${url}/v1/touch`, { method: 'POST', headers: { 'content-type': type }, body })
    return [answer.status, await answer.json()]
  }
  const request = { pipeline: 'orders', keys: ['[1]', '2'] }
  assert.deepEqual(await post(JSON.stringify(request)), [200, { touched: 2, until: 7, malformed: [] }])
  assert.deepEqual(asked, [request])
  const [code, answer] = await post(JSON.stringify({ ...request, keys: ['1', 'bad'] }))
  assert.deepEqual([code, answer], [400, { touched: 0, until: 7, malformed: [{ at: 1, why: 'not a key' }] }])
  assert.deepEqual(await post(JSON.stringify({ ...request, pipeline: 'ordres' })), [
    400,
    { error: { code: 400, message: 'no such pipeline', kind: 'configuration', remedy: 'orders' } },
  ])
  const malformed = ['{}', '{"pipeline":"orders","keys":[1]}', '{"pipeline":"orders"}', 'null', '{']
  for (const body of malformed) assert.equal((await post(body))[0], 400, body)
  assert.equal((await post(JSON.stringify(request), 'text/plain'))[0], 415)
  assert.equal((await fetch(`${url}/v1/touch`)).status, 404)
  assert.equal(asked.length, 3)
})

test('a port that is taken is a failure with a way out', async (t) => {
  const { port } = await start(t)
  await assert.rejects(startControl({ host: '127.0.0.1', port, operations, redact: String }), {
    kind: 'configuration',
    message: `the control server cannot listen on 127.0.0.1:${port}: the port is taken`,
    remedy: /control\.port=0/,
  })
})
