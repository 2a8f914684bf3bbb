/** A log in Kafka as tests open it, and Kafka as an independent client sees it. */
import { setTimeout as delay } from 'node:timers/promises'
import kafkajs, { Kafka, logLevel, type Admin } from 'kafkajs'
import type { KafkaLogOptions } from '../../src/log/kafka/kafka-log.ts'
import { insertOf, testTable } from './changes.ts'
import type { LogSubject } from '../contract/log.contract.ts'

const megabyte = 2 ** 20

export function kafkaOptions(
  broker: string,
  more: Partial<KafkaLogOptions> & Pick<KafkaLogOptions, 'prefix'>,
): KafkaLogOptions {
  return {
    client: { brokers: [broker], clientId: 'test' },
    source: 'main',
    version: 'test',
    topics: {
      replication: -1,
      retentionMs: 3_600_000,
      retentionBytes: 100 * megabyte,
      messageBytesMax: 16 * megabyte,
      create: true,
    },
    compression: 'lz4',
    sessionMs: 10_000,
    ...more,
  }
}

export function independentClient(broker: string): Kafka {
  return new Kafka({ clientId: 'independent', brokers: [broker], logLevel: logLevel.NOTHING })
}

export async function withAdmin<Answer>(
  broker: string,
  use: (admin: Admin) => Promise<Answer>,
): Promise<Answer> {
  const admin = independentClient(broker).admin()
  await admin.connect()
  try {
    return await use(admin)
  } finally {
    await admin.disconnect()
  }
}

/** Resolves when each partition has a leader. The client's own wait for that gives up where a broker has not heard of the topic. */
export async function createTopic(admin: Admin, topic: string, numPartitions: number): Promise<void> {
  await admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: false })
  while (!(await isLed(admin, topic).catch(() => false))) await delay(50)
}

async function isLed(admin: Admin, topic: string): Promise<boolean> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  return topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0))
}

/** Drops all there is of the topic, or so many records of each partition, as retention does in time. */
export async function dropRecords(broker: string, topic: string, count?: number): Promise<void> {
  await withAdmin(broker, async (admin) => {
    const offsets = await admin.fetchTopicOffsets(topic)
    const partitions = offsets.map(({ partition, high }) => ({
      partition,
      offset: count === undefined ? high : String(count),
    }))
    await admin.deleteTopicRecords({ topic, partitions })
  })
}

/** Retention passes everything that was appended to the orders. */
export function overflowTopics({ client, prefix }: KafkaLogOptions): NonNullable<LogSubject['overflow']> {
  return async (log, numbering) => {
    const orders = testTable('shop.orders')
    await log.append(numbering.batch([insertOf(orders, 2), insertOf(orders, 3)]))
    await dropRecords(client.brokers[0] ?? '', `${prefix}.shop.orders`)
  }
}

/** Sets one setting of topics, and leaves their others as they are. */
export async function setOfTopics(
  broker: string,
  topics: readonly string[],
  setting: { readonly name: string; readonly value: string },
): Promise<void> {
  await withAdmin(broker, async (admin) => {
    const asked = topics.map((name) => ({ name, type: kafkajs.ConfigResourceTypes.TOPIC }))
    const { resources } = await admin.describeConfigs({ resources: asked, includeSynonyms: false })
    const changed = resources.map(({ resourceName, configEntries }) => ({
      name: resourceName,
      type: kafkajs.ConfigResourceTypes.TOPIC,
      configEntries: [
        ...configEntries
          .filter((entry) => !entry.isDefault && entry.configName !== setting.name)
          .map(({ configName, configValue }) => ({ name: configName, value: configValue })),
        setting,
      ],
    }))
    await admin.alterConfigs({ validateOnly: false, resources: changed })
  })
}
