/** Partitions move from broker to broker, as when an operator empties one. */
import { setTimeout as delay } from 'node:timers/promises'
import { withAdmin } from './kafka-options.ts'

/**
 * All of them, those of groups and transactions included, whose leaders are coordinators: to one broker, or to several, of
 * which the first leads. Resolves when they are there.
 */
export async function movePartitions(broker: string, ...nodes: readonly number[]): Promise<void> {
  await withAdmin(broker, async (admin) => {
    const { topics } = await admin.fetchTopicMetadata()
    await admin.alterPartitionReassignments({
      topics: topics.map(({ name, partitions }) => ({
        topic: name,
        partitionAssignment: partitions.map(({ partitionId }) => ({
          partition: partitionId,
          replicas: [...nodes],
        })),
      })),
    })
    for (;;) {
      const listed = await admin.listPartitionReassignments({})
      if (listed.topics.length === 0) return
      await delay(100)
    }
  })
}
