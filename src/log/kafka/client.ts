/** The calls to brokers that the log is made of. */
import { Fetched } from './committed-records.ts'
import {
  Connections,
  groupBy,
  placeName,
  requestTimeoutMs,
  type ClientSettings,
  type Place,
  type Topic,
} from './connections.ts'
import { hasCode } from './failures.ts'
import { readFetchAnswer } from './fetch-answer.ts'
import { GroupCalls } from './group-calls.ts'
import {
  addPartitionsToTxnV3,
  createAPI,
  createTopicsV7,
  deleteTopicsV6,
  describeLogDirsV4,
  endTxnV3,
  fetchV13,
  initProducerIdV4,
  listOffsetsV7,
  produceV9,
  Writer,
  type API,
} from './library.ts'

export interface TopicWish {
  readonly name: string
  readonly partitions: number
  /** -1 = as the brokers have it by default. */
  readonly replication: number
  readonly configs: Readonly<Record<string, string>>
}

export interface Producer {
  readonly transactionalId: string
  readonly id: bigint
  readonly epoch: number
}

export interface FetchLimits {
  /** Waited for the first record, on each broker. */
  readonly waitMs: number
  readonly bytes: number
  readonly partitionBytes: number
}

export class Client extends Connections {
  readonly groups: GroupCalls

  constructor(settings: ClientSettings) {
    super(settings)
    this.groups = new GroupCalls(this)
  }

  async createTopic(wish: TopicWish): Promise<void> {
    const { name, partitions, replication, configs } = wish
    const request = {
      name,
      numPartitions: partitions,
      replicationFactor: replication,
      assignments: [],
      configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
    }
    try {
      await this.callAny(`making the topic ${name}`, createTopicsV7.api, [request], requestTimeoutMs, false)
    } catch (error) {
      if (!hasCode(error, 'TOPIC_ALREADY_EXISTS')) throw error
    }
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    const doomed = names.map((name) => ({ name }))
    await this.callAny(`deleting ${names.join(', ')}`, deleteTopicsV6.api, doomed, requestTimeoutMs)
  }

  /**
   * Of each partition: its first record's offset, or one past the last record that is on all its replicas, or (`finished`)
   * the first of a transaction that is not finished.
   */
  async ends(
    places: readonly Place[],
    which: 'first' | 'last' | 'finished',
  ): Promise<ReadonlyMap<string, bigint>> {
    const isolation = which === 'finished' ? 1 : 0
    return await this.led(() => this.#offsets(places, which === 'first' ? -2n : -1n, isolation))
  }

  /** Of each partition: the offset of its first record that was appended then or later; -1 = there is none. */
  async offsetsSince(places: readonly Place[], appendedAtMs: number): Promise<ReadonlyMap<string, bigint>> {
    return await this.led(() => this.#offsets(places, BigInt(Math.ceil(Math.max(0, appendedAtMs)))))
  }

  async #offsets(
    places: readonly Place[],
    timestamp: bigint,
    isolation = 0,
  ): Promise<ReadonlyMap<string, bigint>> {
    const found = new Map<string, bigint>()
    for (const [node, own] of await this.byLeader(places)) {
      const topics = [...groupBy(own, ({ topic }) => topic)].map(([name, each]) => ({
        name,
        partitions: each.map(({ partition }) => ({
          partitionIndex: partition,
          currentLeaderEpoch: -1,
          timestamp,
        })),
      }))
      const answer = await this.call(
        node,
        'reading the ends of topics',
        listOffsetsV7.api,
        -1,
        isolation,
        topics,
      )
      for (const topic of answer.topics)
        for (const { partitionIndex, offset } of topic.partitions)
          found.set(placeName({ topic: topic.name, partition: partitionIndex }), offset)
    }
    return found
  }

  /** Records of finished transactions from the given offsets on; waits for some at most `waitMs` (per broker). */
  async fetch(
    wanted: readonly (Place & { readonly offset: bigint })[],
    limits: FetchLimits,
  ): Promise<readonly Fetched[]> {
    return await this.led(() => this.#fetch(wanted, limits))
  }

  async #fetch(
    wanted: readonly (Place & { readonly offset: bigint })[],
    limits: FetchLimits,
  ): Promise<readonly Fetched[]> {
    const answers = await Promise.all(
      [...(await this.byLeader(wanted))].map(async ([node, own]) => {
        const topics = await this.topics([...new Set(own.map(({ topic }) => topic))])
        const byId = groupBy(own, ({ topic, id }) => id ?? topics.get(topic)?.id ?? '')
        const names = new Map([...byId].map(([id, [first]]) => [id, first?.topic ?? '']))
        const request = [...byId].map(([topicId, each]) => ({
          topicId,
          partitions: each.map(({ partition, offset }) => ({
            partition,
            currentLeaderEpoch: -1,
            fetchOffset: offset,
            lastFetchedEpoch: -1,
            partitionMaxBytes: limits.partitionBytes,
          })),
        }))
        const answer = await this.call(
          node,
          `reading from ${[...names.values()].join(', ')}`,
          fetchApi,
          limits.waitMs,
          1,
          limits.bytes,
          1,
          0,
          -1,
          request,
          [],
          '',
        )
        return answer.topics.flatMap(({ id, partitions }) =>
          partitions.map((each) => {
            const place = { topic: names.get(id) ?? '', partition: each.partition }
            const asked = own.find((one) => one.topic === place.topic && one.partition === place.partition)
            return new Fetched(place, asked?.offset ?? 0n, each)
          }),
        )
      }),
    )
    return answers.flat()
  }

  /** Fences whoever had this transactional id before; what it had begun is undone or finished when it resolves. */
  async initProducer(transactionalId: string, timeoutMs: number): Promise<Producer> {
    const answer = await this.coordinated('transaction', transactionalId, (node) =>
      this.call(node, 'taking over the log', initProducerIdV4.api, transactionalId, timeoutMs, -1n, -1),
    )
    return { transactionalId, id: answer.producerId, epoch: answer.producerEpoch }
  }

  async addPartitions(producer: Producer, places: readonly Place[]): Promise<void> {
    const topics = [...groupBy(places, ({ topic }) => topic)].map(([name, each]) => ({
      name,
      partitions: each.map(({ partition }) => partition),
    }))
    await this.coordinated('transaction', producer.transactionalId, (node) =>
      // The library's types show the form of later versions, which only brokers use among themselves.
      this.call(node, 'beginning a transaction', addPartitionsToTxnV3.api, [
        {
          transactionalId: producer.transactionalId,
          producerId: producer.id,
          producerEpoch: producer.epoch,
          verifyOnly: false,
          topics,
        },
      ]),
    )
  }

  async endTransaction(producer: Producer, commit: boolean): Promise<void> {
    const { transactionalId, id, epoch } = producer
    await this.coordinated('transaction', transactionalId, (node) =>
      this.call(node, 'ending a transaction', endTxnV3.api, transactionalId, id, epoch, commit),
    )
  }

  /** Encoded batches, at most one for each partition; resolves when all replicas in sync have them. */
  async produce(
    transactionalId: string | null,
    batches: readonly (Place & { readonly batch: Buffer })[],
  ): Promise<void> {
    // Brokers know what they have had already, so that all of it may be sent again.
    await this.led(async () => {
      const sent = [...(await this.byLeader(batches))].map(async ([node, own]) => {
        const names = [...new Set(own.map(({ topic }) => topic))].join(', ')
        await this.call(node, `writing to ${names}`, produceApi, transactionalId, own)
      })
      await Promise.all(sent)
    })
  }

  /** Bytes on disk of each partition, on the broker that has most of it. */
  async sizes(topics: readonly Topic[]): Promise<ReadonlyMap<string, number>> {
    const wanted = topics.map(({ name, leaders }) => ({ name, partitions: [...leaders.keys()] }))
    const found = new Map<string, number>()
    const nodes = [...new Set(topics.flatMap(({ leaders }) => leaders))]
    const answers = await Promise.all(
      nodes.map((node) => this.call(node, 'measuring topics', describeLogDirsV4.api, wanted)),
    )
    for (const { name, partitions } of answers.flatMap(({ results }) =>
      results.flatMap((each) => each.topics),
    ))
      for (const { partitionIndex, partitionSize } of partitions) {
        const place = placeName({ topic: name, partition: partitionIndex })
        found.set(place, Math.max(found.get(place) ?? 0, Number(partitionSize)))
      }
    return found
  }
}

const fetchApi = createAPI(1, 13, fetchV13.createRequest, readFetchAnswer)

/** The library makes batches from objects; ours are bytes already. */
const produceApi = createAPI(
  0,
  9,
  (transactionalId: string | null, batches: readonly (Place & { readonly batch: Buffer })[]) =>
    Writer.create()
      .appendString(transactionalId)
      .appendInt16(-1)
      .appendInt32(requestTimeoutMs)
      .appendArray([...groupBy(batches, ({ topic }) => topic)], (writer, [topic, own]) => {
        writer.appendString(topic).appendArray([...own], (inner, { partition, batch }) => {
          inner
            .appendInt32(partition)
            .appendUnsignedVarInt(batch.length + 1)
            .append(batch)
        })
      })
      .appendTaggedFields(),
  produceV9.parseResponse,
) as API<[string | null, readonly (Place & { readonly batch: Buffer })[]], unknown>
