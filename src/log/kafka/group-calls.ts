/** What members of a group say to its coordinator, and where the group is. */
import { groupBy, responseOf, type Connections, type Place } from './connections.ts'
import { hasCode } from './failures.ts'
import {
  ConfigResourceTypes,
  consumerGroupHeartbeatV0,
  decodeConsumerProtocolSubscription,
  encodeConsumerProtocolSubscription,
  heartbeatV4,
  IncrementalAlterConfigOperationTypes,
  incrementalAlterConfigsV1,
  joinGroupV7,
  leaveGroupV4,
  offsetCommitV9,
  offsetFetchV8,
  syncGroupV5,
} from './library.ts'

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
const rebalanceTimeoutMs = 45_000
const protocolName = 'millrace'
const refusals = ['INVALID_CONFIG', 'INVALID_REQUEST', 'GROUP_AUTHORIZATION_FAILED', 'UNSUPPORTED_VERSION']

export class GroupCalls {
  readonly #connections: Connections

  constructor(connections: Connections) {
    this.#connections = connections
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
    await this.#connections.coordinated('group', group, (node) =>
      this.#connections.call(
        node,
        `committing ${group}`,
        offsetCommitV9.api,
        group,
        member.epoch,
        member.id,
        null,
        topics,
      ),
    )
  }

  async committedOffsets(group: string): Promise<readonly CommittedPlace[]> {
    const answer = await this.#connections.coordinated('group', group, (node) =>
      this.#connections.call(
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
  ): Promise<{
    readonly member: Member
    readonly everyMs: number
    /** undefined = as before. */
    readonly partitions: readonly number[] | undefined
  }> {
    const id = (await this.#connections.topics([topic])).get(topic)?.id ?? ''
    const whole = owned !== undefined
    const held =
      owned === undefined ? null : owned.length === 0 ? [] : [{ topicId: id, partitions: [...owned] }]
    const answer = await this.#connections.coordinated('group', group, (node) =>
      this.#connections.call(
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
        assigned === undefined
          ? undefined
          : (assigned.find(({ topicId }) => topicId === id)?.partitions ?? []),
    }
  }

  /**
   * How long brokers keep the partitions of a member that is silent, in a group whose assignments they make. Their own
   * bounds may forbid it (or it may be forbidden to us): then it is as they have it by default.
   */
  async keepFor(group: string, sessionMs: number): Promise<void> {
    const config = {
      name: 'consumer.session.timeout.ms',
      configOperation: IncrementalAlterConfigOperationTypes.SET,
      value: String(sessionMs),
    }
    const resource = {
      resourceType: ConfigResourceTypes.GROUP,
      resourceName: group,
      configs: [config],
    }
    const doing = `setting the session timeout of ${group}`
    await this.#connections
      .callAny(doing, incrementalAlterConfigsV1.api, [resource], false)
      .catch((error: unknown) => {
        if (!hasCode(error, ...refusals)) throw error
      })
  }

  /** A member of a group whose assignments one of the members makes. `owned` is what it says of itself to that one. */
  async join(
    group: string,
    { id: memberId, sessionMs }: { readonly id: string; readonly sessionMs: number },
    topic: string,
    owned: string,
  ): Promise<JoinedGroup> {
    const metadata = encodeConsumerProtocolSubscription({
      version: 0,
      topics: [topic],
      userData: Buffer.from(owned),
    })
    const ask = (id: string) =>
      this.#connections.coordinated('group', group, (node) =>
        this.#connections.call(
          node,
          `joining ${group}`,
          joinGroupV7.api,
          group,
          sessionMs,
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
    const answer = await this.#connections.coordinated('group', group, (node) =>
      this.#connections.call(
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
    await this.#connections.coordinated('group', group, (node) =>
      this.#connections.call(node, `keeping our place in ${group}`, heartbeatV4.api, group, epoch, id, null),
    )
  }

  async leave(group: string, memberId: string): Promise<void> {
    await this.#connections.coordinated('group', group, (node) =>
      this.#connections.call(node, `leaving ${group}`, leaveGroupV4.api, group, [{ memberId }]),
    )
  }
}

function memberIdOf(error: unknown): string | undefined {
  return (responseOf(error) as { readonly memberId?: string } | undefined)?.memberId
}
