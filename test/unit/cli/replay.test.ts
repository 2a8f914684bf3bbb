import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Key } from '../../../src/change/change.ts'
import type { Parts } from '../../../src/cli/parts.ts'
import type { Operations, ReplayRequest, ReplayStatus } from '../../../src/control/operations.ts'
import { startControl } from '../../../src/control/server.ts'
import { commandLine, twoServers, type CommandLine } from '../../support/command-line.ts'
import { operationsWith } from '../../support/operations.ts'

const status: ReplayStatus = {
  pipeline: 'orders',
  table: 'shop.orders',
  from: 10,
  to: 20,
  phase: 'touching',
  share: 0.5,
  touched: 1200,
  barriers: [],
  startedAt: '2026-11-22T10:00:00.000Z',
  endedAt: null,
  failure: null,
}

async function withDaemon(
  t: TestContext,
  change: Partial<Operations>,
  parts: Partial<Parts> = {},
): Promise<CommandLine> {
  const operations = operationsWith(change)
  const server = await startControl({ host: '127.0.0.1', port: 0, operations, redact: String })
  t.after(() => server.close())
  const line = commandLine(t, parts)
  line.write('config/millrace.yaml', twoServers)
  line.write('config/pipelines/orders.yaml', 'table: shop.orders\n')
  line.write('state/control.json', JSON.stringify({ host: server.host, port: server.port }))
  return line
}

test('a replay is begun with what was asked, shown, waited for and cancelled', async (t) => {
  const asked: ReplayRequest[] = []
  const states = [
    status,
    { ...status, share: 0.9 },
    { ...status, phase: 'done', endedAt: '2026-11-22T10:01:00.000Z' },
  ] as const
  let looks = 0
  const line = await withDaemon(t, {
    replay: (request) => Promise.resolve(void asked.push(request)).then(() => status),
    replays: () => Promise.resolve([states[Math.min(looks++, 2)] ?? status]),
    cancelReplay: (pipeline) => Promise.resolve(pipeline === 'orders'),
  })
  const begun = await line.run('replay', 'orders', '--from', '2h', '--to', '1h', '--rate', '100')
  assert.deepEqual(begun, {
    code: 0,
    out: ['replay of orders, offsets 10 to 20: 50 % of the rows are in the log, 1,200 rows'],
    err: [],
  })
  assert.deepEqual(asked, [{ pipeline: 'orders', from: '2h', to: '1h', keysPerSecond: 100 }])
  const waited = await line.run('replay', 'orders', '--from', 'earliest', '--wait', '--json')
  assert.equal(waited.code, 0)
  assert.equal((JSON.parse(waited.out[0] ?? '') as ReplayStatus).phase, 'done')
  assert.match((await line.run('replay', 'orders')).out[0] ?? '', /done/)
  assert.equal((await line.run('replay', 'others')).code, 1)
  assert.equal((await line.run('replay', 'orders', '--cancel')).code, 0)
  assert.equal((await line.run('replay', 'others', '--cancel')).code, 1)
  assert.equal((await line.run('replay', 'orders', '--from', '2h', '--rate', 'fast')).code, 2)
})

test('one that fails tells why, and what it cannot know', async (t) => {
  const failed = {
    ...status,
    phase: 'failed',
    failure: 'it was dropped',
    barriers: ['TRUNCATE TABLE shop.orders'],
    endedAt: status.startedAt,
  } as const
  const line = await withDaemon(t, { replay: () => Promise.resolve(failed) })
  const { code, err } = await line.run('replay', 'orders', '--from', '1', '--wait')
  assert.equal(code, 1)
  assert.match(err.join('\n'), /it was dropped\n.*TRUNCATE TABLE shop\.orders\n.*--reload/)
})

test('a dry run begins nothing; --keys are those of the file, and can be waited for', async (t) => {
  const asked: ReplayRequest[] = []
  const only: (readonly string[] | undefined)[] = []
  const line = await withDaemon(
    t,
    {
      replay: (request) => Promise.resolve(void asked.push(request)).then(() => status),
      replays: () => Promise.resolve([{ ...status, phase: 'done', endedAt: status.startedAt }]),
    },
    {
      async *previewReplay(_, request) {
        only.push(request.only)
        await Promise.resolve()
        yield* ['[1]', '[2]'] as Key[]
        return { from: 10, to: 20, records: 7, barriers: [] }
      },
    },
  )
  line.write('keys.txt', '1\n\n2\n3\n')
  for (const more of [[], ['--keys', 'keys.txt']]) {
    const dry = await line.run('replay', 'orders', '--from', '10', '--dry-run', ...more)
    assert.deepEqual(dry.out, ['offsets 10 to 20: 7 records of its tables, 2 rows would be delivered again'])
  }
  assert.deepEqual([asked, only], [[], [undefined, ['1', '2', '3']]])
  const done = await line.run('replay', 'orders', '--from', '10', '--keys', 'keys.txt', '--wait')
  assert.equal(done.code, 0)
  assert.match(done.out[0] ?? '', /done/)
  assert.deepEqual(asked, [{ pipeline: 'orders', from: '10', keysPerSecond: 0, keys: ['1', '2', '3'] }])
})
