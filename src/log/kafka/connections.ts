/** Connections to brokers: who leads a partition, who coordinates a group, and what is tried again. */
import { Failure } from '../../change/failure.ts'
import { brokerFailure, hasCode, withoutLeader } from './failures.ts'
import {
  Admin,
  findCoordinatorV4,
  kGetConnection,
  metadataV12,
  type API,
  type Broker,
  type Connection,
} from './library.ts'

export interface ClientSettings {
  /** `host:port` each; any of them, the others are found. */
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly tls?: {
    readonly ca?: string
    readonly cert?: string
    readonly key?: string
    readonly verify: boolean
    readonly verifyName: boolean
  }
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
  /** On how many brokers its partitions are kept. */
  readonly replication: number
}

export interface Place {
  readonly topic: string
  readonly partition: number
  /** It is read from this very topic, and not from another that was made under its name. */
  readonly id?: string | undefined
}

export const requestTimeoutMs = 30_000
const coordinatorKinds = { group: 0, transaction: 1 } as const
const retriedCodes = [
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'CONCURRENT_TRANSACTIONS',
]
/** A transaction begins when the markers of the one before are written: that takes about as long as asking does, and less than a timer. */
const promptTries = 3

/** One set of connections; requests on it wait for one another, so whoever waits long at a broker has one of its own. */
export class Connections {
  readonly settings: ClientSettings
  readonly #pool: Admin
  readonly #bootstrap: readonly Broker[]
  #brokers = new Map<number, Broker>()
  readonly #topics = new Map<string, Topic>()
  readonly #coordinators = new Map<string, number>()
  readonly #connections = new WeakSet<Connection>()
  #connectionsMade = 0

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

  /** How many connections have been made so far. */
  get connectionsMade(): number {
    return this.#connectionsMade
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

  /** The brokers that are there. */
  async nodes(): Promise<readonly number[]> {
    await this.#readTopics([])
    return [...this.#brokers.keys()]
  }

  /** Whatever is known of leaders and coordinators may be wrong. */
  forget(): void {
    this.#topics.clear()
    this.#coordinators.clear()
  }

  /** Partitions that are new, or move to another broker, are without a leader for a moment. */
  async led<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const until = performance.now() + leaderPatienceMs
    for (let waitMs = 20; ; waitMs = Math.min(2 * waitMs, 500)) {
      try {
        return await ask()
      } catch (error) {
        if (!hasCode(error, ...leaderlessCodes) || performance.now() > until) throw error
      }
      await sleep(waitMs)
    }
  }

  async byLeader<P extends Place>(places: readonly P[]): Promise<ReadonlyMap<number, readonly P[]>> {
    const topics = await this.topics([...new Set(places.map(({ topic }) => topic))])
    return groupBy(places, ({ topic, partition }) => {
      const leader = topics.get(topic)?.leaders[partition]
      if (leader !== undefined && leader >= 0) return leader
      this.#topics.delete(topic)
      throw withoutLeader(placeName({ topic, partition }))
    })
  }

  async #readTopics(names: readonly string[]): Promise<void> {
    for (const name of names) this.#topics.delete(name)
    let answer
    try {
      answer = await this.callAny('asking for topics', metadataV12.api, [...names], false, false)
    } catch (error) {
      const told = responseOf(error)
      if (told === undefined || !onlyMissing(error)) throw error
      answer = told as Awaited<ReturnType<typeof metadataV12.api.async>>
    }
    this.#brokers = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    for (const { name, topicId, partitions, errorCode } of answer.topics) {
      if (typeof name !== 'string' || errorCode !== 0) continue
      const leaders: number[] = []
      for (const { partitionIndex, leaderId } of partitions) leaders[partitionIndex] = leaderId
      const replication = Math.min(...partitions.map(({ replicaNodes }) => replicaNodes.length))
      this.#topics.set(name, { id: topicId, name, leaders, replication })
    }
  }

  /** Asks the coordinator of a group or a transactional id; waits while there is none. */
  async coordinated<Answer>(
    kind: keyof typeof coordinatorKinds,
    key: string,
    ask: (node: number) => Promise<Answer>,
  ): Promise<Answer> {
    const until = performance.now() + requestTimeoutMs
    for (let tries = 1, waitMs = 1; ; tries++) {
      try {
        return await ask(await this.#coordinator(kind, key))
      } catch (error) {
        if (!hasCode(error, 'CONCURRENT_TRANSACTIONS')) this.#coordinators.delete(`${kind} ${key}`)
        if (!hasCode(error, ...retriedCodes) || performance.now() > until) throw error
      }
      if (tries < promptTries) continue
      await sleep(waitMs)
      waitMs = Math.min(2 * waitMs, 100)
    }
  }

  async #coordinator(kind: keyof typeof coordinatorKinds, key: string): Promise<number> {
    const known = this.#coordinators.get(`${kind} ${key}`)
    if (known !== undefined) return known
    const { coordinators } = await this.callAny(
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

  async call<A extends unknown[], R>(node: number, doing: string, api: API<A, R>, ...args: A): Promise<R> {
    const broker = this.#brokers.get(node)
    if (broker === undefined) {
      this.forget()
      throw new Failure('transient', `${doing}: broker ${node} is not known`)
    }
    return await this.#callAt(broker, doing, api, ...args)
  }

  /** Any broker will do: first one that is known, then those of the settings. */
  async callAny<A extends unknown[], R>(doing: string, api: API<A, R>, ...args: A): Promise<R> {
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
      else resolve(this.#noted(connection))
    })
    return promise
  }

  #noted(connection: Connection): Connection {
    if (!this.#connections.has(connection)) this.#connectionsMade++
    this.#connections.add(connection)
    return connection
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

export function placeName({ topic, partition }: Place): string {
  return `${topic}-${partition}`
}

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

function tlsOf({ verify, verifyName, ...pems }: NonNullable<ClientSettings['tls']>): object {
  return {
    ...pems,
    rejectUnauthorized: verify,
    ...(verifyName ? {} : { checkServerIdentity: () => undefined }),
  }
}

/** What a broker answered, where the answer names errors. */
export function responseOf(error: unknown): unknown {
  const { cause } = error as { readonly cause?: { readonly response?: unknown } }
  return cause?.response
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
