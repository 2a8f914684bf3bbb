import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PipelineStatus, Status } from '../../../src/control/operations.ts'
import { startControl } from '../../../src/control/server.ts'
import { operationsWith } from '../../support/operations.ts'
import { commandLine, twoServers } from '../../support/command-line.ts'

const pipeline: PipelineStatus = {
  name: 'orders',
  source: 'main',
  target: 'primary',
  index: 'orders',
  table: 'shop.orders',
  state: 'loading',
  error: null,
  remedy: null,
  lagChanges: 1234,
  lagSeconds: 0.42,
  lanes: [5],
  deadLetters: 0,
  load: { table: 'shop.orders', state: 'reading', rowsDone: 250, rowsEstimate: 1000, etaSeconds: 75 },
  indexed: 99,
  deleted: 1,
  lookedUp: 0,
  category: null,
  proposed: {},
}

function statusWith(change: Partial<PipelineStatus>, daemon: boolean): Status {
  const source = {
    name: 'main',
    state: 'running',
    error: null,
    remedy: null,
    leader: null,
    position: 'uuid:1-5',
    lineage: 'l',
    epoch: 1,
    seq: '77',
    silentSeconds: 0.3,
    servers: [],
    retentionSeconds: 86_400,
    behindBytes: 0,
    logBytes: 1_500_000,
    logBytesMax: 50_000_000_000,
    logOldestOffset: 0,
    logNextOffset: 77,
  } as const
  const recent = [{ at: '2026-11-22T10:00:00.000Z', what: 'started' }]
  const pipelines = [{ ...pipeline, ...change }]
  return { version: '1', daemon, startedAt: null, sources: [source], pipelines, recent }
}

test('status asks the daemon that the state folder names', async (t) => {
  const operations = operationsWith({ status: () => Promise.resolve(statusWith({}, true)) })
  const server = await startControl({ host: '127.0.0.1', port: 0, operations, redact: String })
  t.after(() => server.close())
  const line = commandLine(t)
  line.write('config/millrace.yaml', twoServers)
  line.write('state/control.json', JSON.stringify({ host: server.host, port: server.port }))
  const { code, out, err } = await line.run('status')
  assert.deepEqual([code, err], [0, []])
  const text = out.join('\n')
  assert.match(text, /main +running +0\.3 s +0 B +1 d +1\.5 MB of 50 GB +0 to 77 +1 +77 +uuid:1-5/)
  assert.match(
    text,
    /orders +loading: 25 % of 1,000 rows, 1 min 15 s left +shop\.orders +orders at primary +0\.4 s +1,234 +99 +1/,
  )
  const json = await line.run('status', '--json', '--url', `http://127.0.0.1:${server.port}`)
  assert.deepEqual(JSON.parse(json.out.join('')), statusWith({}, true))
})

test('status ends with 1 and tells the remedy when something has failed', async (t) => {
  const status = statusWith({ state: 'failed', error: 'the index is gone', remedy: 'make it' }, true)
  const server = await startControl({
    host: '127.0.0.1',
    port: 0,
    operations: operationsWith({ status: () => Promise.resolve(status) }),
    redact: String,
  })
  t.after(() => server.close())
  const { code, out } = await commandLine(t).run('status', '--url', `http://127.0.0.1:${server.port}`)
  assert.equal(code, 1)
  assert.match(
    out.join('\n'),
    /\norders: the index is gone\n {2}remedy: make it\n\nLATELY\n2026\S+ {2}started$/,
  )
})

test('status shows new columns that wait to be accepted, and how that is done', async (t) => {
  const server = await startControl({
    host: '127.0.0.1',
    port: 0,
    operations: operationsWith({
      status: () => Promise.resolve(statusWith({ proposed: { colour: '{"type":"keyword"}' } }, true)),
    }),
    redact: String,
  })
  t.after(() => server.close())
  const { out } = await commandLine(t).run('status', '--url', `http://127.0.0.1:${server.port}`)
  assert.match(
    out.join('\n'),
    /orders: new columns of \S+ are left out: colour \{"type":"keyword"\}\n.*--reload orders.*--keep orders/,
  )
})

test('status reads the state folder when no daemon answers, and ends with 3', async (t) => {
  const offline = statusWith(
    { state: 'offline', indexed: null, deleted: null, lookedUp: null, proposed: {}, load: null },
    false,
  )
  const line = commandLine(t, { localStatus: () => Promise.resolve(offline) })
  line.write('config/millrace.yaml', twoServers)
  const { code, out, err } = await line.run('status')
  assert.equal(code, 3)
  assert.deepEqual(err, ['no daemon runs on this state folder; this is what it says:'])
  assert.match(out.join('\n'), /orders +offline .* - +- +- +0$/m)
})

test('status of an address where nobody answers ends with 3', async (t) => {
  const server = await startControl({
    host: '127.0.0.1',
    port: 0,
    operations: operationsWith({ status: () => Promise.resolve(statusWith({}, true)) }),
    redact: String,
  })
  await server.close()
  const { code, err } = await commandLine(t).run('status', '--url', `http://127.0.0.1:${server.port}`)
  assert.equal(code, 3)
  assert.match(err.join('\n'), /no daemon answers/)
})
