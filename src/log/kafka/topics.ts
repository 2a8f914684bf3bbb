/** The topics of a log: made when they are first needed, and looked at each time the log is taken over. */
import { Failure } from '../../change/failure.ts'
import type { Client } from './client.ts'
import type { Topic } from './connections.ts'

export interface TopicSettings {
  /** -1 = as the brokers have it by default. */
  readonly replication: number
  readonly retentionMs: number
  /** Of each partition. */
  readonly retentionBytes: number
  readonly messageBytesMax: number
  /** Whether topics that are missing are made. */
  readonly create: boolean
}

const tenMinutes = '600000'
/** Retention goes by the brokers' clock: a machine of ours whose own is wrong neither loses records nor keeps them for ever. */
const brokersClock = { 'message.timestamp.type': 'LogAppendTime' }

export class Topics {
  readonly #client: Client
  readonly #settings: TopicSettings

  constructor(client: Client, settings: TopicSettings) {
    this.#client = client
    this.#settings = settings
  }

  /** A compacted topic of one partition. Its latest records stay ten minutes as they are, for those who follow it. */
  async compacted(name: string): Promise<Topic> {
    return await this.#ensure(name, 1, {
      'cleanup.policy': 'compact',
      ...brokersClock,
      'min.compaction.lag.ms': tenMinutes,
      'max.message.bytes': String(this.#settings.messageBytesMax),
    })
  }

  /** A topic of records. Throws a Failure where it has too few partitions; what it has too many stays empty. */
  async records(name: string, partitions: number): Promise<Topic> {
    const { retentionMs, retentionBytes, messageBytesMax } = this.#settings
    return await this.#ensure(name, partitions, {
      'cleanup.policy': 'delete',
      'retention.ms': String(retentionMs),
      'retention.bytes': String(retentionBytes),
      'max.message.bytes': String(messageBytesMax),
      ...brokersClock,
    })
  }

  async #ensure(name: string, partitions: number, configs: Readonly<Record<string, string>>): Promise<Topic> {
    const found = (await this.#client.topics([name])).get(name)
    if (found !== undefined) return checked(found, partitions)
    if (!this.#settings.create) {
      throw new Failure('configuration', `there is no topic ${name}`, {
        remedy: `make it with ${partitions} partition(s) and ${shown(configs)}, or set log.kafka.createTopics`,
      })
    }
    await this.#client.createTopic({ name, partitions, replication: this.#settings.replication, configs })
    return checked(await this.#appeared(name), partitions)
  }

  /** A topic that was made is not known to every broker at once. */
  async #appeared(name: string): Promise<Topic> {
    for (let attempt = 0; attempt < 100; attempt++) {
      const found = (await this.#client.topics([name], true)).get(name)
      if (found?.leaders.every((leader) => leader >= 0) === true) return found
      await new Promise((resolve) => {
        setTimeout(resolve, 50)
      })
    }
    throw new Failure('transient', `the topic ${name} was made, and no broker leads it yet`)
  }
}

function checked(topic: Topic, partitions: number): Topic {
  const { name, leaders } = topic
  if (leaders.length >= partitions) return topic
  throw new Failure(
    'configuration',
    `the topic ${name} has ${leaders.length} partitions, and the log needs ${partitions}`,
    {
      remedy: `where a key goes is fixed when a log begins. Somebody made this topic: delete it, and capture makes it anew with ${partitions}; pipelines that had not delivered what it held say so`,
    },
  )
}

function shown(configs: Readonly<Record<string, string>>): string {
  return Object.entries(configs)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}
