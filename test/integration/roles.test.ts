/** Processes with roles over one log in Kafka and one store in MySQL: capture moves between two, a third delivers. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
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

  test('roles that cannot be split are refused with the reason', async () => {
    const directory = join(stack.directory, 'roled-third')
    const environment = { MYSQL_URL: stack.mysql.cdcUrl, ELASTICSEARCH_URL: stack.elasticsearch.url }
    const words = ['run', '--config', 'config/millrace.yaml', '--roles', 'capture']
    const refused = await millrace([...words, '--set', 'log.kind=embedded'], directory, environment)
    assert.match(refused.err, /log\.kind embedded one process has them all\n.*kafka/)
    assert.notEqual(refused.code, 0)
  })
})
