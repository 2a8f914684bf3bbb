/** The calls to brokers that the log is made of. The only file that knows the client library. */
import {
  addPartitionsToTxnV3,
  Admin,
  compressionsAlgorithms,
  consumerGroupHeartbeatV0,
  crc32c,
  createAPI,
  createTopicsV7,
  decodeConsumerProtocolSubscription,
  deleteTopicsV6,
  describeLogDirsV4,
  encodeConsumerProtocolSubscription,
  endTxnV3,
  fetchV13,
  findCoordinatorV4,
  heartbeatV4,
  initProducerIdV4,
  joinGroupV7,
  kGetConnection,
  leaveGroupV4,
  listOffsetsV7,
  metadataV12,
  murmur2,
  offsetCommitV8,
  offsetFetchV8,
  produceV9,
  syncGroupV5,
  Writer,
  type API,
  type Broker,
  type Connection,
} from '@platformatic/kafka'
import { Failure } from '../../change/failure.ts'
import { readCommitted, type Fetched } from './committed-records.ts'
import { brokerFailure, hasCode } from './failures.ts'

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

export interface ClientSettings {
  /** `host:port` each; any of them, the others are found. */
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly verify: boolean }
  readonly sasl?: {
    readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
    readonly username: string
    readonly password: string
  }
}

export interface Topic {
  readonly id: string
  readonly name: string
  /** The node that leads each partition; -1 = none at present. */
  readonly leaders: readonly number[]
}

export interface Place {
  readonly topic: string
  readonly partition: number
}

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

export interface CommittedPlace extends Place {
  readonly offset: bigint
  readonly metadata: string
}

/** Who commits: a member of the group, or nobody in particular, which the brokers allow while the group has no members. */
export interface Member {
  readonly id: string
  readonly epoch: number
}

export interface JoinedGroup {
  readonly memberId: string
  readonly generation: number
  /** Of all members, where we are the one that assigns; empty otherwise. */
  readonly members: readonly { readonly id: string; readonly owned: string }[]
}

export const nobody: Member = { id: '', epoch: -1 }
const requestTimeoutMs = 30_000
const coordinatorKinds = { group: 0, transaction: 1 } as const
const retriedCodes = [
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'CONCURRENT_TRANSACTIONS',
]

/** One set of connections; requests on it wait for one another, so whoever waits long at a broker has one of its own. */
export class Client {
  readonly settings: ClientSettings
  readonly #pool: Admin
  readonly #bootstrap: readonly Broker[]
  #brokers = new Map<number, Broker>()
  readonly #topics = new Map<string, Topic>()
  readonly #coordinators = new Map<string, number>()

  constructor(settings: ClientSettings) {
    this.settings = settings
    this.#bootstrap = settings.brokers.map(brokerAt)
    this.#pool = new Admin({
      clientId: settings.clientId,
      bootstrapBrokers: [...this.#bootstrap],
      retries: 0,
      requestTimeout: requestTimeoutMs,
      maxInflights: 1000,
      ...(settings.tls === undefined ? {} : { tls: tlsOf(settings.tls) }),
      ...(settings.sasl === undefined ? {} : { sasl: settings.sasl }),
    })
    // Failures reach whoever asked.
    this.#pool.on('error', () => {})
  }

  async close(): Promise<void> {
    await this.#pool.close()
  }

  /** The topics that are there. */
  async topics(names: readonly string[], fresh = false): Promise<ReadonlyMap<string, Topic>> {
    const wanted = fresh ? names : names.filter((name) => !isKnown(this.#topics.get(name)))
    if (wanted.length > 0) await this.#readTopics(wanted)
    return new Map(
      names.flatMap((name) => {
        const topic = this.#topics.get(name)
        return topic === undefined ? [] : [[name, topic]]
      }),
    )
  }

  /** Whatever is known of leaders and coordinators may be wrong. */
  forget(): void {
    this.#topics.clear()
    this.#coordinators.clear()
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
      await this.#callAny(`making the topic ${name}`, createTopicsV7.api, [request], requestTimeoutMs, false)
    } catch (error) {
      if (!hasCode(error, 'TOPIC_ALREADY_EXISTS')) throw error
    }
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    const doomed = names.map((name) => ({ name }))
    await this.#callAny(`deleting ${names.join(', ')}`, deleteTopicsV6.api, doomed, requestTimeoutMs)
  }

  /** Of each partition: its first record's offset, or one past the last record that is on all its replicas. */
  async ends(places: readonly Place[], which: 'first' | 'last'): Promise<ReadonlyMap<string, bigint>> {
    return await this.#led(() => this.#ends(places, which))
  }

  async #ends(places: readonly Place[], which: 'first' | 'last'): Promise<ReadonlyMap<string, bigint>> {
    const found = new Map<string, bigint>()
    for (const [node, own] of await this.#byLeader(places)) {
      const topics = [...groupBy(own, ({ topic }) => topic)].map(([name, each]) => ({
        name,
        partitions: each.map(({ partition }) => ({
          partitionIndex: partition,
          currentLeaderEpoch: -1,
          timestamp: which === 'first' ? -2n : -1n,
        })),
      }))
      const answer = await this.#call(node, 'reading the ends of topics', listOffsetsV7.api, -1, 0, topics)
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
    return await this.#led(() => this.#fetch(wanted, limits))
  }

  async #fetch(
    wanted: readonly (Place & { readonly offset: bigint })[],
    limits: FetchLimits,
  ): Promise<readonly Fetched[]> {
    const answers = await Promise.all(
      [...(await this.#byLeader(wanted))].map(async ([node, own]) => {
        const topics = await this.topics([...new Set(own.map(({ topic }) => topic))])
        const ids = new Map([...topics.values()].map(({ id, name }) => [id, name]))
        const request = [...groupBy(own, ({ topic }) => topic)].map(([name, each]) => ({
          topicId: topics.get(name)?.id ?? '',
          partitions: each.map(({ partition, offset }) => ({
            partition,
            currentLeaderEpoch: -1,
            fetchOffset: offset,
            lastFetchedEpoch: -1,
            partitionMaxBytes: limits.partitionBytes,
          })),
        }))
        const answer = await this.#call(
          node,
          'reading from topics',
          fetchV13.api,
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
        return answer.responses.flatMap(({ topicId, partitions }) =>
          partitions.map((each) => {
            const topic = ids.get(topicId) ?? ''
            const from = own.find((one) => one.topic === topic && one.partition === each.partitionIndex)
            return readCommitted({ topic, partition: each.partitionIndex }, from?.offset ?? 0n, each)
          }),
        )
      }),
    )
    return answers.flat()
  }

  /** Fences whoever had this transactional id before; what it had begun is undone or finished when it resolves. */
  async initProducer(transactionalId: string, timeoutMs: number): Promise<Producer> {
    const answer = await this.#coordinated('transaction', transactionalId, (node) =>
      this.#call(node, 'taking over the log', initProducerIdV4.api, transactionalId, timeoutMs, -1n, -1),
    )
    return { transactionalId, id: answer.producerId, epoch: answer.producerEpoch }
  }

  async addPartitions(producer: Producer, places: readonly Place[]): Promise<void> {
    const topics = [...groupBy(places, ({ topic }) => topic)].map(([name, each]) => ({
      name,
      partitions: each.map(({ partition }) => partition),
    }))
    await this.#coordinated('transaction', producer.transactionalId, (node) =>
      // The library's types show the form of later versions, which only brokers use among themselves.
      this.#call(node, 'beginning a transaction', addPartitionsToTxnV3.api, [
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
    await this.#coordinated('transaction', transactionalId, (node) =>
      this.#call(node, 'ending a transaction', endTxnV3.api, transactionalId, id, epoch, commit),
    )
  }

  /** Encoded batches, at most one for each partition; resolves when all replicas in sync have them. */
  async produce(
    transactionalId: string | null,
    batches: readonly (Place & { readonly batch: Buffer })[],
  ): Promise<void> {
    // Brokers know what they have had already, so that all of it may be sent again.
    await this.#led(async () => {
      const sent = [...(await this.#byLeader(batches))].map(async ([node, own]) => {
        const names = [...new Set(own.map(({ topic }) => topic))].join(', ')
        await this.#call(node, `writing to ${names}`, produceApi, transactionalId, own)
      })
      await Promise.all(sent)
    })
  }

  async commitOffsets(group: string, member: Member, places: readonly CommittedPlace[]): Promise<void> {
    const topics = [...groupBy(places, ({ topic }) => topic)].map(([name, each]) => ({
      name,
      partitions: each.map(({ partition, offset, metadata }) => ({
        partitionIndex: partition,
        committedOffset: offset,
        committedLeaderEpoch: -1,
        committedMetadata: metadata,
      })),
    }))
    await this.#coordinated('group', group, (node) =>
      this.#call(node, `committing ${group}`, offsetCommitV8.api, group, member.epoch, member.id, null, topics),
    )
  }

  async committedOffsets(group: string): Promise<readonly CommittedPlace[]> {
    const answer = await this.#coordinated('group', group, (node) =>
      this.#call(
        node,
        `reading the places of ${group}`,
        offsetFetchV8.api,
        [{ groupId: group, memberEpoch: -1, topics: null }],
        true,
      ),
    )
    const topics = answer.groups.find(({ groupId }) => groupId === group)?.topics ?? []
    return topics.flatMap(({ name, partitions }) =>
      partitions.flatMap(({ partitionIndex, committedOffset, metadata }) =>
        committedOffset < 0n
          ? []
          : [{ topic: name, partition: partitionIndex, offset: committedOffset, metadata: metadata ?? '' }],
      ),
    )
  }

  /** A member of a group whose assignments the brokers make; epoch 0 joins, -1 leaves. */
  async memberHeartbeat(
    group: string,
    member: Member,
    topic: string,
    owned: readonly number[] | undefined,
    rebalanceTimeoutMs: number,
  ): Promise<{
    readonly member: Member
    readonly everyMs: number
    /** undefined = as before. */
    readonly partitions: readonly number[] | undefined
  }> {
    const id = (await this.topics([topic])).get(topic)?.id ?? ''
    const whole = owned !== undefined
    const held = owned === undefined ? null : owned.length === 0 ? [] : [{ topicId: id, partitions: [...owned] }]
    const answer = await this.#coordinated('group', group, (node) =>
      this.#call(
        node,
        `keeping our place in ${group}`,
        consumerGroupHeartbeatV0.api,
        group,
        member.id,
        member.epoch,
        null,
        null,
        whole ? rebalanceTimeoutMs : -1,
        whole ? [topic] : null,
        null,
        null,
        held,
      ),
    )
    const assigned = answer.assignment?.topicPartitions
    return {
      member: { id: answer.memberId ?? member.id, epoch: answer.memberEpoch },
      everyMs: answer.heartbeatIntervalMs,
      partitions:
        assigned === undefined ? undefined : (assigned.find(({ topicId }) => topicId === id)?.partitions ?? []),
    }
  }

  /** A member of a group whose assignments one of the members makes. `owned` is what it says of itself to that one. */
  async join(group: string, memberId: string, topic: string, owned: string): Promise<JoinedGroup> {
    const metadata = encodeConsumerProtocolSubscription({
      version: 0,
      topics: [topic],
      userData: Buffer.from(owned),
    })
    const ask = (id: string) =>
      this.#coordinated('group', group, (node) =>
        this.#call(
          node,
          `joining ${group}`,
          joinGroupV7.api,
          group,
          sessionTimeoutMs,
          rebalanceTimeoutMs,
          id,
          null,
          'consumer',
          [{ name: protocolName, metadata }],
        ),
      )
    const answer = await ask(memberId).catch((error: unknown) => {
      const given = hasCode(error, 'MEMBER_ID_REQUIRED') ? memberIdOf(error) : undefined
      if (given === undefined) throw error
      return ask(given)
    })
    return {
      memberId: answer.memberId,
      generation: answer.generationId,
      members: answer.members.map((each) => ({
        id: each.memberId,
        owned: decodeConsumerProtocolSubscription(each.metadata).userData.toString(),
      })),
    }
  }

  /** What the member that assigns gave us. */
  async sync(group: string, { id, epoch }: Member, shares: ReadonlyMap<string, string>): Promise<string> {
    const assignments = [...shares].map(([memberId, share]) => ({ memberId, assignment: Buffer.from(share) }))
    const answer = await this.#coordinated('group', group, (node) =>
      this.#call(
        node,
        `joining ${group}`,
        syncGroupV5.api,
        group,
        epoch,
        id,
        null,
        'consumer',
        protocolName,
        assignments,
      ),
    )
    return answer.assignment.toString()
  }

  async heartbeat(group: string, { id, epoch }: Member): Promise<void> {
    await this.#coordinated('group', group, (node) =>
      this.#call(node, `keeping our place in ${group}`, heartbeatV4.api, group, epoch, id, null),
    )
  }

  async leave(group: string, memberId: string): Promise<void> {
    await this.#coordinated('group', group, (node) =>
      this.#call(node, `leaving ${group}`, leaveGroupV4.api, group, [{ memberId }]),
    )
  }

  /** Bytes on disk of each partition, on the broker that has most of it. */
  async sizes(topics: readonly Topic[]): Promise<ReadonlyMap<string, number>> {
    const wanted = topics.map(({ name, leaders }) => ({ name, partitions: [...leaders.keys()] }))
    const found = new Map<string, number>()
    for (const node of new Set(topics.flatMap(({ leaders }) => leaders)))
      for (const { topics: seen } of (
        await this.#call(node, 'measuring topics', describeLogDirsV4.api, wanted)
      ).results)
        for (const { name, partitions } of seen)
          for (const { partitionIndex, partitionSize } of partitions) {
            const place = placeName({ topic: name, partition: partitionIndex })
            found.set(place, Math.max(found.get(place) ?? 0, Number(partitionSize)))
          }
    return found
  }

  /** Partitions that are new, or move to another broker, are without a leader for a moment. */
  async #led<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const until = Date.now() + leaderPatienceMs
    for (let waitMs = 20; ; waitMs = Math.min(2 * waitMs, 500)) {
      try {
        return await ask()
      } catch (error) {
        if (!hasCode(error, ...leaderlessCodes) || Date.now() > until) throw error
      }
      await sleep(waitMs)
    }
  }

  async #byLeader<P extends Place>(places: readonly P[]): Promise<ReadonlyMap<number, readonly P[]>> {
    const topics = await this.topics([...new Set(places.map(({ topic }) => topic))])
    return groupBy(places, ({ topic, partition }) => {
      const leader = topics.get(topic)?.leaders[partition]
      if (leader !== undefined && leader >= 0) return leader
      this.#topics.delete(topic)
      throw new Failure('transient', `the partition ${topic}-${partition} has no leader at present`, {
        remedy: 'bring its brokers back',
      })
    })
  }

  async #readTopics(names: readonly string[]): Promise<void> {
    for (const name of names) this.#topics.delete(name)
    let answer
    try {
      answer = await this.#callAny('asking for topics', metadataV12.api, [...names], false, false)
    } catch (error) {
      const told = responseOf<Awaited<ReturnType<typeof metadataV12.api.async>>>(error)
      if (told === undefined || !onlyMissing(error)) throw error
      answer = told
    }
    this.#brokers = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    for (const { name, topicId, partitions, errorCode } of answer.topics) {
      if (typeof name !== 'string' || errorCode !== 0) continue
      const leaders: number[] = []
      for (const { partitionIndex, leaderId } of partitions) leaders[partitionIndex] = leaderId
      this.#topics.set(name, { id: topicId, name, leaders })
    }
  }

  /** Asks the coordinator of a group or a transactional id; waits while there is none. */
  async #coordinated<Answer>(
    kind: keyof typeof coordinatorKinds,
    key: string,
    ask: (node: number) => Promise<Answer>,
  ): Promise<Answer> {
    const until = Date.now() + requestTimeoutMs
    for (let waitMs = 1; ; waitMs = Math.min(2 * waitMs, 100)) {
      try {
        return await ask(await this.#coordinator(kind, key))
      } catch (error) {
        if (!hasCode(error, 'CONCURRENT_TRANSACTIONS')) this.#coordinators.delete(`${kind} ${key}`)
        if (!hasCode(error, ...retriedCodes) || Date.now() > until) throw error
      }
      await sleep(waitMs)
    }
  }

  async #coordinator(kind: keyof typeof coordinatorKinds, key: string): Promise<number> {
    const known = this.#coordinators.get(`${kind} ${key}`)
    if (known !== undefined) return known
    const { coordinators } = await this.#callAny(
      `looking for the coordinator of ${key}`,
      findCoordinatorV4.api,
      coordinatorKinds[kind],
      [key],
    )
    const found = coordinators[0]
    if (found === undefined) throw new Failure('transient', `no broker coordinates ${key}`)
    this.#brokers.set(found.nodeId, { host: found.host, port: found.port })
    this.#coordinators.set(`${kind} ${key}`, found.nodeId)
    return found.nodeId
  }

  async #call<A extends unknown[], R>(node: number, doing: string, api: API<A, R>, ...args: A): Promise<R> {
    const broker = this.#brokers.get(node)
    if (broker === undefined) {
      this.forget()
      throw new Failure('transient', `${doing}: broker ${node} is not known`)
    }
    return await this.#callAt(broker, doing, api, ...args)
  }

  /** Any broker will do: first one that is known, then those of the settings. */
  async #callAny<A extends unknown[], R>(doing: string, api: API<A, R>, ...args: A): Promise<R> {
    const tried = [...this.#brokers.values(), ...this.#bootstrap]
    for (const [at, broker] of tried.entries()) {
      try {
        return await this.#callAt(broker, doing, api, ...args)
      } catch (error) {
        if (at === tried.length - 1 || !hasCode(error, 'PLT_KFK_NETWORK', 'NOT_CONTROLLER')) throw error
      }
    }
    throw new Failure('configuration', `${doing}: no brokers are named`, { remedy: 'set log.kafka.brokers' })
  }

  async #callAt<A extends unknown[], R>(
    broker: Broker,
    doing: string,
    api: API<A, R>,
    ...args: A
  ): Promise<R> {
    try {
      return await api.async(await this.#connection(broker), ...args)
    } catch (error) {
      const failure = brokerFailure(error, doing)
      if (hasCode(failure, ...staleCodes)) this.#topics.clear()
      throw failure
    }
  }

  #connection(broker: Broker): Promise<Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    this.#pool[kGetConnection](broker, (error, connection) => {
      if (connection === undefined) reject(error ?? new Error('no connection'))
      else resolve(connection)
    })
    return promise
  }
}

const leaderlessCodes = [
  'NOT_LEADER_OR_FOLLOWER',
  'LEADER_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'INCONSISTENT_TOPIC_ID',
]
const staleCodes = ['PLT_KFK_NETWORK', ...leaderlessCodes]
const leaderPatienceMs = 10_000
const sessionTimeoutMs = 30_000
export const rebalanceTimeoutMs = 45_000
const protocolName = 'millrace'

/** What records are made with: the library has the algorithms. */
export const algorithms = {
  crc: (bytes: Buffer): number => crc32c(bytes) >>> 0,
  compress: (how: Compression, bytes: Buffer): Buffer => compressionsAlgorithms[how].compressSync(bytes),
  compressionBits: (how: Compression): number => compressionsAlgorithms[how].bitmask,
  /** Where every other client puts a key, of so many partitions. */
  partitionOf: (key: Buffer, partitions: number): number => (murmur2(key) & 0x7fffffff) % partitions,
}

export function placeName({ topic, partition }: Place): string {
  return `${topic}-${partition}`
}

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

export function groupBy<Item, Name>(
  items: Iterable<Item>,
  nameOf: (item: Item) => Name,
): ReadonlyMap<Name, readonly Item[]> {
  const groups = new Map<Name, Item[]>()
  for (const item of items) {
    const name = nameOf(item)
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [item])
    else group.push(item)
  }
  return groups
}

function isKnown(topic: Topic | undefined): boolean {
  return topic?.leaders.every((leader) => leader >= 0) === true
}

function brokerAt(text: string): Broker {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(colon + 1)) }
}

function tlsOf({ verify, ...pems }: NonNullable<ClientSettings['tls']>): object {
  return { ...pems, rejectUnauthorized: verify }
}

/** What a broker answered, where the answer names errors. */
function responseOf<R>(error: unknown): R | undefined {
  const { cause } = error as { readonly cause?: { readonly response?: R } }
  return cause?.response
}

function memberIdOf(error: unknown): string | undefined {
  return responseOf<{ readonly memberId?: string }>(error)?.memberId
}

function onlyMissing(error: unknown): boolean {
  const named = ['TOPIC_AUTHORIZATION_FAILED', 'PLT_KFK_NETWORK', 'INVALID_TOPIC_EXCEPTION']
  return !hasCode(error, ...named)
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
