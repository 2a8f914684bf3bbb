/** Processes with roles over one log in Kafka and one store in MySQL: capture moves between two, several deliver. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { KafkaServer } from '../stack/kafka.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { millrace } from '../support/command-process.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { SearchIndex } from '../support/search-index.ts'

suite('roles', { concurrency: false }, () => {
  let stack: Stack

  before(async () => {
    stack = await startStack({ servers: ['mysql', 'kafka', 'elasticsearch'] })
  })
  after(() => stack?.[Symbol.asyncDispose]())

  test('capture moves from process to process, killed or asked to stop; the one that delivers misses nothing', async () => {
    await stack.mysql.execute(
      'CREATE DATABASE roled CHARACTER SET utf8mb4',
      'CREATE DATABASE roled_state',
      'CREATE TABLE roled.items (id INT PRIMARY KEY, name VARCHAR(40))',
      "INSERT INTO roled.items VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    )
    const { broker } = stack.servers.get('kafka') as KafkaServer
    const url = `${stack.mysql.appUrl}roled_state`
    const options = (name: string, roles: string): DaemonOptions => ({
      directory: join(stack.directory, `roled-${name}`),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { items: { table: 'roled.items' } },
      settings: {
        leaseSeconds: 3,
        store: { kind: 'mysql', url },
        log: { kind: 'kafka', lanes: 2, kafka: { brokers: [broker], prefix: 'roled', replication: 1 } },
      },
      extraArguments: ['--roles', roles],
    })
    const index = new SearchIndex(stack.elasticsearch.url, 'items')
    const connection = await stack.mysql.connect()
    let rows = 3
    const written = async (): Promise<void> => {
      rows++
      await connection.query(`INSERT INTO roled.items VALUES (${rows}, 'row ${rows}')`)
      while ((await index.countIfServing()) !== rows) {
        await delivering.until('run', ({ pipelines }) => pipelines[0]?.state === 'running')
        await index.refresh()
      }
    }
    let leading = await DaemonProcess.start(options('one', 'capture,control'))
    await leading.until('lead', ({ sources }) => sources[0]?.state === 'running')
    let other = await DaemonProcess.start(options('other', 'capture,control'))
    const delivering = await DaemonProcess.start(options('third', 'deliver,control'))
    try {
      await written()
      const { sources } = await other.status()
      assert.equal(sources[0]?.state, 'standby')
      assert.match(sources[0].leader ?? '', new RegExp(`:${leading.pid}:`))
      await leading.kill()
      await written()
      assert.match((await delivering.status()).sources[0]?.leader ?? '', new RegExp(`:${other.pid}:`))
      leading = await DaemonProcess.start(options('one', 'capture,control'))
      assert.equal((await other.stop()).code, 0)
      await written()
      other = await DaemonProcess.start(options('other', 'capture,control'))
      // What is asked of capture reaches it wherever it is.
      const touched = await millrace(
        ['touch', 'items', '1', '2', '--wait', '--config', 'config/millrace.yaml'],
        join(stack.directory, 'roled-third'),
        { MYSQL_URL: stack.mysql.cdcUrl, ELASTICSEARCH_URL: stack.elasticsearch.url },
      )
      assert.equal(touched.code, 0, touched.err)
      for (const daemon of [delivering, leading, other]) assert.equal((await daemon.stop()).code, 0)
    } finally {
      connection.destroy()
      for (const daemon of [delivering, leading, other]) await daemon[Symbol.asyncDispose]()
    }
  })

  test('deliverers share the lanes, come, go and die; at rest the index equals the table', async () => {
    await stack.mysql.execute(
      'CREATE DATABASE shared CHARACTER SET utf8mb4',
      'CREATE DATABASE shared_state',
      'CREATE TABLE shared.parts (id INT PRIMARY KEY, revision INT)',
    )
    const { broker } = stack.servers.get('kafka') as KafkaServer
    const options = (name: string, roles: string): DaemonOptions => ({
      directory: join(stack.directory, `shared-${name}`),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { parts: { table: 'shared.parts' } },
      settings: {
        leaseSeconds: 3,
        store: { kind: 'mysql', url: `${stack.mysql.appUrl}shared_state` },
        log: { kind: 'kafka', lanes: 4, kafka: { brokers: [broker], prefix: 'shared', replication: 1 } },
      },
      extraArguments: ['--roles', roles],
    })
    const connection = await stack.mysql.connect()
    const writing = new AbortController()
    const load = writeParts(connection, writing.signal)
    const daemons = [await DaemonProcess.start(options('capture', 'capture,control'))]
    try {
      const [first, second, third] = ['one', 'two', 'three'].map((name) => options(name, 'deliver,control'))
      if (first === undefined || second === undefined || third === undefined) throw new Error('three')
      const one = await DaemonProcess.start(first)
      daemons.push(one)
      await one.until('run', ({ pipelines }) => pipelines[0]?.state === 'running')
      await delivered(stack, connection)
      const [two, three] = [await DaemonProcess.start(second), await DaemonProcess.start(third)]
      daemons.push(two, three)
      await delivered(stack, connection)
      assert.equal((await two.stop()).code, 0)
      await delivered(stack, connection)
      daemons.push(await DaemonProcess.start(second))
      await three.kill()
      writing.abort()
      await load
      await untilEqual(stack, connection)
    } finally {
      writing.abort()
      await load
      connection.destroy()
      for (const daemon of daemons) await daemon[Symbol.asyncDispose]()
    }
  })

  test('roles that cannot be split are refused with the reason', async () => {
    const directory = join(stack.directory, 'roled-third')
    const environment = { MYSQL_URL: stack.mysql.cdcUrl, ELASTICSEARCH_URL: stack.elasticsearch.url }
    const words = ['run', '--config', 'config/millrace.yaml', '--roles', 'capture']
    const refused = await millrace([...words, '--set', 'log.kind=embedded'], directory, environment)
    assert.match(refused.err, /log\.kind embedded one process has them all\n.*kafka/)
    assert.notEqual(refused.code, 0)
  })
})

/** Inserts, updates and many deletes of few rows, until the signal aborts. */
async function writeParts(connection: Connection, signal: AbortSignal): Promise<void> {
  for (let revision = 1; !signal.aborted; revision++) {
    const id = (revision * 7) % 200
    await connection.query(
      revision % 3 === 0
        ? `DELETE FROM shared.parts WHERE id = ${id}`
        : `REPLACE INTO shared.parts VALUES (${id}, ${revision})`,
    )
    if (revision % 50 === 0) await delay(20)
  }
}

/** Waits until what is in the table now has been delivered: a row of its own tells. */
async function delivered({ elasticsearch }: Stack, connection: Connection): Promise<void> {
  const id = 1_000_000 + Math.floor(Math.random() * 1_000_000)
  await connection.query(`INSERT INTO shared.parts VALUES (${id}, 0)`)
  const index = new SearchIndex(elasticsearch.url, 'parts')
  while ((await index.document(String(id))) === undefined) await delay(100)
}

async function untilEqual({ elasticsearch }: Stack, connection: Connection): Promise<void> {
  const index = new SearchIndex(elasticsearch.url, 'parts')
  for (const endMs = Date.now() + 180_000; ;) {
    const [rows] = await connection.query<RowDataPacket[]>(
      'SELECT id, revision FROM shared.parts ORDER BY id',
    )
    await index.refresh()
    const found = new Map<string, unknown>()
    for await (const { _id: id, _source: source } of index.documents()) found.set(id, source)
    const wanted = new Map(rows.map((row) => [String(row['id']), { ...row }]))
    if (isDeepStrictEqual(found, wanted)) return
    assert(Date.now() < endMs, `the index has ${found.size} documents, the table ${wanted.size} rows`)
    await delay(500)
  }
}
