/**
 * One lane of a group: the partition of that number in each of the group's topics. Records are given out in the order of
 * the log, so one waits until every partition is known to have been read as far: either it has given a later record, or
 * it has been read to the end that the control record names.
 */
import type { Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { RecordsBuilder } from '../../change/records.ts'
import { Entries, isAddressedTo, noEntries, type LaneBatch } from '../log.ts'
import { Arriving } from './arriving.ts'
import type { Fetched } from './committed-records.ts'
import { barriersBehind, type ControlState, type DefinedGroup } from './control-state.ts'
import { placeName, type Place } from './connections.ts'
import { EnvelopeReader } from './envelope-reader.ts'
import type { RecordForm } from './header-reader.ts'
import type { KnownOffset, LanePlace } from './places.ts'
import type { Starved } from './watchdog.ts'

/** The group, and the tables that it wants. */
export type Wanted = Pick<DefinedGroup, 'name' | 'tables'>

/** Everything before `bound` lies before these offsets. */
interface Mark {
  readonly bound: number
  readonly offsets: LanePlace['offsets']
}

const batchBytes = 256 * 1024

export class GroupLane {
  readonly lane: number
  readonly #parts = new Map<string, Arriving>()
  /** What is made of the records of a form; undefined = they are not wanted. */
  readonly #readers = new WeakMap<RecordForm, EnvelopeReader | undefined>()
  readonly #wanted: Wanted
  readonly #builder = new RecordsBuilder(batchBytes + 32 * 1024)
  #marks: Mark[] = []
  /** Everything up to this sequence number was given out. */
  #given: number

  /** `next`: the offset that the group comes to next in this lane. */
  constructor(lane: number, next: number, wanted: Wanted) {
    this.lane = lane
    this.#given = next
    this.#wanted = wanted
  }

  /** Everything before this was given out. */
  get given(): number {
    return this.#given
  }

  get hasEntries(): boolean {
    return [...this.#parts.values()].some(({ head }) => head !== undefined)
  }

  has(topic: string): boolean {
    return this.#parts.has(topic)
  }

  /** Whether somebody has made a topic anew that the lane reads. */
  isOutdated({ topics }: ControlState): boolean {
    return [...this.#parts.values()].some(({ topic, id }) => topics.get(topic)?.id !== id)
  }

  /** A partition joins, to be read from `offset` on; nothing of the lane lies before it that was not given out. */
  add(topic: string, { id, offset }: KnownOffset): void {
    this.#parts.set(topic, new Arriving({ topic, id, next: offset }, this.#given))
  }

  /** What is to be read next, less partitions of which enough is waiting. */
  wants(bytesMax: number): readonly (Place & { readonly offset: bigint })[] {
    return [...this.#parts.values()]
      .filter(({ bytes }) => bytes < bytesMax)
      .map(({ topic, id, next }) => ({ topic, id, partition: this.lane, offset: next }))
  }

  /** Partitions that have records which have not come, less those of which enough is waiting. */
  starved({ topics }: ControlState, bytesMax: number): readonly Starved[] {
    return [...this.#parts.values()]
      .filter(({ topic, bytes, arrivedTo }) => {
        const end = topics.get(topic)?.ends[this.lane] ?? 0
        return bytes < bytesMax && arrivedTo < end
      })
      .map(({ topic, arrivedTo }) => ({ name: placeName({ topic, partition: this.lane }), arrivedTo }))
  }

  take(fetched: Fetched): void {
    this.#parts.get(fetched.topic)?.add(fetched)
  }

  /** How far every partition has arrived, where the ends that the state names are those of its control record. */
  #bound({ control, topics }: ControlState): number {
    const now = control?.seq ?? 0
    let bound = now
    for (const { topic, arrivedTo } of this.#parts.values()) {
      const end = topics.get(topic)?.ends[this.lane] ?? 0
      if (arrivedTo < end) bound = Math.min(bound, arrivedTo)
    }
    return bound
  }

  /** The next entries or barrier; undefined = there is nothing new. */
  give(state: ControlState): LaneBatch | undefined {
    const bound = this.#bound(state)
    if (bound <= this.#given) return undefined
    const [barrier] = barriersBehind(state, this.#wanted.tables, this.#given)
    const isBarred = barrier !== undefined && barrier.seq <= bound
    const { entries, bytes, to } = this.#entries(isBarred ? barrier.seq - 1 : bound, state)
    const given = { lane: this.lane, entries, bytes }
    if (!isBarred || to < barrier.seq - 1 || entries.length > 0) return this.#passed(given, to)
    const version = (BigInt(barrier.epoch) << 48n) | BigInt(barrier.seq)
    return this.#passed({ ...given, barrier: { ...barrier.barrier, version } }, barrier.seq)
  }

  #passed(given: Omit<LaneBatch, 'next'>, next: number): LaneBatch {
    this.#given = next
    const offsets = [...this.#parts.values()].map(({ topic, id, offset }) => [topic, { id, offset }] as const)
    this.#marks.push({ bound: next, offsets: new Map(offsets) })
    return { ...given, next }
  }

  /** The offsets that may be committed when everything before `next` is finished; those before are forgotten. */
  offsetsAt(next: number): LanePlace['offsets'] | undefined {
    let last = -1
    while ((this.#marks[last + 1]?.bound ?? Infinity) <= next) last++
    if (last < 0) return undefined
    this.#marks = this.#marks.slice(last)
    return this.#marks[0]?.offsets
  }

  /** Entries up to the bound, of one epoch and about so many bytes. */
  #entries(
    bound: number,
    state: ControlState,
  ): { readonly entries: Entries; readonly bytes: number; readonly to: number } {
    const places: number[] = []
    const ordinals: number[] = []
    let first: { readonly seq: number; readonly epoch: number; readonly version: bigint } | undefined
    let to = bound
    for (let part = this.#earliest(bound); part !== undefined; part = this.#earliest(bound)) {
      const { head, headers } = part
      const { seq, epoch } = headers
      if (this.#builder.at >= batchBytes || (first !== undefined && first.epoch !== epoch)) {
        to = seq - 1
        break
      }
      const reader = this.#readerOf(headers.form, state)
      if (reader !== undefined && head !== undefined) {
        first ??= { seq, epoch, version: headers.version }
        places.push(this.#builder.at)
        ordinals.push(seq - first.seq)
        this.#builder.within(headers.form.gtid)
        reader.read(this.#builder, head, headers.form)
      }
      part.take()
    }
    if (first === undefined) return { entries: noEntries, bytes: 0, to }
    const records = this.#builder.finish()
    const { seq, version } = first
    const entries = new Entries(records, places, ordinals, { offset: seq - 1, version })
    return { entries, bytes: records.bytes.length, to }
  }

  #readerOf(form: RecordForm, state: ControlState): EnvelopeReader | undefined {
    if (this.#readers.has(form)) return this.#readers.get(form)
    const table = tableOf(state, form.fingerprint)
    const reader = isWanted(this.#wanted, form, table) ? readerOf(table) : undefined
    this.#readers.set(form, reader)
    return reader
  }

  /** The partition whose next record comes first in the log. */
  #earliest(bound: number): Arriving | undefined {
    let found: Arriving | undefined
    for (const part of this.#parts.values()) {
      if (part.head === undefined || part.headers.seq > bound) continue
      if (found === undefined || part.headers.seq < found.headers.seq) found = part
    }
    return found
  }
}

export function isWanted({ name, tables }: Wanted, { addressee }: RecordForm, table: Table): boolean {
  return isAddressedTo(addressee === '' ? undefined : addressee, name) && tables.includes(table.name)
}

export function tableOf({ tables }: ControlState, fingerprint: string): Table {
  const table = tables.get(fingerprint)
  if (table !== undefined) return table
  throw new Failure('corrupt', `the control topic lacks the table definition ${fingerprint}`, {
    remedy: 'the control topic must be compacted, never deleted from: set its cleanup.policy to compact',
  })
}

const readers = new WeakMap<Table, EnvelopeReader>()

export function readerOf(table: Table): EnvelopeReader {
  const known = readers.get(table)
  if (known !== undefined) return known
  const made = new EnvelopeReader(table)
  readers.set(table, made)
  return made
}
