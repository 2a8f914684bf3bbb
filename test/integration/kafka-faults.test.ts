/** A daemon with its log in Kafka, while connections break, somebody touches topics, brokers change and clocks jump. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import { startKafka, type KafkaServer } from '../stack/kafka.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaptured, untilCaughtUp } from '../support/caught-up.ts'
import { millrace } from '../support/command-process.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { startFreezingProxy } from '../support/freezing-proxy.ts'
import { differencesOfItems } from '../support/items.ts'
import { dropRecords, setOfTopics, withAdmin } from '../support/kafka-options.ts'
import { movePartitions } from '../support/kafka-moves.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'
import { createItems, Workload } from '../support/workload.ts'

suite('a daemon on Kafka in trouble', { concurrency: false }, () => {
  let stack: Stack
  let kafka: KafkaServer
  let proxy: Awaited<ReturnType<typeof startFreezingProxy>>
  let connection: Connection

  before(async () => {
    stack = await startSuiteStack({ servers: ['mysql', 'elasticsearch'] })
    kafka = await startKafka({
      directory: stack.directory,
      listeners: {
        proxied: {
          protocol: 'PLAINTEXT',
          advertised: async (port) => {
            proxy = await startFreezingProxy(port)
            return proxy.port
          },
        },
      },
    })
    stack.add('kafka', kafka)
    connection = await stack.mysql.connect()
  })
  after(async () => {
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
    await proxy?.[Symbol.asyncDispose]()
  })

  function options(name: string, more: Partial<DaemonOptions> = {}, broker = kafka.broker): DaemonOptions {
    return {
      directory: join(stack.directory, name),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { [name]: { table: `${name}.items` } },
      settings: { log: { kind: 'kafka', kafka: { brokers: [broker], prefix: name, replication: 1 } } },
      ...more,
    }
  }

  function workloadOn(name: string): Workload {
    return new Workload({
      connect: () => stack.mysql.connect(),
      table: `${name}.items`,
      seed: 11,
      ids: 1000,
      transactionsPerSecond: 50,
    })
  }

  async function assertEqual(daemon: DaemonProcess, name: string): Promise<void> {
    await untilCaughtUp(daemon, connection)
    const index = new SearchIndex(stack.elasticsearch.url, name)
    const { rows, differences } = await differencesOfItems(connection, `${name}.items`, index)
    assert.deepEqual(differences.slice(0, 10), [])
    assert(rows > 0)
  }

  test('connections to brokers that are cut and slow lose nothing', async () => {
    const name = 'connections'
    await createItems(connection, `${name}.items`, 100)
    await using workload = workloadOn(name)
    await using daemon = await DaemonProcess.start(options(name, {}, kafka.listener('proxied')))
    workload.start()
    await goesOn(daemon)
    for (let cut = 0; cut < 3; cut++) {
      proxy.cut()
      await goesOn(daemon)
    }
    proxy.slow(50)
    proxy.cut()
    await goesOn(daemon)
    await workload.stop()
    await assertEqual(daemon, name)
  })

  test('a clock that jumps by hours stops nothing', async () => {
    const name = 'clock'
    await createItems(connection, `${name}.items`, 100)
    await using workload = workloadOn(name)
    const preload = new URL('../support/jumping-clock.ts', import.meta.url).href
    const environment = { NODE_OPTIONS: `--import ${preload}`, CLOCK_JUMPS: '30,-60' }
    await using daemon = await DaemonProcess.start(options(name, { environment }))
    workload.start()
    for (let jump = 0; jump < 2; jump++) {
      await goesOn(daemon)
      daemon.signal('SIGUSR2')
    }
    await goesOn(daemon)
    await workload.stop()
    await assertEqual(daemon, name)
    assert.doesNotMatch(daemon.output(), /"level":"(error|fatal)"/)
  })

  test('what a stopped pipeline lacks and the topic loses is told at once, and a reload mends it', async () => {
    const name = 'dropped'
    await createItems(connection, `${name}.items`, 100)
    const environment = { MYSQL_URL: stack.mysql.cdcUrl, ELASTICSEARCH_URL: stack.elasticsearch.url }
    const command = (...words: string[]) => millrace(words, join(stack.directory, name), environment)
    await using daemon = await DaemonProcess.start(options(name))
    await assertEqual(daemon, name)
    const paused = await command('pipelines', 'pause', name, '--config', 'config/millrace.yaml')
    assert.equal(paused.code, 0, paused.err)
    await daemon.until('pause', ({ pipelines }) => pipelines[0]?.state === 'paused')
    await connection.query(`UPDATE ${name}.items SET counter = counter + 1`)
    await untilCaptured(daemon, connection)
    const topic = `${name}.${name}.items`
    const noticed = daemon.expect('group-lost')
    await dropRecords(kafka.broker, topic)
    await noticed()
    await withAdmin(kafka.broker, (admin) => admin.deleteTopics({ topics: [topic] }))
    await connection.query(`UPDATE ${name}.items SET counter = counter + 1 WHERE id < 10`)
    const resumed = await command('pipelines', 'resume', name, '--config', 'config/millrace.yaml')
    assert.equal(resumed.code, 0, resumed.err)
    assert.equal((await daemon.ended()).code, 1)
    assert.match(daemon.outputTail(5), new RegExp(`--reload ${name}`))
    await using again = await DaemonProcess.start(options(name, { extraArguments: ['--reload', name] }))
    await assertEqual(again, name)
  })

  test('leaders and coordinators that move to another broker lose nothing; too few replicas are waited for', async () => {
    const name = 'moved'
    await createItems(connection, `${name}.items`, 100)
    await using workload = workloadOn(name)
    await using daemon = await DaemonProcess.start(options(name))
    workload.start()
    await goesOn(daemon)
    const second = await startKafka({ directory: stack.directory, joins: kafka })
    stack.add('kafka-2', second)
    await movePartitions(kafka.broker, 2)
    await goesOn(daemon)
    await movePartitions(kafka.broker, 1)
    await goesOn(daemon)
    await workload.stop()
    const topics = [`${name}.${name}.items`, `${name}.control.main`, `${name}.work.main`]
    await movePartitions(kafka.broker, 1, 2)
    await setOfTopics(kafka.broker, topics, { name: 'min.insync.replicas', value: '2' })
    await second.stop()
    await connection.query(`UPDATE ${name}.items SET counter = counter + 1`)
    await daemon.until('say what to do', ({ sources: [source] }) =>
      /lower min\.insync\.replicas/.test(source?.remedy ?? ''),
    )
    await setOfTopics(kafka.broker, topics, { name: 'min.insync.replicas', value: '1' })
    await assertEqual(daemon, name)
  })
})

/** What is committed from now on is delivered. */
async function goesOn(daemon: DaemonProcess): Promise<void> {
  const { pipelines } = await daemon.until('answer', () => true)
  const indexed = pipelines[0]?.indexed ?? 0
  await daemon.until('deliver more', (status) => (status.pipelines[0]?.indexed ?? 0) > indexed + 20)
}
