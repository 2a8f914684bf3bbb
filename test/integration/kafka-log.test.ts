/** The log in Kafka keeps to what every log keeps to, on each release of the brokers. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Failure } from '../../src/change/failure.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts'
import type { Log } from '../../src/log/log.ts'
import { offsetOfSeq, openKafkaLog } from '../../src/log/kafka/kafka-log.ts'
import { Client } from '../../src/log/kafka/client.ts'
import { namesOf } from '../../src/log/kafka/names.ts'
import { createDebeziumSource } from '../../src/source/debezium/debezium-source.ts'
import { testDeadLetters } from '../contract/dead-letters.contract.ts'
import { testLogMove } from '../contract/log-move.contract.ts'
import { testLog } from '../contract/log.contract.ts'
import { testManyLetters } from '../contract/many-letters.contract.ts'
import { testSource } from '../contract/source.contract.ts'
import { startStack } from '../stack/stack.ts'
import { insertOf, Numbering, testTable } from '../support/changes.ts'
import { dropRecords, independentClient, kafkaOptions, overflowTopics } from '../support/kafka-options.ts'
import { MirroredTable } from '../support/mirrored-table.ts'
import { testTopics } from '../support/topic-rules.ts'
import { testTransactions } from '../support/transaction-rules.ts'

const newest = 'kafka@4.3'

for (const name of [newest, 'kafka@3.9']) {
  const stack = await startStack({ servers: [name] })
  after(() => stack[Symbol.asyncDispose]())
  const { broker } = stack.kafka
  testTopics(name, broker)
  testTransactions(name, broker)

  testLog(name, async () => {
    const options = kafkaOptions(broker, { prefix: `log-${randomUUID()}` })
    const open = (): Promise<Log> => openKafkaLog(options)
    let log = await open()
    const reopen = async (): Promise<Log> => {
      await log.close()
      return (log = await open())
    }
    // The next one that takes over fences the one before, whether it ended or not.
    const crashed: Log[] = []
    const crash = async (): Promise<Log> => {
      crashed.push(log)
      return (log = await open())
    }
    const close = async (): Promise<void> => {
      for (const each of [...crashed, log]) await each.close()
    }
    return { log, reopen, crash, overflow: overflowTopics(options), close }
  })

  testDeadLetters(name, async () => {
    const options = kafkaOptions(broker, { prefix: `letters-${randomUUID()}` })
    let log = await openKafkaLog(options)
    return {
      deadLetters: log.deadLetters,
      crash: async () => {
        await log.close()
        log = await openKafkaLog(options)
        return log.deadLetters
      },
      close: () => log.close(),
    }
  })

  if (name !== newest) continue

  testManyLetters(name, async (t) => {
    const log = await openKafkaLog(kafkaOptions(broker, { prefix: `many-${randomUUID()}` }))
    t.after(() => log.close())
    return log.deadLetters
  })

  test(`${name}: an append that brokers undo because it took too long is tried again, one of a writer that was replaced is not`, async () => {
    const options = kafkaOptions(broker, { prefix: `late-${randomUUID()}` })
    const orders = testTable('shop.orders')
    let [nowMs, stepMs] = [Date.now(), 0]
    const log = await openKafkaLog({ ...options, now: () => (nowMs += stepMs) })
    const client = new Client({ brokers: [broker], clientId: 'test' })
    try {
      await log.tail()
      const numbering = new Numbering(4)
      await log.append(numbering.batch([insertOf(orders, 1)]))
      const { transactionalId } = namesOf(options.prefix, options.source)
      for (const [step, kind] of [
        [0, 'conflict'],
        [31_000, 'transient'],
      ] as const) {
        // What brokers do with the producer in either case.
        await client.initProducer(transactionalId, 30_000)
        stepMs = step
        const batch = numbering.batch([insertOf(orders, 2)])
        await assert.rejects(log.append(batch), (error) => error instanceof Failure && error.kind === kind)
        await log.tail()
        await log.append(batch)
      }
    } finally {
      await client.close()
      await log.close()
    }
  })

  test(`${name}: what retention left is told of every partition by itself`, async () => {
    const prefix = `kept-${randomUUID()}`
    const orders = testTable('shop.orders')
    const log = await openKafkaLog(kafkaOptions(broker, { prefix }))
    try {
      await log.tail()
      const numbering = new Numbering(4)
      for (let id = 1; id <= 60; id++) await log.append(numbering.batch([insertOf(orders, id)]))
      await dropRecords(broker, `${prefix}.shop.orders`, 2)
      const { oldest, next } = await log.retention()
      assert(oldest > 0 && oldest < 40, `the oldest is ${oldest}`)
      const parts = (await log.parts()).filter((part) => part.next > 0)
      assert.equal(parts.length, 4)
      assert(parts.every(({ firstAppendedAtMs }) => firstAppendedAtMs > 0))
      let found = 0
      for await (const { records } of log.range(oldest, next)) found += records.count
      assert.equal(found, 60 - oldest)
    } finally {
      await log.close()
    }
  })

  testLogMove(`between files and ${name}`, async () => {
    const opened: Log[] = [await openKafkaLog(kafkaOptions(broker, { prefix: `move-${randomUUID()}` }))]
    const folder = await mkdtemp(join(tmpdir(), 'millrace-move-'))
    const another = async (): Promise<Log> => {
      const log = await openEmbeddedLog({ directory: join(folder, String(opened.length)) })
      opened.push(log)
      return log
    }
    const [to] = opened
    assert(to !== undefined)
    const close = async (): Promise<void> => {
      for (const log of opened) await log.close()
      await rm(folder, { recursive: true })
    }
    return { from: await another(), to, another, offsetOf: offsetOfSeq, close }
  })

  testSource(
    'debezium-topic',
    async () => {
      const producer = independentClient(broker).producer()
      await producer.connect()
      const schema = `c${randomUUID().slice(0, 8)}`
      const fields = [
        { type: 'int32', optional: false, field: 'id' },
        { type: 'string', optional: false, field: 'name' },
        { type: 'int32', optional: true, field: 'amount' },
      ]
      const mirrored = await MirroredTable.create(
        { broker, producer },
        { schema, table: 'items', fields, key: ['id'], schemas: true },
        1,
      )
      const table = `${schema}.items`
      const source = createDebeziumSource(
        { topic: 'dbserver.{table}', tables: [{ table, excluded: [], columns: {}, key: undefined }] },
        new Client({ brokers: [broker], clientId: 'test' }),
      )
      return {
        source,
        table,
        hugeRows: 6000,
        write: (writes) => mirrored.write(writes),
        truncate: () => mirrored.truncate(),
        close: async () => {
          await source.close()
          await producer.disconnect()
        },
      }
    },
    'stream',
  )
}
