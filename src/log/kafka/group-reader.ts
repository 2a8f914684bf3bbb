/** Reads for one group: takes lanes as they are assigned, fetches ahead within bounds, gives out in the order of the log. */
import { Failure } from '../../change/failure.ts'
import type { LaneBatch, LaneWatcher } from '../log.ts'
import { Bell } from './bell.ts'
import type { Client } from './client.ts'
import type { Member } from './group-calls.ts'
import type { Fetched } from './committed-records.ts'
import type { ControlState, DefinedGroup } from './control-state.ts'
import { hasCode } from './failures.ts'
import type { Follower } from './follower.ts'
import { GroupLane } from './lane.ts'
import type { LastMembers } from './last-members.ts'
import { Membership } from './membership.ts'
import type { Names } from './names.ts'
import { beginning, commitPlace, offsetIn, placesOf, topicsOf, type KnownOffset } from './places.ts'
import { Watchdog } from './watchdog.ts'

export interface GroupReaderParts {
  /** With connections of its own: it waits long at brokers. */
  readonly fetching: Client
  readonly client: Client
  readonly names: Names
  readonly follower: Follower
  readonly group: DefinedGroup
  readonly lanes: number
  readonly watcher: LaneWatcher | undefined
  readonly sessionMs: number
  readonly last: LastMembers
}

const waitMs = 250
/** While some partitions have enough waiting, brokers are asked for the others only briefly. */
const shortWaitMs = 25
const partitionBytes = 2 ** 18
const waitingBytesMax = 2 * 2 ** 20
const fetchBytes = 8 * 2 ** 20
/** A lane that gets nothing is told how far it has passed this often, ms. */
const idleEveryMs = 20
/** Whoever owns a partition that has more, and gets none of it for so long, begins anew. */
const silentMs = 60_000

export class GroupReader {
  readonly #parts: GroupReaderParts
  readonly #lanes = new Map<number, GroupLane>()
  readonly #moved = new Bell()
  readonly #membership: Membership
  readonly #toldAtMs = new Map<number, number>()
  readonly #watchdog = new Watchdog(silentMs)

  constructor(parts: GroupReaderParts) {
    this.#parts = parts
    this.#membership = new Membership({
      client: parts.client,
      group: parts.names.group(parts.group.name),
      topic: parts.names.work,
      lanes: parts.lanes,
      sessionMs: parts.sessionMs,
      last: parts.last,
      assigned: (lanes) => this.#assigned(lanes),
      revoked: (lanes) => this.#revoked(lanes),
    })
  }

  get group(): DefinedGroup {
    return this.#parts.group
  }

  get member(): Member {
    return this.#membership.member
  }

  /** Ends when the signal aborts; throws a Failure of kind `lost` where retention passed a lane. */
  async *read(signal: AbortSignal): AsyncGenerator<LaneBatch> {
    const { follower, fetching } = this.#parts
    const ending = new AbortController()
    const either = AbortSignal.any([signal, ending.signal])
    let failure: { readonly error: unknown } | undefined
    const tasks = [this.#membership.run(either), this.#fetchAll(either), this.#followControl(either)].map(
      (task) =>
        task.catch((error: unknown) => {
          failure ??= { error }
          ending.abort()
          this.#moved.ring()
        }),
    )
    try {
      for (let lane = 0; !either.aborted;) {
        const seen = this.#moved.count
        const batch = follower.isExact ? this.#nextBatch(lane) : undefined
        if (batch !== undefined) {
          lane = batch.lane + 1
          yield batch
        } else await this.#moved.rung(seen, either, idleEveryMs)
      }
    } finally {
      ending.abort()
      await Promise.all(tasks)
      await fetching.close()
    }
    if (failure !== undefined && !signal.aborted) throw failure.error
  }

  /** Commits as the member that we are. Throws a Failure where the lane is not ours any more. */
  async commit(lane: number, next: number): Promise<void> {
    const { client, names, group } = this.#parts
    const own = this.#lanes.get(lane)
    if (own === undefined) {
      throw new Failure('transient', `lane ${lane} of ${group.name} belongs to another process now`)
    }
    const offsets = own.offsetsAt(next) ?? new Map<string, KnownOffset>()
    for (let attempt = 0; ; attempt++) {
      try {
        return await commitPlace({ client, names }, group, this.member, { lane, next, offsets })
      } catch (error) {
        // Between a change of the group and our hearing of it; whoever lost the lane is refused in the end.
        if (attempt === commitAttempts || !hasCode(error, 'STALE_MEMBER_EPOCH', 'REBALANCE_IN_PROGRESS'))
          throw error
        await new Promise((resolve) => {
          setTimeout(resolve, 100 * (attempt + 1))
        })
      }
    }
  }

  /** Lanes in turn, beginning with one. */
  #nextBatch(from: number): LaneBatch | undefined {
    const { follower } = this.#parts
    const owned = [...this.#lanes.values()].toSorted((one, other) => one.lane - other.lane)
    const topics = topicsOf(this.#parts.names, follower.state, this.#parts.group)
    const later = owned.filter(({ lane }) => lane >= from)
    for (const lane of [...later, ...owned.filter((each) => each.lane < from)]) {
      const toldAtMs = this.#toldAtMs.get(lane.lane) ?? -idleEveryMs
      const isDue = performance.now() - toldAtMs >= idleEveryMs
      // A topic that is new has to be read too before anything that the control record says of it counts.
      if ((!isDue && !lane.hasEntries) || !topics.every((topic) => lane.has(topic))) continue
      const batch = lane.give(follower.state)
      if (batch === undefined) continue
      this.#toldAtMs.set(lane.lane, performance.now())
      this.#moved.ring()
      return batch
    }
    return undefined
  }

  async #assigned(lanes: readonly number[]): Promise<void> {
    const { client, names, follower, group, watcher } = this.#parts
    const state = await follower.caughtUp()
    const places = await placesOf({ client, names }, group, this.#parts.lanes)
    for (const number of lanes) {
      if (this.#lanes.has(number)) continue
      const place = places[number]
      if (place === undefined) throw new Failure('configuration', `the log has no lane ${number}`)
      const lane = new GroupLane(number, place.next, group)
      for (const topic of topicsOf(names, state, group))
        await this.#addPart(
          lane,
          topic,
          { next: place.next, committed: offsetIn(state, place, topic) },
          state,
        )
      watcher?.assigned(number, place.next)
      this.#lanes.set(number, lane)
    }
    this.#moved.ring()
  }

  async #addPart(
    lane: GroupLane,
    topic: string,
    place: { readonly next: number; readonly committed: bigint | undefined },
    state: ControlState,
  ): Promise<void> {
    const { client } = this.#parts
    const id = state.topics.get(topic)?.id
    if (id === undefined) throw new Error(`nothing is known of ${topic}`)
    const offset = await beginning(client, state, { topic, partition: lane.lane, ...place })
    lane.add(topic, { id, offset })
  }

  async #revoked(lanes: readonly number[]): Promise<void> {
    // What they wait for is finished and committed first: until then they are ours.
    const { watcher } = this.#parts
    if (watcher !== undefined) await Promise.all(lanes.map((lane) => watcher.revoked(lane)))
    for (const lane of lanes) {
      this.#lanes.delete(lane)
      this.#toldAtMs.delete(lane)
    }
  }

  /** New topics join the lanes; what the control record says moves those that get nothing. */
  async #followControl(signal: AbortSignal): Promise<void> {
    const { follower, names, group } = this.#parts
    while (!signal.aborted) {
      const seen = follower.pieces
      const topics = follower.isExact ? topicsOf(names, follower.state, group) : []
      for (const lane of this.#lanes.values()) {
        if (lane.isOutdated(follower.state))
          throw new Failure('transient', `${group.name} looks for its place again: a topic was made anew`)
        for (const topic of topics.filter((each) => !lane.has(each)))
          await this.#addPart(lane, topic, { next: lane.given, committed: undefined }, follower.state)
      }
      this.#moved.ring()
      await follower.moved(seen, signal)
      const starved = [...this.#lanes.values()].flatMap((lane) =>
        lane.starved(follower.state, waitingBytesMax),
      )
      const silent = this.#watchdog.silent(starved, performance.now())
      if (silent !== undefined)
        throw new Failure('transient', `${group.name} gets nothing of ${silent}, which has more: reads anew`)
    }
  }

  async #fetchAll(signal: AbortSignal): Promise<void> {
    const { fetching } = this.#parts
    while (!signal.aborted) {
      const seen = this.#moved.count
      const all = [...this.#lanes.values()].flatMap((lane) => lane.wants(Infinity))
      const wanted = [...this.#lanes.values()].flatMap((lane) => lane.wants(waitingBytesMax))
      if (wanted.length === 0) {
        await this.#moved.rung(seen, signal)
        continue
      }
      const limits = {
        waitMs: wanted.length < all.length ? shortWaitMs : waitMs,
        bytes: fetchBytes,
        partitionBytes,
      }
      const fetched = await fetching.fetch(wanted, limits).catch((error: unknown) => this.#mended(error))
      for (const each of fetched) this.#lanes.get(each.partition)?.take(each)
      if (fetched.length > 0) this.#moved.ring()
    }
  }

  /** What goes by itself is tried again; the rest ends the reading. */
  async #mended(error: unknown): Promise<readonly Fetched[]> {
    if (hasCode(error, 'OFFSET_OUT_OF_RANGE')) await this.#throwLost()
    const isPassing = hasCode(error, 'NOT_LEADER_OR_FOLLOWER', 'FENCED_LEADER_EPOCH', 'LEADER_NOT_AVAILABLE')
    if (!isPassing) throw error
    this.#parts.fetching.forget()
    await new Promise((resolve) => {
      setTimeout(resolve, 200)
    })
    return []
  }

  async #throwLost(): Promise<never> {
    const { client, follower } = this.#parts
    for (const lane of this.#lanes.values())
      for (const { topic, partition, offset } of lane.wants(Infinity))
        await beginning(client, follower.state, { topic, partition, next: lane.given, committed: offset })
    throw new Failure('transient', 'a partition no longer has the offset that is to be read next')
  }
}

const commitAttempts = 20
