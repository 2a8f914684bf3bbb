import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Operations } from '../../../src/control/operations.ts'
import { startControl, type ControlServer } from '../../../src/control/server.ts'

const operations: Operations = {
  status: () =>
    Promise.resolve({ version: '1', daemon: true, startedAt: null, sources: [], pipelines: [], recent: [] }),
  metrics: () => Promise.resolve('# HELP a b\na 1\n'),
  live: () => true,
  ready: () => ({ ready: false, reasons: ['source main has not begun yet'] }),
}

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

test('a port that is taken is a failure with a way out', async (t) => {
  const { port } = await start(t)
  await assert.rejects(startControl({ host: '127.0.0.1', port, operations, redact: String }), {
    kind: 'configuration',
    message: `the control server cannot listen on 127.0.0.1:${port}: the port is taken`,
    remedy: /control\.port=0/,
  })
})
