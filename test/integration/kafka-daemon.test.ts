/** The whole daemon with its log in Kafka: what it promises holds when it, the broker or a part of the group is killed. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import type { LogSwitched } from '../../src/cli/parts.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { millrace } from '../support/command-process.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import type { DebeziumRow, DebeziumTable } from '../support/debezium-messages.ts'
import { differencesOfItems } from '../support/items.ts'
import { independentClient, withAdmin } from '../support/kafka-options.ts'
import { MirroredTable } from '../support/mirrored-table.ts'
import { SearchIndex } from '../support/search-index.ts'
import {
  assertMasked,
  createPeople,
  filesWith,
  hiddenText,
  maskSecret,
  peoplePipelines,
} from '../support/people.ts'
import { startSuiteStack } from '../support/suite-stack.ts'
import { changesOf } from '../support/topic-changes.ts'
import { createItems, Workload } from '../support/workload.ts'

suite('a daemon with its log in Kafka', () => {
  let stack: Stack
  let connection: Connection

  before(async () => {
    stack = await startSuiteStack({ servers: ['mysql', 'elasticsearch', 'kafka'] })
    connection = await stack.mysql.connect()
  })
  after(async () => {
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  function options(name: string) {
    return {
      directory: join(stack.directory, name),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { [name]: { table: `${name}.items` } },
      settings: {
        log: {
          kind: 'kafka',
          kafka: { brokers: [stack.kafka.broker], prefix: name, replication: 1, compression: 'gzip' },
        },
      },
    }
  }

  function overTopics(directory: string, names: readonly string[]): DaemonOptions {
    const source = {
      kind: 'debezium-topic',
      topic: 'dbserver.{table}',
      kafka: { brokers: [stack.kafka.broker] },
      types: Object.entries(types).map(([name, type]) => `shop.bare.${name}: ${type}`),
    }
    return {
      directory: join(stack.directory, directory),
      mysqlUrl: '',
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: Object.fromEntries(names.map((name) => [name, { table: `shop.${name}` }])),
      settings: { sources: { main: source } },
    }
  }

  async function assertEqual(name: string): Promise<void> {
    const index = new SearchIndex(stack.elasticsearch.url, name)
    const { rows, differences } = await differencesOfItems(connection, `${name}.items`, index)
    assert.deepEqual(differences.slice(0, 10), [])
    assert(rows > 0)
  }

  test('a topic of Debezium is a source: its beginning is the first load, what follows is followed through a kill', async () => {
    const { broker } = stack.kafka
    const producer = independentClient(broker).producer()
    await producer.connect()
    const mirrors: MirroredTable[] = []
    const inTopics = overTopics('debezium', Object.keys(tables))
    for (const table of Object.values(tables))
      mirrors.push(await MirroredTable.create({ broker, producer }, table, 3))
    for (const mirror of mirrors) {
      for (let id = 1; id <= 40; id++) await mirror.put(rowOf(id, 'snapshot'), 'r')
      await mirror.put({ ...rowOf(1, 'changed'), price: null })
    }
    let daemon = await DaemonProcess.start(inTopics)
    try {
      await untilRead(broker, daemon, mirrors)
      await daemon.kill()
      for (const mirror of mirrors) {
        for (let id = 30; id <= 60; id++) await mirror.put(rowOf(id, 'later'))
        for (let id = 5; id <= 25; id++) await mirror.delete(id)
        await mirror.put(rowOf(7, 'again'))
      }
      daemon = await DaemonProcess.start(inTopics)
      await untilRead(broker, daemon, mirrors)
      const touched = await millrace(['touch', 'blocks', '1'], inTopics.directory, {
        ELASTICSEARCH_URL: stack.elasticsearch.url,
      })
      assert.equal(touched.code, 1)
      assert.match(touched.err, /rows can be read from its messages alone/)
      for (const [at, name] of Object.keys(tables).entries())
        await assertMirrored(name, mirrors[at]?.rows ?? new Map())
    } finally {
      await daemon.kill()
      await producer.disconnect()
    }
  })

  test('the broker of a topic that is a source is waited for, at the start and in mid-stream', async () => {
    const { broker } = stack.kafka
    const producer = independentClient(broker).producer()
    await producer.connect()
    const table = { schema: 'shop', table: 'waited', fields, key: ['id'], schemas: true }
    const mirror = await MirroredTable.create({ broker, producer }, table, 3)
    for (let id = 1; id <= 20; id++) await mirror.put(rowOf(id, 'snapshot'), 'r')
    await stack.kafka.kill()
    await using daemon = new DaemonProcess(overTopics('waited', ['waited']))
    try {
      await daemon.untilWaiting(/source main is waiting: .*ECONNREFUSED/)
      await stack.kafka.start()
      await untilRead(broker, daemon, [mirror])
      await stack.kafka.kill()
      await daemon.untilWaiting(/source main is waiting: .*127\.0\.0\.1/)
      await daemon.until('say what to do', ({ sources }) =>
        /see that the brokers run/.test(sources[0]?.remedy ?? ''),
      )
      await stack.kafka.start()
      for (let id = 15; id <= 30; id++) await mirror.put(rowOf(id, 'later'))
      await untilRead(broker, daemon, [mirror])
      await assertMirrored('waited', mirror.rows)
    } finally {
      await producer.disconnect()
    }
  })

  async function assertMirrored(name: string, rows: ReadonlyMap<number, DebeziumRow>): Promise<void> {
    const index = new SearchIndex(stack.elasticsearch.url, name)
    await index.refresh()
    const found = (await Array.fromAsync(index.documents())).map(({ _source }) => _source)
    assert.deepEqual(
      found.toSorted((one, other) => Number(one['id']) - Number(other['id'])),
      documentsOf(rows),
    )
  }

  test('a log goes from files to Kafka and back under load, and nothing is loaded anew', async () => {
    const name = 'moved'
    const inKafka = options(name)
    const { log: kafka } = inKafka.settings
    const inFiles = { ...inKafka, settings: { log: { ...kafka, kind: 'embedded' } } }
    const environment = { MYSQL_URL: stack.mysql.cdcUrl, ELASTICSEARCH_URL: stack.elasticsearch.url }
    const command = (words: string, killAfterMs?: number): ReturnType<typeof millrace> =>
      millrace(words.split(' '), inKafka.directory, environment, killAfterMs)
    await createItems(connection, `${name}.items`, 1000)
    const connect = (): Promise<Connection> => stack.mysql.connect()
    const load = { connect, table: `${name}.items`, seed: 11, ids: 1500, transactionsPerSecond: 100 }
    const workload = new Workload(load)
    let daemon = await DaemonProcess.start(inFiles)
    try {
      const { pipelines: loaded } = await untilCaughtUp(daemon, connection)
      workload.start()
      assert.equal((await command(`pipelines pause ${name}`)).code, 0)
      await daemon.until('be behind', ({ pipelines }) => (pipelines[0]?.lagChanges ?? 0) > 300)
      assert.match((await command('log switch kafka')).err, /another process writes the log/)
      await daemon.stop()
      const examined = await command('doctor --set log.kind=kafka')
      assert.match(examined.out, /session timeout +lanes .* 45 s, not for 10 s/)
      assert.match(examined.out, /replicas +new topics: each partition is on one broker/)
      for (const killAfterMs of [600, 1000, 1400]) await command('log switch kafka', killAfterMs)
      const switched = await command('log switch kafka')
      assert.equal(switched.code, 0, switched.err)
      const refusing = new DaemonProcess(inFiles)
      assert.notEqual((await refusing.ended()).code, 0)
      assert.match(refusing.outputTail(), /was left: the one in kafka goes on from it/)

      daemon = await DaemonProcess.start(inKafka)
      const second = new DaemonProcess(inKafka)
      assert.notEqual((await second.ended()).code, 0)
      assert.match(
        second.output(),
        /another process works with the log in Kafka.*\n.*a state directory of its own/,
      )
      assert.equal((await command(`pipelines resume ${name}`)).code, 0)
      await daemon.until('deliver', ({ pipelines }) => (pipelines[0]?.indexed ?? 0) > 300)
      await daemon.stop()
      const back = await command('log switch embedded --json')
      assert.equal(back.code, 0, back.err)
      const { copied, ...told } = JSON.parse(back.out) as LogSwitched
      assert.ok(copied >= 0 && told.seq > 1000, back.out)
      assert.deepEqual(
        [told.source, told.from, told.to, told.outcome, told.groups, told.leftBehind],
        ['main', 'kafka', 'embedded', 'moved', [`${name}@primary`], []],
      )

      daemon = await DaemonProcess.start(inFiles)
      await workload.stop()
      const { pipelines } = await untilCaughtUp(daemon, connection)
      await assertEqual(name)
      assert.deepEqual(pipelines[0]?.load, loaded[0]?.load, 'no other load was begun')
    } finally {
      await workload.stop()
      await daemon.kill()
    }
  })

  test('what is masked is in no topic, neither in values nor in keys nor in headers', async () => {
    const name = 'hidden'
    await createPeople(connection, name, 60)
    const {
      settings: { log },
      ...plain
    } = options(name)
    const people = {
      ...plain,
      pipelines: peoplePipelines(name),
      settings: {
        log: { ...log, kafka: { ...log.kafka, compression: 'none' } },
        masks: { secret: maskSecret },
      },
    }
    await using daemon = await DaemonProcess.start(people)
    await untilCaughtUp(daemon, connection)
    for (const sql of [
      `UPDATE ${name}.people SET email = '${hiddenText('changed')}' WHERE id = 1`,
      `UPDATE ${name}.people SET code = 'no number' WHERE id = 2`,
      `DELETE FROM ${name}.people WHERE id = 3`,
      `UPDATE ${name}.notes SET body = '${hiddenText('moved')}', person = 5 WHERE id = 4`,
    ])
      await connection.query(sql)
    await untilCaughtUp(daemon, connection)
    await daemon.until('a dead letter', ({ pipelines }) =>
      pipelines.some(({ deadLetters }) => deadLetters === 1),
    )
    // All that the broker has, of whatever topic.
    const { dataDirectory } = stack.kafka
    assert.deepEqual(filesWith(dataDirectory, 'not-to-be-seen'), [])
    assert(filesWith(dataDirectory, 'no number').length > 0, 'what is not masked is there as it is')
    const index = new SearchIndex(stack.elasticsearch.url, `${name}_joined`)
    await assertMasked(connection, name, index)
  })

  test('the index follows the table through kills of the daemon and of the broker, each change once; a broker is waited for at the start', async () => {
    const name = 'killed'
    await createItems(connection, `${name}.items`, 2000)
    await stack.kafka.kill()
    let daemon = new DaemonProcess(options(name))
    try {
      await daemon.untilWaiting(/source main is waiting: .*ECONNREFUSED/)
      const environment = { MYSQL_URL: stack.mysql.cdcUrl, ELASTICSEARCH_URL: stack.elasticsearch.url }
      const status = await millrace(['status'], options(name).directory, environment)
      assert.match(status.err, /source main is waiting: .*127\.0\.0\.1/)
      assert.equal((await daemon.stop()).code, 0)
      daemon = new DaemonProcess(options(name))
      await daemon.untilWaiting(/source main is waiting/)
      await stack.kafka.start()
      await daemon.untilReady()
      const workload = new Workload({
        connect: () => stack.mysql.connect(),
        table: `${name}.items`,
        seed: 7,
        ids: 3000,
        transactionsPerSecond: 100,
      })
      workload.start()
      await daemon.until('deliver something', ({ pipelines }) => (pipelines[0]?.indexed ?? 0) > 500)
      await daemon.kill()
      daemon = await DaemonProcess.start(options(name))
      await daemon.until('deliver something', ({ pipelines }) => (pipelines[0]?.indexed ?? 0) > 100)
      await stack.kafka.kill()
      await stack.kafka.start()
      await workload.stop()
      await untilCaughtUp(daemon, connection)
      await assertEqual(name)
    } finally {
      await daemon.kill()
    }
    const changes = await changesOf(stack.kafka.broker, `${name}.${name}.items`)
    assert(changes.length > 100)
    assert.equal(new Set(changes.map(({ version }) => version)).size, changes.length, 'each change once')
    for (const partition of new Set(changes.map((change) => change.partition))) {
      const own = changes.filter((change) => change.partition === partition).map(({ version }) => version)
      assert.deepEqual(
        own,
        own.toSorted((one, other) => (one < other ? -1 : 1)),
        'in order',
      )
    }
  })
})

const fields = [
  { type: 'int64', optional: false, field: 'id' },
  { type: 'string', optional: true, field: 'name' },
  {
    type: 'bytes',
    optional: true,
    field: 'price',
    name: 'org.apache.kafka.connect.data.Decimal',
    version: 1,
    parameters: { scale: '2', 'connect.decimal.precision': '12' },
  },
  { type: 'int64', optional: true, field: 'made_at', name: 'io.debezium.time.MicroTimestamp', version: 1 },
]
const tables: Readonly<Record<string, DebeziumTable>> = {
  blocks: { schema: 'shop', table: 'blocks', fields, key: ['id'], schemas: true },
  bare: { schema: 'shop', table: 'bare', fields, key: ['id'], schemas: false },
}
const types = {
  id: 'int64',
  name: 'string',
  price: 'decimal(2)',
  made_at: 'io.debezium.time.MicroTimestamp',
}

/** All that the topics hold now is captured and delivered. */
async function untilRead(
  broker: string,
  daemon: DaemonProcess,
  mirrors: readonly MirroredTable[],
): Promise<void> {
  const places = await withAdmin(broker, async (admin) => {
    const found: string[] = []
    for (const { topic } of mirrors) {
      const offsets = await admin.fetchTopicOffsets(topic)
      const ends = offsets.toSorted((one, other) => one.partition - other.partition).map(({ high }) => high)
      found.push(`${topic} ${ends.join(' ')}`)
    }
    return found
  })
  await daemon.until('read the topics to their ends', ({ sources, pipelines }) => {
    const position = sources[0]?.position ?? ''
    return (
      places.every((place) => position.includes(place)) &&
      sources.every(({ state }) => state === 'running') &&
      pipelines.every(({ lagChanges, state }) => lagChanges === 0 && state === 'running')
    )
  })
}

function rowOf(id: number, name: string): DebeziumRow & { readonly id: number } {
  return { id, name: `${name} ${id}`, price: 'BNI=', made_at: 1_763_805_600_000_001 }
}

function documentsOf(rows: ReadonlyMap<number, DebeziumRow>): readonly unknown[] {
  return [...rows.values()]
    .map(({ id, name, price }) => ({
      id,
      name,
      price: price === null ? null : '12.34',
      made_at: '2025-11-22T10:00:00.000001',
    }))
    .toSorted((one, other) => Number(one.id) - Number(other.id))
}
