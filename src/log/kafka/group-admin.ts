/** What can be asked and said of groups without reading for them. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { RecordsBuilder } from '../../change/records.ts'
import type { Group, GroupLag, LogAdmin } from '../log.ts'
import type { Client } from './client.ts'
import { placeName, type Place } from './connections.ts'
import { nobody } from './group-calls.ts'
import type { FetchedRecord } from './fetched-batch.ts'
import { barriersBehind, groupKey, type ControlState, type DefinedGroup } from './control-state.ts'
import { plainBatch } from './dead-letters.ts'
import type { Follower } from './follower.ts'
import { readHeaders } from './headers.ts'
import { isWanted, readerOf, tableOf } from './lane.ts'
import type { Names } from './names.ts'
import {
  beginning,
  commitPlace,
  lost,
  offsetIn,
  placesOf,
  topicsOf,
  type KnownOffset,
  type LanePlace,
} from './places.ts'
import { BatchBuilder } from './record-batch.ts'

export interface GroupAdminParts {
  readonly client: Client
  readonly names: Names
  readonly follower: Follower
}

const noHeaders = Buffer.from([0])
/** As a rule one batch will do. */
const firstPieceBytes = 1
const pieceBytes = 2 ** 20
/** So many pieces are looked through for the oldest undelivered change; beyond them the answer is what is certain by then. */
const piecesMax = 16

export class GroupAdmin {
  readonly #parts: GroupAdminParts
  /** What this process committed or read last, by group and lane. */
  readonly #places = new Map<string, LanePlace[]>()

  constructor(parts: GroupAdminParts) {
    this.#parts = parts
  }

  /** Throws a Failure where it is not defined. */
  async group(name: string): Promise<DefinedGroup> {
    const { follower } = this.#parts
    const known = follower.state.groups.get(name) ?? (await follower.caughtUp()).groups.get(name)
    if (known === undefined)
      throw new Failure('configuration', `the log has no group ${name}`, {
        remedy: 'millrace run defines the groups of its pipelines',
      })
    return known
  }

  async groups(): Promise<readonly Group[]> {
    const state = await this.#parts.follower.caughtUp()
    const lanes = state.control?.lanes ?? 0
    return await Promise.all(
      [...state.groups.values()].map(async (group) => {
        const places = await placesOf(this.#parts, group, lanes)
        return {
          name: group.name,
          tables: group.tables,
          lanes: places.map(({ next }) => next),
          attributes: group.attributes,
          lost: await this.#isLost(group, places, state),
        }
      }),
    )
  }

  async define(wish: Parameters<LogAdmin['define']>[0]): Promise<void> {
    const { follower } = this.#parts
    const { name, tables, attributes, at } = wish
    const state = await follower.caughtUp()
    const before = state.groups.get(name)
    if (at === undefined && before !== undefined) return this.#write({ ...before, tables, attributes })
    const end = state.control?.seq ?? 0
    const generation = randomUUID().slice(0, 8)
    const made: DefinedGroup = { name, tables, start: at ?? 0, generation, attributes }
    const start = at ?? Math.max(0, ...(await this.#oldest(made, state)))
    assert(start <= end, `${name} begins with ${start}, which is not in the log`)
    const places = Array.from({ length: state.control?.lanes ?? 0 }, () => ({
      next: start,
      offsets: new Map<string, KnownOffset>(),
    }))
    if (at !== undefined && (await this.#isLost(made, places, state)))
      throw lost(`${name} cannot begin with ${start}: some of what follows is no longer kept`)
    this.#places.delete(name)
    await this.#write({ ...made, start })
  }

  async forget(name: string): Promise<void> {
    await this.group(name)
    this.#places.delete(name)
    await this.#produce(groupKey(name), undefined)
  }

  /** Commits for a group that nobody reads. */
  async commit(name: string, lane: number, next: Offset): Promise<void> {
    const group = await this.group(name)
    const state = await this.#parts.follower.caughtUp()
    const lanes = state.control?.lanes ?? 0
    const places = this.#places.get(name) ?? [...(await placesOf(this.#parts, group, lanes))]
    this.#places.set(name, places)
    const before = places[lane]
    assert(before !== undefined, `lane ${lane} is one of ${lanes}`)
    assert(next >= before.next, `${name}, lane ${lane}: ${next} comes before ${before.next}`)
    assert(next <= (state.control?.seq ?? 0), `${name} commits ${next}, which is not in the log`)
    const place = { next, offsets: before.offsets }
    await commitPlace(this.#parts, group, nobody, { lane, ...place })
    places[lane] = place
  }

  /** Somebody else moves the places from now on. */
  released(name: string): void {
    this.#places.delete(name)
  }

  async lag(name: string): Promise<GroupLag> {
    const group = await this.group(name)
    const state = await this.#parts.follower.caughtUp()
    const places = await placesOf(this.#parts, group, state.control?.lanes ?? 0)
    const found: { readonly seq: number; readonly atMs: number }[] = []
    for (const topic of topicsOf(this.#parts.names, state, group))
      for (const [partition, place] of places.entries()) {
        if (endOf(state, { topic, partition }) <= place.next) continue
        const from = { next: place.next, committed: offsetIn(state, place, topic) }
        const first = await this.#oldestIn(group, { topic, partition }, from, state)
        if (first !== undefined) found.push(first)
      }
    const behind = Math.min(...places.map(({ next }) => next))
    for (const { seq, appendedAtMs } of barriersBehind(state, group.tables, behind))
      found.push({ seq, atMs: appendedAtMs })
    const [oldest] = found.toSorted((one, other) => one.seq - other.seq)
    if (oldest === undefined) return { changes: 0, oldestCommittedAtMs: undefined }
    const changes = (state.control?.seq ?? 0) - oldest.seq + 1
    return { changes, oldestCommittedAtMs: oldest.atMs }
  }

  /** The first record of the group behind a place. */
  async #oldestIn(
    group: DefinedGroup,
    place: Place,
    from: { readonly next: number; readonly committed: bigint | undefined },
    state: ControlState,
  ): Promise<{ readonly seq: number; readonly atMs: number } | undefined> {
    const { client } = this.#parts
    let offset = await beginning(client, state, { ...place, ...from }).catch((error: unknown) => {
      if (error instanceof Failure && error.kind === 'lost') return undefined
      throw error
    })
    offset ??= (await client.ends([place], 'first')).get(placeName(place)) ?? 0n
    for (let piece = 0; piece < piecesMax; piece++) {
      const bytes = piece === 0 ? firstPieceBytes : pieceBytes
      const limits = { waitMs: 0, bytes, partitionBytes: bytes }
      const [fetched] = await client.fetch([{ ...place, offset }], limits)
      const record = fetched?.find((each) => isBehind(each, from.next, group, state))
      if (record !== undefined) return { seq: readHeaders(record).seq, atMs: ageOf(record, state) }
      if (fetched === undefined || fetched.next === offset) return undefined
      offset = fetched.next
    }
    return undefined
  }

  async #isLost(group: DefinedGroup, places: readonly LanePlace[], state: ControlState): Promise<boolean> {
    const { client, names } = this.#parts
    const all = topicsOf(names, state, group).flatMap((topic) =>
      places.map((_, partition) => ({ topic, partition })),
    )
    if (all.length === 0) return false
    const firsts = await client.ends(all, 'first')
    for (const place of all) {
      const own = places[place.partition] ?? { next: 0, offsets: new Map<string, KnownOffset>() }
      const begin = { ...place, next: own.next, committed: offsetIn(state, own, place.topic) }
      const first = firsts.get(placeName(place)) ?? 0n
      const isWhole = (state.topics.get(place.topic)?.since ?? 0) <= own.next
      if (isWhole && (first === 0n || (begin.committed ?? -1n) >= first)) continue
      if (await isLost(client, state, begin)) return true
    }
    return false
  }

  /** From where on each partition of a group's topics is whole. */
  async #oldest(group: DefinedGroup, state: ControlState): Promise<readonly Offset[]> {
    const topics = topicsOf(this.#parts.names, state, group)
    return (await keptFrom(this.#parts.client, topics, state)).map(({ from }) => from)
  }

  async #write(group: DefinedGroup): Promise<void> {
    await this.#produce(groupKey(group.name), JSON.stringify(group))
  }

  async #produce(key: string, text: string | undefined): Promise<void> {
    const { client, names, follower } = this.#parts
    const builder = new BatchBuilder()
    builder.add(Buffer.from(key), text === undefined ? undefined : Buffer.from(text), noHeaders)
    await client.produce(null, [{ topic: names.control, partition: 0, batch: plainBatch(builder) }])
    await follower.caughtUp(true)
  }
}

async function isLost(
  client: Client,
  state: ControlState,
  begin: Parameters<typeof beginning>[2],
): Promise<boolean> {
  try {
    await beginning(client, state, begin)
    return false
  } catch (error) {
    if (error instanceof Failure && error.kind === 'lost') return true
    throw error
  }
}

function isBehind(record: FetchedRecord, next: number, group: DefinedGroup, state: ControlState): boolean {
  const headers = readHeaders(record)
  return headers.seq > next && isWanted(group, headers, tableOf(state, headers.fingerprint))
}

/** When a record was committed; one that was read has no such time and is as old as its place in the log. */
function ageOf(record: FetchedRecord, state: ControlState): number {
  const headers = readHeaders(record)
  const builder = new RecordsBuilder()
  readerOf(tableOf(state, headers.fingerprint)).read(builder, record, headers)
  const cursor = builder.finish().cursor()
  cursor.next()
  return cursor.committedAtMs === 0 ? record.appendedAtMs : cursor.committedAtMs
}

export interface KeptPartition extends Place {
  /** From this offset of ours on everything is there. */
  readonly from: Offset
  /** When its oldest record was appended; undefined = it keeps none. */
  readonly appendedAtMs: number | undefined
}

/** What the partitions of topics still keep. */
export async function keptFrom(
  client: Client,
  topics: readonly string[],
  state: ControlState,
): Promise<readonly KeptPartition[]> {
  const all = topics.flatMap((topic) =>
    (state.topics.get(topic)?.ends ?? []).map((_, partition) => ({ topic, partition })),
  )
  if (all.length === 0) return []
  const firsts = await client.ends(all, 'first')
  return await Promise.all(
    all.map(async ({ topic, partition }) => {
      const { id = '', ends = [], since = 0 } = state.topics.get(topic) ?? {}
      const offset = firsts.get(placeName({ topic, partition })) ?? 0n
      const isEmpty = (ends[partition] ?? 0) === 0
      const record = isEmpty ? undefined : await state.firsts.at(client, { topic, partition, id }, offset)
      const from = offset === 0n ? since : record === undefined ? (ends[partition] ?? 0) : record.seq - 1
      return { topic, partition, from, appendedAtMs: record?.appendedAtMs }
    }),
  )
}

/** The last sequence number in a partition; 0 = it has none. */
function endOf({ topics }: ControlState, { topic, partition }: Place): number {
  return topics.get(topic)?.ends[partition] ?? 0
}
