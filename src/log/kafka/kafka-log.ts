/**
 * The log in Kafka: several processes deliver from it, and others read it too.
 *
 *   PREFIX.SCHEMA.TABLE         records of a table, as they were committed
 *   PREFIX.work.SOURCE          records for one group alone, and touches; its partitions are the lanes
 *   PREFIX.control.SOURCE       the control record and what readers must know (control-state.ts)
 *   PREFIX.dead-letters.SOURCE  what targets refused for good
 *
 * An offset of ours is a sequence number less one, so it grows along the log over all topics.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Key, Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { RecordsBuilder } from '../../change/records.ts'
import type {
  Control,
  DeadLetters,
  Entry,
  Group,
  GroupLag,
  LaneBatch,
  LaneWatcher,
  Log,
  LogAdmin,
  LogBatch,
  LogPart,
  LogPlace,
  LogStretch,
  Retention,
} from '../log.ts'
import { lockFile } from '../lock.ts'
import type { Compression } from './algorithms.ts'
import { Bell } from './bell.ts'
import { Client } from './client.ts'
import { placeName, type ClientSettings, type Place } from './connections.ts'
import type { FetchedRecord } from './fetched-batch.ts'
import type { ControlState } from './control-state.ts'
import { TopicDeadLetters } from './dead-letters.ts'
import { keyBytes } from './envelope.ts'
import { Follower } from './follower.ts'
import { GroupAdmin, keptFrom } from './group-admin.ts'
import { GroupReader } from './group-reader.ts'
import { readHeaders } from './headers.ts'
import { readerOf, tableOf } from './lane.ts'
import { LastMembers } from './last-members.ts'
import { namesOf, type Names } from './names.ts'
import { partitionOf } from './partition.ts'
import { appendAt, recordsOf, stretchesOf } from './stretches.ts'
import { Topics, type TopicSettings } from './topics.ts'
import { Writer } from './writer.ts'

export interface KafkaLogOptions {
  readonly client: ClientSettings
  /** `{source}` in it stands for the name of the source. */
  readonly prefix: string
  readonly source: string
  /** Of the program, for readers of the topics. */
  readonly version: string
  readonly topics: TopicSettings
  readonly compression: Compression
  /** Whoever is silent for so long has left a group, ms; brokers may have bounds of their own. */
  readonly sessionMs: number
  /**
   * A file of this process alone, with a lock beside it, in which it notes who it was in each group; undefined = a kill is
   * noticed late.
   */
  readonly membersFile?: string
  /** Makes nothing: to look at a log that is there. */
  readonly readOnly?: boolean
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export function offsetOfSeq(seq: number): Offset {
  return seq - 1
}

/** Throws a Failure: `lost` where it is to be read only and there is none yet, `conflict` where another process has the file of members. */
export async function openKafkaLog(options: KafkaLogOptions): Promise<Log> {
  const names = namesOf(options.prefix, options.source)
  const unlock = lockedAlone(options.membersFile)
  const client = new Client(options.client)
  try {
    const topics = new Topics(client, options.topics)
    if (options.readOnly === true) await existing(client, names, options.source)
    else await topics.compacted(names.control)
    return new KafkaLog(options, { client, names, topics, unlock })
  } catch (error) {
    await client.close()
    unlock()
    throw error
  }
}

/** Two processes with one file of members would each take the other for itself, which has died, and end it in its groups. */
function lockedAlone(membersFile: string | undefined): () => void {
  if (membersFile === undefined) return () => {}
  const folder = dirname(membersFile)
  mkdirSync(folder, { recursive: true })
  const unlock = lockFile(`${membersFile}.lock`)
  if (unlock !== undefined) return unlock
  throw new Failure('conflict', `another process works with the log in Kafka from ${folder}`, {
    remedy: 'stop the other millrace, or give this one a state directory of its own',
  })
}

async function existing(client: Client, { control }: Names, source: string): Promise<void> {
  if ((await client.topics([control])).has(control)) return
  throw new Failure('lost', `the source ${source} has no log in Kafka yet: there is no topic ${control}`, {
    remedy: 'millrace run begins it',
  })
}

type FoundEntry = Entry & { readonly addressee: string | undefined }

/** How often brokers are asked for the places of groups that somebody waits for, ms. */
const groupsLookMs = 50

interface KafkaLogParts {
  readonly client: Client
  readonly names: Names
  readonly topics: Topics
  readonly unlock: () => void
}

class KafkaLog implements Log {
  readonly deadLetters: DeadLetters
  readonly #client: Client
  readonly #names: Names
  readonly #options: KafkaLogOptions
  readonly #follower: Follower
  readonly #writer: Writer
  readonly #groups: GroupAdmin
  readonly #last: LastMembers
  readonly #unlock: () => void
  readonly #readers = new Map<string, GroupReader>()
  /** A group committed in this process. */
  readonly #moved = new Bell()

  constructor(options: KafkaLogOptions, { client, names, topics, unlock }: KafkaLogParts) {
    this.#options = options
    this.#unlock = unlock
    this.#client = client
    this.#names = names
    this.#last = new LastMembers(options.membersFile)
    this.#follower = new Follower(client, new Client(options.client), names.control)
    const follower = this.#follower
    this.#groups = new GroupAdmin({ client, names, follower })
    const writing = new Client(options.client)
    this.#writer = new Writer({
      client: writing,
      names,
      // What the writer has just seen to be gone is gone.
      topics: new Topics(writing, options.topics),
      follower,
      source: { version: options.version, name: options.source },
      compression: options.compression,
      now: options.now ?? (() => Date.now()),
    })
    this.deadLetters = new TopicDeadLetters(client, async () => {
      await topics.compacted(names.deadLetters)
      return names.deadLetters
    })
  }

  append(batch: LogBatch): Promise<Offset> {
    return this.#writer.append(batch)
  }

  tail(): Promise<Control | undefined> {
    return this.#writer.tail()
  }

  async control(): Promise<Control | undefined> {
    return (await this.#follower.caughtUp()).control
  }

  async *read(name: string, signal: AbortSignal, watcher?: LaneWatcher): AsyncGenerator<LaneBatch> {
    if (signal.aborted) return
    const group = await this.#groups.group(name)
    const control = await this.#begun(signal)
    if (control === undefined) return
    if (this.#readers.has(name)) throw new Error(`${name} is being read already`)
    const reader = new GroupReader({
      fetching: new Client(this.#options.client),
      client: this.#client,
      names: this.#names,
      follower: this.#follower,
      group,
      lanes: control.lanes,
      watcher,
      sessionMs: this.#options.sessionMs,
      last: this.#last,
    })
    this.#readers.set(name, reader)
    try {
      yield* reader.read(signal)
    } finally {
      this.#readers.delete(name)
      this.#groups.released(name)
    }
  }

  async commit(name: string, lane: number, next: Offset): Promise<void> {
    const reader = this.#readers.get(name)
    if (reader === undefined) await this.#groups.commit(name, lane, next)
    else await reader.commit(lane, next)
    this.#moved.ring()
  }

  groups(): Promise<readonly Group[]> {
    return this.#groups.groups()
  }

  /** Brokers tell nobody of commits: those of this process are known, those of others are asked for. */
  async untilGroups(fit: (groups: readonly Group[]) => boolean, signal: AbortSignal): Promise<void> {
    for (let seen = this.#moved.count; !fit(await this.groups()); seen = this.#moved.count) {
      await this.#moved.rung(seen, signal, groupsLookMs)
      signal.throwIfAborted()
    }
    signal.throwIfAborted()
  }

  define(group: Parameters<LogAdmin['define']>[0]): Promise<void> {
    return this.#groups.define(group)
  }

  forget(group: string): Promise<void> {
    return this.#groups.forget(group)
  }

  lag(group: string): Promise<GroupLag> {
    return this.#groups.lag(group)
  }

  async retention(): Promise<Retention> {
    const state = await this.#follower.caughtUp()
    const kept = await keptFrom(this.#client, [...state.topics.keys()], state)
    const sizes = await this.#sizes(state)
    const times = kept.flatMap(({ appendedAtMs }) => (appendedAtMs === undefined ? [] : [appendedAtMs]))
    return {
      bytes: [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0),
      bytesMax: this.#options.topics.retentionBytes * Math.max(1, kept.length),
      keptMs: this.#options.topics.retentionMs,
      oldest: Math.max(0, ...kept.map(({ from }) => from)),
      next: state.control?.seq ?? 0,
      oldestAppendedAtMs: times.length === 0 ? undefined : Math.min(...times),
    }
  }

  async parts(): Promise<readonly LogPart[]> {
    const state = await this.#follower.caughtUp()
    const sizes = await this.#sizes(state)
    return (await keptFrom(this.#client, [...state.topics.keys()], state)).map((kept) => ({
      name: placeName(kept),
      bytes: sizes.get(placeName(kept)) ?? 0,
      first: kept.from,
      next: state.topics.get(kept.topic)?.ends[kept.partition] ?? 0,
      firstAppendedAtMs: kept.appendedAtMs ?? 0,
    }))
  }

  async *find(table: string, key: Key): AsyncGenerator<FoundEntry> {
    const state = await this.#follower.caughtUp()
    const lanes = state.control?.lanes ?? 1
    const defined = [...state.tables.values()].filter(({ name }) => name === table)
    const forms = new Set(defined.map((each) => keyBytes(each, key).toString('latin1')))
    const topics = [this.#names.table(table), this.#names.work].filter((topic) => state.topics.has(topic))
    const found: FoundEntry[] = []
    for (const form of forms)
      for (const topic of topics) {
        const bytes = Buffer.from(form, 'latin1')
        const place = { topic, partition: partitionOf(bytes, bytes.length, lanes) }
        found.push(...(await this.#found(place, bytes)))
      }
    yield* found
      .filter(({ change }) => change.table.name === table)
      .toSorted((one, other) => one.offset - other.offset)
  }

  async #found(place: Place, key: Buffer): Promise<readonly FoundEntry[]> {
    const found: FoundEntry[] = []
    for await (const record of recordsOf(this.#client, place))
      if (record.key.equals(key)) found.push(entryOf(record, await this.#follower.caughtUp()))
    return found
  }

  async appendAt(place: LogPlace): ReturnType<LogAdmin['appendAt']> {
    return await appendAt(this.#client, await this.#follower.caughtUp(), place, this.#names.control)
  }

  async *range(from: Offset, to: Offset): AsyncGenerator<LogStretch> {
    yield* stretchesOf(this.#client, await this.#follower.caughtUp(), from, to)
  }

  /** Brokers drop what is too old or too much; what a person dropped with a topic is noted. */
  drop(): Promise<void> {
    return this.#writer.mend()
  }

  async close(): Promise<void> {
    try {
      await this.#writer.close()
      await this.#follower.close()
      await this.#client.close()
    } finally {
      this.#unlock()
    }
  }

  /** The control record, once the log has begun; undefined = the signal aborted before. */
  async #begun(signal: AbortSignal): Promise<Control | undefined> {
    const follower = this.#follower
    const { state } = follower
    await follower.caughtUp()
    while (state.control === undefined && !signal.aborted) await follower.moved(follower.pieces, signal)
    return state.control
  }

  async #sizes(state: ControlState): Promise<ReadonlyMap<string, number>> {
    const topics = await this.#client.topics([...state.topics.keys()])
    return await this.#client.sizes([...topics.values()])
  }
}

function entryOf(record: FetchedRecord, state: ControlState): FoundEntry {
  const headers = readHeaders(record)
  const builder = new RecordsBuilder()
  readerOf(tableOf(state, headers.fingerprint)).read(builder, record, headers)
  const [change] = builder.finish()
  if (change === undefined) throw new Error('one record was read')
  const { version, seq, addressee } = headers
  return { offset: seq - 1, version, change, addressee: addressee === '' ? undefined : addressee }
}
