/** What a log in Kafka keeps to when somebody changes its topics under it. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import type { FailureKind } from '../../src/change/failure.ts'
import { Failure } from '../../src/change/failure.ts'
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts'
import type { LaneBatch, Log } from '../../src/log/log.ts'
import { allReached, entriesOf, insertOf, Numbering, readUntil, testTable } from './changes.ts'
import { createTopic, kafkaOptions, withAdmin } from './kafka-options.ts'

const lanes = 3
const group = 'orders@main'
const orders = testTable('shop.orders')
const notes = testTable('shop.notes')

interface Subject {
  readonly log: Log
  readonly numbering: Numbering
  readonly prefix: string
  /** An independent client that may do anything to topics. */
  readonly admin: Admin
}

export function testTopics(name: string, broker: string): void {
  const check = (rule: string, body: (subject: Subject) => Promise<void>): void => {
    test(`${name}: ${rule}`, async () => {
      const prefix = `topics-${randomUUID()}`
      const log = await openKafkaLog(kafkaOptions(broker, { prefix }))
      try {
        await log.tail()
        await log.define({ name: group, tables: [orders.name], attributes: {} })
        await withAdmin(broker, (admin) => body({ log, numbering: new Numbering(lanes), prefix, admin }))
      } finally {
        await log.close()
      }
    })
  }
  check('markers of transactions are no lag, and an idle lane commits past them', markers)
  check('a topic that is deleted when all was delivered is made anew, and nothing is missed', deletedAtRest)
  check(
    'a topic that is deleted with what was not delivered is made anew, and who lacks it is told',
    deletedBefore,
  )
  check('a topic that somebody makes anew is read only when it is known what was lost', madeAnew)
  check('partitions that somebody adds stay empty, and all goes on', partitionsAdded)
  check('a topic that somebody made with too few partitions is refused', tooFewPartitions)
  check('without its control topic the log is gone, and says so', controlDeleted)
}

async function markers({ log, numbering, prefix, admin }: Subject): Promise<void> {
  await append(log, numbering, [1, 2, 3, 4, 5, 6])
  await deliver(log, numbering)
  await log.append(numbering.batch([insertOf(notes, 1)]))
  await deliver(log, numbering)
  assert.deepEqual(await log.lag(group), { changes: 0, oldestCommittedAtMs: undefined })
  const topic = `${prefix}.${orders.name}`
  const ends = await admin.fetchTopicOffsets(topic)
  const [committed] = await admin.fetchOffsets({ groupId: `${prefix}.${group}`, topics: [topic] })
  const filled = ends.filter(({ high }) => high !== '0')
  assert(filled.length > 0)
  for (const { partition, high } of filled) {
    const own = committed?.partitions.find((each) => each.partition === partition)
    assert.equal(own?.offset, high, 'the marker behind the last record is passed')
  }
}

async function deletedAtRest({ log, numbering, prefix, admin }: Subject): Promise<void> {
  await append(log, numbering, [1, 2, 3])
  await deliver(log, numbering)
  await deleted(admin, `${prefix}.${orders.name}`)
  await mended(log)
  await append(log, numbering, [4, 5, 6])
  assert.deepEqual(await deliver(log, numbering), ['[4]', '[5]', '[6]'])
  assert.equal((await log.groups())[0]?.lost, false)
}

async function deletedBefore({ log, numbering, prefix, admin }: Subject): Promise<void> {
  await append(log, numbering, [1, 2, 3])
  await deleted(admin, `${prefix}.${orders.name}`)
  await mended(log)
  await assertLost(log)
  const next = await append(log, numbering, [4, 5, 6])
  await log.define({ name: group, tables: [orders.name], at: next - 3, attributes: {} })
  assert.deepEqual(await deliver(log, numbering), ['[4]', '[5]', '[6]'])
}

async function madeAnew({ log, numbering, prefix, admin }: Subject): Promise<void> {
  const topic = `${prefix}.${orders.name}`
  await append(log, numbering, [1, 2, 3])
  await deliver(log, numbering)
  await append(log, numbering, [4, 5, 6])
  await deleted(admin, topic)
  await madeBy(admin, topic)
  // Capture has not looked yet, and writes behind the hole.
  await appendAgain(log, numbering, [7, 8, 9])
  await assert.rejects(deliver(log, numbering), isFailure('transient', /another one has its name|made anew/))
  await mended(log)
  await assertLost(log)
}

async function partitionsAdded({ log, numbering, prefix, admin }: Subject): Promise<void> {
  await append(log, numbering, [1, 2, 3])
  await log.append(numbering.batch([insertOf(orders, 4)], { addressee: group }))
  await deliver(log, numbering)
  const topicPartitions = [`${prefix}.${orders.name}`, `${prefix}.work.main`].map((topic) => ({
    topic,
    count: lanes + 2,
  }))
  await admin.createPartitions({ topicPartitions })
  await append(log, numbering, [5, 6, 7])
  assert.deepEqual(await deliver(log, numbering), ['[5]', '[6]', '[7]'])
  await log.tail()
  await append(log, numbering, [8])
  assert.deepEqual(await deliver(log, numbering), ['[8]'])
}

async function tooFewPartitions({ log, numbering, prefix, admin }: Subject): Promise<void> {
  await createTopic(admin, `${prefix}.${orders.name}`, lanes - 1)
  await assert.rejects(
    append(log, numbering, [1]),
    isFailure('configuration', /has 2 partitions, and the log needs 3/, /delete it/),
  )
}

async function controlDeleted({ log, numbering, prefix, admin }: Subject): Promise<void> {
  await append(log, numbering, [1, 2, 3])
  await deleted(admin, `${prefix}.control.main`)
  const gone = isFailure('corrupt', /was deleted, and the log with it/, /begins a new log/)
  // Brokers say for a while that it passes.
  await eventually(async () => {
    await assert.rejects(log.control(), gone)
  })
}

async function append(log: Log, numbering: Numbering, ids: readonly number[]): Promise<number> {
  return await log.append(numbering.batch(ids.map((id) => insertOf(orders, id))))
}

/** As capture does: what failed is appended again by whoever has taken the log over. */
async function appendAgain(log: Log, numbering: Numbering, ids: readonly number[]): Promise<void> {
  const before = numbering.control
  await append(log, numbering, ids).catch(async () => {
    numbering.control = before
    await log.tail()
    await append(log, numbering, ids)
  })
}

/** Delivers all that there is; the keys of it. */
async function deliver(log: Log, { control }: Numbering): Promise<readonly string[]> {
  const isDone = allReached(control.seq, lanes)
  const read: LaneBatch[] = []
  for await (const batch of log.read(group, new AbortController().signal)) {
    read.push(batch)
    await log.commit(group, batch.lane, batch.next)
    if (isDone(read)) break
  }
  return entriesOf(read).map(({ change }) => change.key)
}

async function deleted(admin: Admin, topic: string): Promise<void> {
  await admin.deleteTopics({ topics: [topic] })
  await eventually(async () => assert(!(await admin.listTopics()).includes(topic)))
}

async function madeBy(admin: Admin, topic: string): Promise<void> {
  await eventually(async () => {
    await createTopic(admin, topic, lanes)
  })
}

/** What the daemon does at intervals. Brokers may need a while for what somebody did. */
async function mended(log: Log): Promise<void> {
  await eventually(async () => {
    await log.drop()
    await log.groups()
  })
}

async function assertLost(log: Log): Promise<void> {
  assert.equal((await log.groups())[0]?.lost, true)
  const stop = new AbortController()
  const reading = readUntil(log.read(group, stop.signal), () => true)
  await assert.rejects(reading, isFailure('lost', /deleted with changes that were not delivered/, /--reload/))
}

function isFailure(kind: FailureKind, message: RegExp, remedy = /./): (error: unknown) => true {
  return (error) => {
    assert(error instanceof Failure, String(error))
    assert.match(error.message, message)
    assert.match(error.remedy ?? 'none', remedy)
    assert.equal(error.kind, kind)
    return true
  }
}

async function eventually(attempt: () => Promise<void>): Promise<void> {
  for (const endMs = performance.now() + 60_000; ;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > endMs) throw error
    }
    await delay(100)
  }
}
