import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Operations, PipelineStatus, TouchRequest } from '../../../src/control/operations.ts'
import { startControl } from '../../../src/control/server.ts'
import { commandLine, twoServers, type CommandLine } from '../../support/command-line.ts'
import { emptyStatus, operationsWith } from '../../support/operations.ts'

async function withDaemon(t: TestContext, change: Partial<Operations>): Promise<CommandLine> {
  const operations = operationsWith(change)
  const server = await startControl({ host: '127.0.0.1', port: 0, operations, redact: String })
  t.after(() => server.close())
  const line = withoutDaemon(t)
  line.write('state/control.json', JSON.stringify({ host: server.host, port: server.port }))
  return line
}

function withoutDaemon(t: TestContext): CommandLine {
  const line = commandLine(t)
  line.write('config/millrace.yaml', twoServers)
  line.write('config/pipelines/orders.yaml', 'table: shop.orders\n')
  return line
}

/** Notes what was asked; a key that holds `bad` is malformed. */
function noting(asked: TouchRequest[]): Operations['touch'] {
  return (request) => {
    asked.push(request)
    const malformed = request.keys.flatMap((key, at) => (key.includes('bad') ? [{ at, why: 'no key' }] : []))
    const touched = malformed.length > 0 ? 0 : request.keys.length
    return Promise.resolve({ touched, until: 100 * asked.length, malformed })
  }
}

test('keys come from words, a file or what is piped in, in requests of bounded size', async (t) => {
  const asked: TouchRequest[] = []
  const line = await withDaemon(t, { touch: noting(asked) })
  assert.deepEqual(await line.run('touch', 'orders', '42', '["de",7]'), {
    code: 0,
    out: ['2 keys touched'],
    err: [],
  })
  assert.deepEqual(asked, [{ pipeline: 'orders', keys: ['42', '["de",7]'] }])
  const keys = Array.from({ length: 2500 }, (_, id) => `K\u00f6ln ${id}`)
  line.write('keys.txt', keys.join('\r\n'))
  const { out } = await line.run('touch', 'orders@primary', '--file', 'keys.txt', '--json')
  assert.deepEqual(
    out.map((text) => JSON.parse(text) as unknown),
    [{ pipeline: 'orders@primary', touched: 2500, until: 400, refused: 0 }],
  )
  assert.deepEqual(
    asked.slice(1).map((request) => request.keys.length),
    [1000, 1000, 500],
  )
  assert.deepEqual(
    asked.slice(1).flatMap((request) => request.keys),
    keys,
  )
  assert.equal((await line.runWith('1\n\n2\n', 'touch', 'orders', '-')).code, 0)
  assert.deepEqual(asked.at(-1)?.keys, ['1', '2'])
})

test('a line that is no key is named, and what came before it', async (t) => {
  const line = await withDaemon(t, { touch: noting([]) })
  const lines = Array.from({ length: 1003 }, (_, at) => (at === 1001 ? 'bad' : String(at)))
  const { code, err, out } = await line.runWith(lines.join('\n'), 'touch', 'orders', '-')
  assert.deepEqual([code, out], [1, []])
  assert.deepEqual(err.slice(0, 2), ['line 1002: no key', '1,000 keys before these were touched'])
  const first = await line.run('touch', 'orders', 'good', 'bad')
  assert.deepEqual(first.err.slice(0, 2), ['key 2: no key', 'nothing was touched'])
})

test('--wait ends when every target has passed the last touch, and says what was refused', async (t) => {
  const states = [
    { primary: [90, 120], backup: [100, 50], letters: 3 },
    { primary: [100, 120], backup: [100, 99], letters: 4 },
    { primary: [100, 120], backup: [100, 100], letters: 4 },
  ]
  let at = 0
  const status: Operations['status'] = () => {
    // The first is asked before anything is touched.
    const { primary, backup, letters } =
      states[Math.max(0, Math.min(at++ - 1, 2))] ?? states[0] ?? assert.fail()
    const pipelines = [of('primary', primary, at === 1 ? 3 : letters), of('backup', backup, 0)]
    return Promise.resolve({ ...emptyStatus, pipelines })
  }
  const line = await withDaemon(t, { status, touch: noting([]) })
  const { code, out, err } = await line.run('touch', 'orders', '1', '--wait')
  assert.deepEqual([code, out], [1, ['1 keys touched and written']])
  assert.deepEqual(err, ['1 documents were refused meanwhile and are dead letters now'])
  assert.equal(at, 4)
})

test('--wait does not wait for a pipeline that has failed', async (t) => {
  const failed = { ...of('primary', [0], 0), state: 'failed', error: 'the index is gone', remedy: 'make it' }
  const status: Operations['status'] = () =>
    Promise.resolve({ ...emptyStatus, pipelines: [failed as PipelineStatus] })
  const line = await withDaemon(t, { status, touch: noting([]) })
  const { code, err } = await line.run('touch', 'orders', '1', '--wait')
  assert.equal(code, 1)
  assert.deepEqual(err, ['millrace: orders has failed: the index is gone', '  remedy: make it'])
})

test('what is missing is said: keys, a daemon, a file', async (t) => {
  const { run } = withoutDaemon(t)
  const none = await run('touch', 'orders')
  assert.equal(none.code, 3)
  assert.match(none.err.join('\n'), /no daemon runs on this state folder\n {2}remedy: start it: millrace run/)
  const line = await withDaemon(t, {})
  assert.match((await line.run('touch', 'orders')).err.join(), /needs keys/)
  const both = await line.run('touch', 'orders', '1', '--file', 'x')
  assert.deepEqual([both.code, /needs keys/.test(both.err.join())], [2, true])
  const missing = await line.run('touch', 'orders', '--file', 'missing.txt')
  assert.equal(missing.code, 2)
  assert.match(missing.err.join(), /the file missing\.txt cannot be read/)
})

function of(target: string, lanes: readonly number[], deadLetters: number): PipelineStatus {
  return {
    name: 'orders',
    source: 'main',
    target,
    index: 'orders',
    table: 'shop.orders',
    state: 'running',
    error: null,
    remedy: null,
    lagChanges: 0,
    lagSeconds: 0,
    lanes,
    deadLetters,
    load: null,
    indexed: 0,
    deleted: 0,
    lookedUp: 0,
    category: null,
    proposed: {},
  }
}
