/** What `src/log/kafka/last-transaction.ts` takes for granted of brokers, and that it mends what one of them forgot. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import { Client, type Producer } from '../../src/log/kafka/client.ts'
import { placeName, type Place } from '../../src/log/kafka/connections.ts'
import { LastTransaction } from '../../src/log/kafka/last-transaction.ts'
import { BuilderPool, Outgoing } from '../../src/log/kafka/outgoing.ts'
import { createTopic, withAdmin } from './kafka-options.ts'

const transactionTimeoutMs = 30_000

export function testTransactions(name: string, broker: string): void {
  test(`${name}: an epoch is passed over where something was open, and only there`, async () => {
    await using writing = await Writing.over(broker)
    const { last, places } = writing
    const first = await writing.takeOver()
    await last.begin(first, places)
    await writing.write(first, places)
    await last.end(first, places, true)
    const second = await writing.takeOver()
    assert.deepEqual([second.id, second.epoch], [first.id, first.epoch + 1], 'what was open is kept')
    await last.begin(second, places)
    await writing.write(second, places)
    const third = await writing.takeOver()
    assert(third.id === second.id && third.epoch > second.epoch + 1, 'what was open is undone')
    const fourth = await writing.takeOver()
    assert.equal(fourth.epoch, third.epoch + 1)
    assert.deepEqual(await writing.open(), [])
  })

  test(`${name}: a partition that was left without its marker is given it`, async () => {
    await using writing = await Writing.over(broker)
    const { last, places } = writing
    const [known] = places
    assert(known !== undefined)
    const first = await writing.takeOver()
    await verifyPartitions(broker, false)
    try {
      // The broker ends what it was told of; the other one stays as it is where a broker dies before it gets to it.
      await last.begin(first, [known])
      await writing.write(first, [known])
      await untilAccepted(() => writing.write(first, places.slice(1)))
      await last.end(first, places, true)
    } finally {
      await verifyPartitions(broker, true)
    }
    const second = await writing.takeOver()
    assert.deepEqual(await writing.open(), places.slice(1).map(placeName))
    await last.endAgain(second)
    await writing.takeOver()
    assert.deepEqual(await writing.open(), [])
    assert.deepEqual(await writing.read(), [1, 1])
  })
}

/** Whether brokers refuse records for partitions that the transaction does not name. */
async function verifyPartitions(broker: string, isOn: boolean): Promise<void> {
  await withAdmin(broker, (admin) =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.BROKER,
          name: '1',
          configEntries: [{ name: 'transaction.partition.verification.enable', value: String(isOn) }],
        },
      ],
    }),
  )
}

/** Settings reach the broker a little later than they are acknowledged. */
async function untilAccepted(write: () => Promise<void>): Promise<void> {
  for (;;)
    try {
      return await write()
    } catch (error) {
      if (!/invalid state/.test(String(error))) throw error
      await delay(20)
    }
}

/** One transactional id over two topics. */
class Writing implements AsyncDisposable {
  readonly places: readonly Place[]
  readonly last: LastTransaction
  readonly #client: Client
  readonly #id = `writing-${randomUUID()}`

  static async over(broker: string): Promise<Writing> {
    const topics = ['control', 'orders'].map((topic) => `${topic}-${randomUUID()}`)
    await withAdmin(broker, (admin) => Promise.all(topics.map((topic) => createTopic(admin, topic, 1))))
    return new Writing(new Client({ brokers: [broker], clientId: 'test' }), topics)
  }

  private constructor(client: Client, topics: readonly string[]) {
    this.#client = client
    this.last = new LastTransaction(client)
    this.places = topics.map((topic) => ({ topic, partition: 0 }))
  }

  /** Resolves when nothing that was begun before is under way at the coordinator. */
  async takeOver(): Promise<Producer> {
    return await this.#client.initProducer(this.#id, transactionTimeoutMs)
  }

  /** One record to each, the first of the producer's. */
  async write(producer: Producer, places: readonly Place[]): Promise<void> {
    const outgoing = new Outgoing({
      producer,
      sequences: new Map(),
      builders: new BuilderPool(),
      compression: 'none',
      appendedAtMs: Date.now(),
    })
    for (const { topic, partition } of places)
      outgoing
        .topic(topic)
        .at(partition)
        .builder.add(Buffer.from('1'), Buffer.from('{}'), Buffer.from([0]))
    outgoing.finish()
    const batches = outgoing.partitions.flatMap(({ topic, partition, batches: own }) =>
      own.map((batch) => ({ topic, partition, batch })),
    )
    await this.#client.produce(producer.transactionalId, batches)
  }

  /** Those at which readers of finished records are held up. */
  async open(): Promise<readonly string[]> {
    const finished = await this.#client.ends(this.places, 'finished')
    const last = await this.#client.ends(this.places, 'last')
    return this.places.map(placeName).filter((place) => finished.get(place) !== last.get(place))
  }

  /** How many finished records each has. */
  async read(): Promise<readonly number[]> {
    const from = this.places.map((place) => ({ ...place, offset: 0n }))
    const fetched = await this.#client.fetch(from, { waitMs: 0, bytes: 100_000, partitionBytes: 100_000 })
    return fetched.map(({ records }) => records.length)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close()
  }
}
