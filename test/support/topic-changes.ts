/** A topic of the log as an independent client reads it: only what is committed, from the first record to the last. */
import { randomUUID } from 'node:crypto'
import { independentClient, withAdmin } from './kafka-options.ts'

export interface TopicChange {
  readonly partition: number
  readonly key: unknown
  readonly version: bigint
  readonly op: string
  readonly before: unknown
  readonly after: unknown
}

/** kafkajs has no lz4: the topic's log has to be written with another compression. */
export async function changesOf(broker: string, topic: string): Promise<readonly TopicChange[]> {
  const ends = await withAdmin(broker, (admin) => admin.fetchTopicOffsets(topic))
  const open = new Map(
    ends.filter(({ high }) => high !== '0').map(({ partition, high }) => [partition, high]),
  )
  const consumer = independentClient(broker).consumer({ groupId: `reader-${randomUUID()}` })
  const found: TopicChange[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  consumer.on('consumer.end_batch_process', ({ payload }) => {
    const high = open.get(payload.partition) ?? '0'
    // Markers of transactions are no messages, but offsets.
    if (BigInt(payload.lastOffset) + 2n >= BigInt(high)) open.delete(payload.partition)
    if (open.size === 0) resolve()
  })
  await consumer.run({
    eachMessage: ({ partition, message }) => {
      const value = JSON.parse(message.value?.toString() ?? 'null') as Omit<TopicChange, 'key' | 'version'>
      const version = BigInt(message.headers?.['version']?.toString() ?? '0')
      found.push({ ...value, partition, version, key: JSON.parse(message.key?.toString() ?? 'null') })
      return Promise.resolve()
    },
  })
  await promise
  await consumer.disconnect()
  return found
}
