import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import type { AlertMessage } from '../../src/observe/alerts.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { FaultyProxy, type Fault } from '../support/faulty-proxy.ts'
import { differencesOfItems } from '../support/items.ts'
import { SearchIndex } from '../support/search-index.ts'
import { createItems, Workload } from '../support/workload.ts'

const rejected = JSON.stringify({ error: { type: 'es_rejected_execution_exception', reason: 'no room' } })
const noMaster = JSON.stringify({
  error: { type: 'cluster_block_exception', reason: 'blocked by: [SERVICE_UNAVAILABLE/2/no master];' },
})

const storms: Readonly<Record<string, readonly Fault[]>> = {
  'refuses requests with 429': repeated({ kind: 'status', status: 429, body: rejected }, 3),
  'is unavailable': repeated({ kind: 'status', status: 503, body: noMaster }, 3),
  'stands behind a gateway that fails': repeated({ kind: 'status', status: 502, body: '<html>' }, 2),
  'has no room for some documents': repeated({ kind: 'busy', every: 3 }, 8),
  'cuts connections in mid-body': repeated({ kind: 'cut' }, 3),
  'carries out requests and does not say so': repeated({ kind: 'lost' }, 3),
  'answers by halves': repeated({ kind: 'half' }, 3),
}

suite('a target with faults', () => {
  let stack: Stack
  let connection: Connection
  let proxy: FaultyProxy
  let daemon: DaemonProcess
  const alerts: AlertMessage[] = []
  const waits = (): typeof alerts => alerts.filter(({ incident }) => incident === 'faulty@primary:waiting')
  const webhook = createServer((incoming, outgoing) => {
    let body = ''
    incoming.on('data', (piece: Buffer) => (body += piece.toString()))
    incoming.on('end', () => {
      alerts.push(JSON.parse(body) as AlertMessage)
      outgoing.end()
    })
  })

  before(async () => {
    stack = await startStack({ servers: ['mysql', 'elasticsearch'] })
    connection = await stack.mysql.connect()
    proxy = await FaultyProxy.start(stack.elasticsearch.url)
    await once(webhook.listen(0, '127.0.0.1'), 'listening')
    const { port } = webhook.address() as AddressInfo
    await createItems(connection, 'faulty.items', 300)
    daemon = await DaemonProcess.start({
      directory: join(stack.directory, 'faulty'),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: proxy.url,
      pipelines: { faulty: { table: 'faulty.items' } },
      settings: {
        delivery: { waitSecondsMax: 1 },
        alerts: { webhook: `http://127.0.0.1:${port}/hook`, afterSeconds: 1 },
      },
    })
    await untilCaughtUp(daemon, connection)
  })
  after(async () => {
    await daemon?.stop()
    await proxy?.[Symbol.asyncDispose]()
    webhook.close()
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  /** What must hold after each trouble. */
  async function assertHealed(): Promise<void> {
    await untilCaughtUp(daemon, connection)
    const index = new SearchIndex(stack.elasticsearch.url, 'faulty')
    const { rows, differences } = await differencesOfItems(connection, 'faulty.items', index)
    assert.deepEqual(differences.slice(0, 10), [])
    assert(rows > 0)
    assert.equal((await daemon.pipeline('faulty')).deadLetters, 0)
  }

  async function underLoad(trouble: () => Promise<void>): Promise<void> {
    await using workload = new Workload({
      connect: () => stack.mysql.connect(),
      table: 'faulty.items',
      seed: 3,
      ids: 500,
      transactionsPerSecond: 100,
    })
    workload.start()
    await trouble()
    await workload.stop()
  }

  for (const [what, faults] of Object.entries(storms)) {
    test(`that ${what} loses nothing and heals by itself`, async () => {
      const met = proxy.met + faults.length
      await underLoad(async () => {
        proxy.faults.push(...faults)
        await daemon.until('meet the faults', () => proxy.met >= met)
      })
      await assertHealed()
    })
  }

  test('that takes small requests alone gets small requests', async () => {
    proxy.bytesMax = 3000
    const { met } = proxy
    await connection.query("UPDATE faulty.items SET note = REPEAT('long ', 40)")
    await assertHealed()
    assert(proxy.met > met)
    proxy.bytesMax = Infinity
  })

  test('that is blocked for want of disk space is waited for and told of, once', async () => {
    const { elasticsearch } = stack
    const index = new SearchIndex(elasticsearch.url, 'faulty')
    const block = async (value: boolean | null): Promise<void> => {
      await index.ask('PUT', '/faulty/_settings', { 'index.blocks.read_only_allow_delete': value })
    }
    await daemon.until('tell that what was before is over', () => waits().at(-1)?.state !== 'open')
    const earlier = waits().length
    const told = (): typeof alerts => waits().slice(earlier)
    await block(true)
    await underLoad(async () => {
      const waiting = await daemon.until('wait', ({ pipelines }) => pipelines[0]?.state === 'waiting')
      assert.match(waiting.pipelines[0]?.remedy ?? '', /free disk space/)
      await daemon.until('tell', () => told()[0]?.state === 'open')
    })
    await block(null)
    await assertHealed()
    await daemon.until('tell the end', () => told().some(({ state }) => state === 'over'))
    assert.deepEqual(
      told().map(({ state }) => state),
      ['open', 'over'],
    )
    assert.match(
      told()[0]?.text ?? '',
      /^millrace: faulty@primary: waits for its target: .*\nremedy: free disk/,
    )
  })

  test('whose index is deleted under load is filled anew', async () => {
    const index = new SearchIndex(stack.elasticsearch.url, 'faulty')
    await underLoad(async () => {
      await index.delete()
      await daemon.until('fill it', () => daemon.output().split('"fact":"load-finished"').length > 2)
    })
    await assertHealed()
  })
})

function repeated(fault: Fault, times: number): readonly Fault[] {
  return Array.from({ length: times }, () => fault)
}
