/** The durable change log: what capture appends to and deliverers read. */
import type { Barrier, Change, Key, Offset } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import { transactionAt } from '../change/origins.ts'
import { noRecords, RecordCursor, type Records } from '../change/records.ts'

/** Progress and numbering; saved in the same atomic append as the records it describes. Control records never expire. */
export interface Control {
  /** Drawn at random when the log began; never changes. */
  readonly lineage: string
  /** 1 to 32767. */
  readonly epoch: number
  /** The highest sequence number given so far; below 2^48. */
  readonly seq: number
  /** How many lanes deliver this log; fixed when it began. */
  readonly lanes: number
  /** Progress of each producer, in its own words: `source:NAME` (a position), `task:ID` (a task's state). */
  readonly producers: Readonly<Record<string, string>>
  /** Present where this is not the current log of its source. */
  readonly moved?: Moved
}

/** A log goes on in another, kept elsewhere: the one that is being filled is not current yet, the one that was left not any more. */
export interface Moved {
  readonly state: 'filling' | 'left'
  /** How the one that is left is kept, and the one that goes on, in the settings' words. */
  readonly from: string
  readonly to: string
}

/** Throws a Failure of kind `conflict` where another log is, or will be, the current one of the source. */
export function assertCurrent(control: Control | undefined): void {
  if (control?.moved === undefined) return
  const { state, from, to } = control.moved
  if (state === 'left')
    throw new Failure('conflict', `this log (${from}) was left: the one in ${to} goes on from it`, {
      remedy: `set log.kind: ${to}; or come back: millrace log switch ${from}`,
    })
  throw new Failure('conflict', `this log (${to}) is being filled from the one in ${from}`, {
    remedy: `let that be finished: millrace log switch ${to}`,
  })
}

export interface LogBatch {
  /** Record i of them all gets the sequence number `firstSeq + i`, and the version `epoch << 48 | seq`. */
  readonly records: readonly Records[]
  readonly firstSeq: number
  /** The records are for this group alone (a load's chunk), or for those of this pipeline; undefined = for all. */
  readonly addressee: string | undefined
  /** They come behind the records: each takes an offset and the next sequence number, and goes to every lane of its table. */
  readonly barriers: readonly Barrier[]
  readonly control: Control
}

/** A barrier as a lane meets it. */
export type NumberedBarrier = Barrier & { readonly version: bigint }

/** Whether a batch is for the group: `orders` and `orders@main` both mean `orders@main`. */
export function isAddressedTo(addressee: string | undefined, group: string): boolean {
  return addressee === undefined || addressee === group || group.startsWith(`${addressee}@`)
}

export interface Entry {
  readonly offset: Offset
  readonly version: bigint
  readonly change: Change
}

/** Some records of one run, with their offsets and versions: what a lane gets, without an object for each. */
export class Entries {
  readonly records: Records
  /** Where each begins in the bytes of the records; ascending. */
  readonly #places: readonly number[]
  /** How far each lies behind the first record of the run. */
  readonly #ordinals: readonly number[]
  readonly #first: { readonly offset: Offset; readonly version: bigint }

  /** `first` is that of the first record of the run, whether it is among the entries or not. */
  constructor(
    records: Records,
    places: readonly number[],
    ordinals: readonly number[],
    first: { readonly offset: Offset; readonly version: bigint },
  ) {
    this.records = records
    this.#places = places
    this.#ordinals = ordinals
    this.#first = first
  }

  /** All records of a run. */
  static all(records: Records, first: { readonly offset: Offset; readonly version: bigint }): Entries {
    const places: number[] = []
    for (const cursor = records.cursor(); cursor.next();) places.push(cursor.place)
    return new Entries(records, places, [...places.keys()], first)
  }

  get length(): number {
    return this.#places.length
  }

  /** Where an entry begins in the bytes of the records. */
  place(at: number): number {
    return numbered(this.#places, at)
  }

  offset(at: number): Offset {
    return this.#first.offset + numbered(this.#ordinals, at)
  }

  /** The transaction of the source that it comes from; empty = none that is known. */
  transaction(at: number): string {
    return transactionAt(this.records.origins, this.place(at))
  }

  version(at: number): bigint {
    return this.#first.version + BigInt(numbered(this.#ordinals, at))
  }

  *[Symbol.iterator](): Generator<Entry> {
    const cursor = new RecordCursor(this.records)
    for (let at = 0; at < this.length; at++) {
      cursor.seek(this.place(at))
      yield { offset: this.offset(at), version: this.version(at), change: cursor.change() }
    }
  }
}

function numbered(list: readonly number[], at: number): number {
  const found = list[at]
  if (found === undefined) throw new RangeError(`${list.length} entries have no number ${at}`)
  return found
}

export const noEntries = new Entries(noRecords, [], [], { offset: 0, version: 0n })

/** What one lane gets: entries in log order, of the group's tables only. */
export interface LaneBatch {
  readonly lane: number
  readonly entries: Entries
  /** It comes alone: all before it is in earlier batches, all behind it in later ones. */
  readonly barrier?: NumberedBarrier
  /** Bytes of the entries. */
  readonly bytes: number
  /** Nothing of this lane lies between the last entry and here; may be committed when the entries are finished. */
  readonly next: Offset
  /** Lets the log use the memory of the entries again, at which nobody may look afterwards. Need not be called. */
  readonly release?: () => void
}

/** Told which lanes a reader has: all at once, or as several readers share a group. */
export interface LaneWatcher {
  /** The lane is ours, from this offset on; said before its first batch. */
  readonly assigned: (lane: number, next: Offset) => void
  /** The lane goes to another reader when this resolves: until then what is finished may be committed. */
  readonly revoked: (lane: number) => Promise<void>
}

export interface ChangeLog {
  /**
   * Atomic: all of it or nothing survives a crash; resolved = it survives, and nobody looks at the batch's records any
   * more. One call at a time. After a rejection the outcome is unknown: call `tail` and go on from what it says. The
   * answer is the offset after its last record or barrier.
   */
  append(batch: LogBatch): Promise<Offset>
  /** The last control record; undefined = the log is new. Fences earlier writers and mends a torn last append. */
  tail(): Promise<Control | undefined>
  /**
   * Entries after what the group has committed, lane by lane, for ever (it waits at the tail); ends when the signal
   * aborts. An iteration may be empty: it only moves `next`. Throws a Failure of kind `lost` where retention passed it.
   */
  read(group: string, signal: AbortSignal, watcher?: LaneWatcher): AsyncIterable<LaneBatch>
  /** The group has finished everything of the lane before `next`. Durable when resolved; never backward. */
  commit(group: string, lane: number, next: Offset): Promise<void>
}

export interface Group {
  /** `PIPELINE@TARGET`. */
  readonly name: string
  readonly tables: readonly string[]
  /** The next offset to deliver, per lane. */
  readonly lanes: readonly Offset[]
  /** Small facts that belong to the progress: index UUID, pipeline fingerprint. */
  readonly attributes: Readonly<Record<string, string>>
  /** Retention dropped records that the group had not delivered: its index needs a reload. */
  readonly lost: boolean
}

export interface GroupLag {
  /** At most so many changes are not yet delivered (records of other tables count until the group has passed them). */
  readonly changes: number
  /** Commit time of the oldest undelivered change, ms since 1970; undefined = nothing is undelivered. */
  readonly oldestCommittedAtMs: number | undefined
}

export interface Retention {
  readonly bytes: number
  /** Beyond this the oldest segment goes, whoever still needs it. */
  readonly bytesMax: number
  /** What is older goes, whoever still needs it; absent = age alone takes nothing from who needs it. */
  readonly keptMs?: number
  readonly oldest: Offset
  /** One past the newest record. */
  readonly next: Offset
  /** When the oldest record was appended, ms since 1970. */
  readonly oldestAppendedAtMs: number | undefined
}

/** A piece of the log as it is stored. */
export interface LogPart {
  readonly name: string
  readonly bytes: number
  /** The first record that it keeps, and the one after its last. */
  readonly first: Offset
  readonly next: Offset
  /** 0 = it keeps no record. */
  readonly firstAppendedAtMs: number
}

/** A place in the log that somebody names. What fits goes on fitting from then on. */
export type LogPlace =
  | { readonly kind: 'time'; readonly appendedAtMs: number }
  | { readonly kind: 'control'; readonly reached: (control: Control) => boolean }

/** A run of records as they were appended, one behind the other. */
export interface LogStretch {
  readonly records: Records
  /** Of its first record. */
  readonly offset: Offset
  readonly version: bigint
  readonly addressee: string | undefined
  /**
   * They come alone, and the first has this offset and version. Version 0: statements without numbers of their own, from
   * before their effects were told apart.
   */
  readonly barriers: readonly Barrier[]
}

/** Administration: status, doctor, replay, explain. Usable from a second process while the daemon runs. */
export interface LogAdmin {
  /** The last control record, without fencing or mending anything. */
  control(): Promise<Control | undefined>
  groups(): Promise<readonly Group[]>
  /**
   * Resolves once the groups are as `fit` asks: it is shown them at once, and again whenever one may have moved, with what
   * other processes do too. Rejects with the signal's reason when that aborts.
   */
  untilGroups(fit: (groups: readonly Group[]) => boolean, signal: AbortSignal): Promise<void>
  /** Makes the group, or sets its tables, places and attributes anew; undefined `at` leaves the places alone. */
  define(group: {
    name: string
    tables: readonly string[]
    at?: Offset
    attributes: Readonly<Record<string, string>>
  }): Promise<void>
  forget(group: string): Promise<void>
  lag(group: string): Promise<GroupLag>
  retention(): Promise<Retention>
  /** What the log is stored in, oldest first. */
  parts(): Promise<readonly LogPart[]>
  /** Every record of a key that is still kept, oldest first, with its addressee. */
  find(table: string, key: Key): AsyncIterable<Entry & { readonly addressee: string | undefined }>
  /** Its first offset and the one after its last, of the first kept append that fits the place; undefined = none does yet. */
  appendAt(place: LogPlace): Promise<{ readonly first: Offset; readonly next: Offset } | undefined>
  /**
   * What was appended from one offset to before another, in order, barriers without records included. The first and the
   * last run may reach beyond. Throws a Failure of kind `lost` where `from` is kept no longer.
   */
  range(from: Offset, to: Offset): AsyncIterable<LogStretch>
  /** Unlinks the oldest segments that retention no longer keeps; marks groups that still needed them as lost. */
  drop(): Promise<void>
  close(): Promise<void>
}

export interface DeadLetter {
  readonly id: string
  readonly table: string
  readonly key: string
  /** Decimal digits. */
  readonly version: string
  readonly op: 'index' | 'delete'
  readonly reason: string
  /** What alike failures share. */
  readonly fingerprint: string
  readonly attempts: number
  readonly firstAtMs: number
  readonly lastAtMs: number
  /** The document as it was refused; undefined for a delete. */
  readonly document: string | undefined
}

/** A durable stream outside retention, keyed by (group, id). */
export interface DeadLetters {
  /** Durable when resolved; an earlier letter of the same id is replaced, keeping `firstAtMs` and adding to `attempts`. */
  put(group: string, letters: readonly DeadLetter[]): Promise<void>
  /** A later version of these ids was applied. Ids without a letter are ignored. */
  settle(group: string, ids: readonly string[]): Promise<void>
  count(group: string): Promise<number>
  list(group: string): AsyncIterable<DeadLetter>
}

/** All that there is of a log: what the daemon opens, whichever way it is stored. */
export interface Log extends ChangeLog, LogAdmin {
  readonly deadLetters: DeadLetters
}
