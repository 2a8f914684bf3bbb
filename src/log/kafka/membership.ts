/**
 * Which lanes are ours, where several processes deliver for one group. The group's members subscribe to the work topic
 * alone: a lane is one of its partitions, and takes the partitions of that number in all other topics with it.
 */
import { randomUUID } from 'node:crypto'
import { Failure } from '../../change/failure.ts'
import { Bell } from './bell.ts'
import type { Client } from './client.ts'
import type { Member } from './group-calls.ts'
import { hasCode } from './failures.ts'
import type { LastMembers } from './last-members.ts'
import { shareOut } from './shares.ts'

export interface MembershipParts {
  readonly client: Client
  /** As the cluster calls it. */
  readonly group: string
  readonly topic: string
  readonly lanes: number
  /** Whoever is silent for so long has left. */
  readonly sessionMs: number
  readonly last: LastMembers
  /** Lanes are ours now. */
  readonly assigned: (lanes: readonly number[]) => Promise<void>
  /** Lanes go to others when this resolves. */
  readonly revoked: (lanes: readonly number[]) => Promise<void>
}

const retryMs = 500
const classicEveryMs = 3_000
const eagerMs = 200
const eagerAttempts = 50
/** We are no member any more, or not of this generation: what we had belongs to others. */
const goneCodes = ['UNKNOWN_MEMBER_ID', 'FENCED_MEMBER_EPOCH', 'ILLEGAL_GENERATION', 'STALE_MEMBER_EPOCH']
const joining: Member = { id: '', epoch: 0 }

export class Membership {
  readonly #parts: MembershipParts
  #member = joining
  #owned: readonly number[] = []

  constructor(parts: MembershipParts) {
    this.#parts = parts
  }

  /** Who commits. */
  get member(): Member {
    return this.#member
  }

  /** Keeps our place until the signal aborts, then gives back what we have; throws what cannot be mended here. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#runWithBrokers(signal)
    } catch (error) {
      if (!hasCode(error, 'UNSUPPORTED_VERSION')) throw error
      await this.#runAmongMembers(signal)
    }
  }

  /** The group's coordinator assigns; each change is taken step by step (KIP-848). */
  async #runWithBrokers(signal: AbortSignal): Promise<void> {
    const { client, group, topic, last, sessionMs } = this.#parts
    const before = last.of(group)
    if (before !== undefined)
      await client.groups
        .memberHeartbeat(group, { id: before, epoch: -1 }, topic, undefined)
        .catch(() => undefined)
    await client.groups.keepFor(group, sessionMs)
    this.#member = { id: randomUUID(), epoch: 0 }
    try {
      await this.#beatWithBrokers(signal)
    } finally {
      await this.#release(this.#owned)
      const left = { ...this.#member, epoch: -1 }
      if (this.#member.epoch > 0)
        await client.groups.memberHeartbeat(group, left, topic, undefined).catch(() => undefined)
    }
  }

  async #beatWithBrokers(signal: AbortSignal): Promise<void> {
    const { client, group, topic, lanes, last } = this.#parts
    last.note(group, this.#member.id)
    let tellAll = true
    let attempts = 0
    let target: readonly number[] = []
    while (!signal.aborted) {
      const owned = tellAll ? this.#owned : undefined
      const answer = await this.#retried(signal, () =>
        client.groups.memberHeartbeat(group, this.#member, topic, owned),
      )
      if (answer === undefined) {
        if (this.#owned.length === 0) target = []
        tellAll = true
        continue
      }
      this.#member = answer.member
      // Somebody may have added partitions, to which nothing is written.
      target = answer.partitions?.filter((lane) => lane < lanes) ?? target
      tellAll = await this.#take(target)
      // A new member's share is often worked out a moment later.
      const isNew = this.#owned.length === 0 && attempts++ < eagerAttempts
      if (!tellAll) await pause(isNew ? eagerMs : answer.everyMs, signal)
    }
  }

  /** undefined = it failed for a while, or we are no member any more; what we had is given back then. */
  async #retried<Answer>(signal: AbortSignal, ask: () => Promise<Answer>): Promise<Answer | undefined> {
    try {
      return await ask()
    } catch (error) {
      if (hasCode(error, ...goneCodes)) {
        await this.#release(this.#owned)
        this.#member = { id: this.#member.id, epoch: 0 }
      } else if (!(error instanceof Failure) || error.kind !== 'transient') throw error
      await pause(retryMs, signal)
      return undefined
    }
  }

  /** One of the members assigns, and all stop for it: what brokers before 4.0 offer. */
  async #runAmongMembers(signal: AbortSignal): Promise<void> {
    const { client, group, last } = this.#parts
    const before = last.of(group)
    if (before !== undefined) await client.groups.leave(group, before).catch(() => undefined)
    this.#member = joining
    try {
      await this.#rejoinAmongMembers(signal)
    } finally {
      await this.#release(this.#owned)
      if (this.#member.id !== '') await client.groups.leave(group, this.#member.id).catch(() => undefined)
    }
  }

  async #rejoinAmongMembers(signal: AbortSignal): Promise<void> {
    let before = ''
    while (!signal.aborted) {
      let share: readonly number[]
      try {
        share = await this.#join(before)
      } catch (error) {
        before = await this.#giveBack(error, signal)
        continue
      }
      await this.#take(share)
      try {
        await this.#beat(signal)
      } catch (error) {
        before = await this.#giveBack(error, signal)
      }
    }
  }

  /** Gives back what we had, and answers what that was; throws what does not pass by itself. */
  async #giveBack(error: unknown, signal: AbortSignal): Promise<string> {
    const isGone = hasCode(error, ...goneCodes)
    if (!isGone && (!(error instanceof Failure) || error.kind !== 'transient')) throw error
    const before = this.#owned.join(',')
    await this.#release(this.#owned)
    this.#member = { id: isGone ? '' : this.#member.id, epoch: -1 }
    if (!hasCode(error, 'REBALANCE_IN_PROGRESS')) await pause(retryMs, signal)
    return before
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { client, group } = this.#parts
    for (;;) {
      await pause(classicEveryMs, signal)
      if (signal.aborted) return
      await client.groups.heartbeat(group, this.#member)
    }
  }

  async #join(owned: string): Promise<readonly number[]> {
    const { client, group, topic, lanes, sessionMs, last } = this.#parts
    const { id } = this.#member
    const joined = await client.groups.join(group, { id, sessionMs }, topic, owned)
    const { memberId, generation, members } = joined
    if (memberId !== id) last.note(group, memberId)
    this.#member = { id: memberId, epoch: generation }
    const share = await client.groups.sync(group, this.#member, shareOut(lanes, members))
    return share === '' ? [] : share.split(',').map(Number)
  }

  /** Whether anything changed, which is to be told. */
  async #take(target: readonly number[]): Promise<boolean> {
    const gone = this.#owned.filter((lane) => !target.includes(lane))
    if (gone.length > 0) await this.#release(gone)
    const added = target.filter((lane) => !this.#owned.includes(lane))
    this.#owned = target
    if (added.length > 0) await this.#parts.assigned(added)
    return gone.length + added.length > 0
  }

  async #release(lanes: readonly number[]): Promise<void> {
    if (lanes.length > 0) await this.#parts.revoked(lanes)
    this.#owned = this.#owned.filter((lane) => !lanes.includes(lane))
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Bell().rung(0, signal, ms)
}
