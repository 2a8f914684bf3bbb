import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { writeFileSync, copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import type { AlertMessage } from '../../src/observe/alert-channel.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { identityIn, makeCertificates } from '../support/certificates.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { FaultyProxy, type Fault } from '../support/faulty-proxy.ts'
import { differencesOfItems } from '../support/items.ts'
import { SearchIndex } from '../support/search-index.ts'
import { SecureProxy } from '../support/secure-proxy.ts'
import { startSuiteStack } from '../support/suite-stack.ts'
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
  'answers twice, or is asked twice on the way': [
    { kind: 'doubled' },
    { kind: 'repeated' },
    { kind: 'again' },
    { kind: 'repeated' },
    { kind: 'doubled' },
  ],
}

suite('a target with faults', () => {
  let stack: Stack
  let connection: Connection
  let proxy: FaultyProxy
  let secure: SecureProxy
  let daemon: DaemonProcess
  /** Rows of the table of shapes whose documents the index refuses. */
  const hostile: number[] = []
  let shapes = 0
  const alerts: AlertMessage[] = []
  const canaryState = (): string =>
    alerts.filter(({ incident }) => incident === 'watched@primary:canary').at(-1)?.state ?? ''
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
    stack = await startSuiteStack({ servers: ['mysql', 'elasticsearch'] })
    connection = await stack.mysql.connect()
    proxy = await FaultyProxy.start(stack.elasticsearch.url)
    await once(webhook.listen(0, '127.0.0.1'), 'listening')
    const { port } = webhook.address() as AddressInfo
    await createItems(connection, 'faulty.items', 300)
    await connection.query('CREATE TABLE faulty.shapes (id INT PRIMARY KEY, size VARCHAR(40), form JSON)')
    await connection.query('CREATE TABLE faulty.watched (id INT PRIMARY KEY, beat BIGINT)')
    await connection.query('INSERT INTO faulty.watched VALUES (0, 0)')
    await connection.query("GRANT UPDATE (beat) ON faulty.watched TO cdc@'%'")
    makeCertificates(stack.directory)
    copyFileSync(join(stack.directory, 'ca.pem'), trustedFile())
    writeFileSync(passwordFile(), 'first-password')
    secure = await SecureProxy.start({
      target: stack.elasticsearch.url,
      identity: identityIn(stack.directory, 'server'),
      username: 'millrace',
      password: 'first-password',
    })
    daemon = await DaemonProcess.start({
      directory: join(stack.directory, 'faulty'),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: proxy.url,
      pipelines: {
        faulty: { table: 'faulty.items', target: { name: 'primary' } },
        secured: { table: 'faulty.items', target: { name: 'secured' } },
        shapes: { table: 'faulty.shapes', target: shapesTarget },
        watched: { table: 'faulty.watched', target: { name: 'primary' }, policy: { canary } },
      },
      settings: {
        targets: {
          primary: { url: proxy.url },
          secured: {
            url: secure.url,
            compress: true,
            tls: { ca: trustedFile() },
            auth: { username: 'millrace', password: `\${file:${passwordFile()}}` },
          },
        },
        delivery: { waitSecondsMax: 1 },
        alerts: { channels: { people: { webhook: `http://127.0.0.1:${port}/hook` } }, afterSeconds: 1 },
      },
    })
    await untilCaughtUp(daemon, connection)
  })
  after(async () => {
    await daemon?.stop()
    await proxy?.[Symbol.asyncDispose]()
    await secure?.[Symbol.asyncDispose]()
    webhook.close()
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  /** What must hold after each trouble. */
  async function assertHealed(): Promise<void> {
    await untilCaughtUp(daemon, connection)
    for (const name of ['faulty', 'secured']) {
      const index = new SearchIndex(stack.elasticsearch.url, name)
      const { rows, differences } = await differencesOfItems(connection, 'faulty.items', index)
      assert.deepEqual(differences.slice(0, 10), [], name)
      assert(rows > 0)
      assert.equal((await daemon.pipeline(name)).deadLetters, 0)
    }
    const index = new SearchIndex(stack.elasticsearch.url, 'shapes')
    await index.refresh()
    assert.equal((await daemon.pipeline('shapes')).deadLetters, hostile.length)
    assert.equal(await index.count(), shapes - hostile.length)
  }

  /** Rows of which one in five is refused by the index. */
  async function insertShapes(): Promise<void> {
    const rows = Array.from({ length: 20 }, (_, at) => [
      shapes + at,
      at % 5 === 0 ? 'large' : String(at),
      '{"kind":"small"}',
    ])
    hostile.push(...rows.flatMap(([id, size]) => (size === 'large' ? [Number(id)] : [])))
    shapes += rows.length
    await connection.query('INSERT INTO faulty.shapes VALUES ?', [rows])
  }

  const trustedFile = (): string => join(stack.directory, 'trusted.pem')
  const passwordFile = (): string => join(stack.directory, 'password')

  async function untilWaiting(name: string, remedy: RegExp): Promise<void> {
    await daemon.until(`${name} waits`, ({ pipelines }) =>
      pipelines.some(
        (each) => each.name === name && each.state === 'waiting' && remedy.test(each.remedy ?? ''),
      ),
    )
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
    await insertShapes()
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
    const blockedAt = new Date().toISOString()
    const told = (): typeof alerts => waits().filter(({ since }) => since >= blockedAt)
    await block(true)
    await underLoad(async () => {
      await untilWaiting('faulty', /free disk space/)
      await daemon.until('tell', () => told().length > 0)
    })
    assert.deepEqual(
      told().map(({ state }) => state),
      ['open'],
    )
    await block(null)
    await assertHealed()
    await daemon.until('tell the end', () => told().at(-1)?.state === 'over')
    assert.match(
      told()[0]?.text ?? '',
      /^millrace: faulty@primary: waits for its target: .*\nremedy: free disk/,
    )
  })

  test('is unready, and people are told, while no search finds what was changed', async () => {
    const index = new SearchIndex(stack.elasticsearch.url, 'watched')
    const found = async (): Promise<number> =>
      Number(/searchable_seconds_count\{[^}]*watched[^}]*\} (\d+)/.exec(await daemon.metrics())?.[1] ?? 0)
    // Documents arrive, and nothing makes them findable.
    await index.ask('PUT', '/watched/_settings', { 'index.refresh_interval': '-1' })
    await daemon.until('tell that it is not found', () => canaryState() === 'open')
    await daemon.untilWaiting(/no search finds the canary/)
    await daemon.until('deliver nevertheless', ({ pipelines }) =>
      pipelines.some(({ name, state }) => name === 'watched' && state === 'running'),
    )
    const earlier = await found()
    await index.ask('PUT', '/watched/_settings', { 'index.refresh_interval': null })
    await daemon.until('tell that it is found', () => canaryState() === 'over')
    await daemon.untilSo('be ready', async () => (await daemon.readiness()).length === 0)
    await daemon.untilSo('count what is found', async () => (await found()) > earlier)
  })

  test('whose index takes no more fields is waited for until it does', async () => {
    const index = new SearchIndex(stack.elasticsearch.url, 'shapes')
    await insertShapes()
    const form = JSON.stringify(Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`field${at}`, at])))
    await connection.query('INSERT INTO faulty.shapes VALUES (?, "1", ?)', [shapes++, form])
    await insertShapes()
    await untilWaiting('shapes', /raise the limit/)
    await index.ask('PUT', '/shapes/_settings', { 'index.mapping.total_fields.limit': 1000 })
    await assertHealed()
  })

  test('whose alias is moved away under load is filled again when it is back', async () => {
    const index = new SearchIndex(stack.elasticsearch.url, 'faulty')
    const [own = ''] = Object.keys(await index.ask<object>('GET', '/faulty/_alias'))
    const move = async (from: string, to: string): Promise<void> => {
      const actions = [{ remove: { index: from, alias: 'faulty' } }, { add: { index: to, alias: 'faulty' } }]
      await index.ask('POST', '/_aliases', { actions })
    }
    await index.ask('PUT', '/elsewhere', {})
    await underLoad(async () => {
      await move(own, 'elsewhere')
      await untilWaiting(
        'faulty',
        new RegExp(`point at ${own} again, or say: millrace pipelines reload faulty`),
      )
      await move('elsewhere', own)
    })
    await assertHealed()
  })

  test('whose certificate, encryption and password change under load is trusted anew, and no other', async () => {
    const { directory } = stack
    await underLoad(async () => {
      secure.become(identityIn(directory, 'other-server'))
      await untilWaiting('secured', /tls\.ca/)
      copyFileSync(join(directory, 'other.pem'), trustedFile())
    })
    await assertHealed()
    await underLoad(async () => {
      secure.encrypt(false)
      await untilWaiting('secured', /./)
      secure.encrypt(true)
    })
    await assertHealed()
    await underLoad(async () => {
      secure.password = 'second-password'
      await untilWaiting('secured', /credentials/)
      writeFileSync(passwordFile(), 'second-password')
    })
    assert(secure.refused > 0)
    await assertHealed()
  })

  test('whose index is deleted under load is filled anew', async () => {
    const index = new SearchIndex(stack.elasticsearch.url, 'faulty')
    await underLoad(async () => {
      const begun = daemon.expect('load-started', { group: 'faulty@primary' })
      await index.delete()
      await begun()
    })
    await assertHealed()
  })
})

/** A row that is kept for it. */
const canary = { row: '0', column: 'beat', everySeconds: 1, withinSeconds: 4 }

/** Few fields, of which one takes numbers alone. */
const shapesTarget = {
  name: 'primary',
  settings: { 'mapping.total_fields.limit': 10 },
  mappings: { size: { type: 'integer' }, form: { type: 'object', enabled: true, dynamic: true } },
}

function repeated(fault: Fault, times: number): readonly Fault[] {
  return Array.from({ length: times }, () => fault)
}
