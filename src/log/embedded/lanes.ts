/** Sorts the records of frames into the lanes of one group. */
import type { Barrier, Offset, Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { Holders } from '../../change/holders.ts'
import type { RecordCursor, Records } from '../../change/records.ts'
import { Entries, isAddressedTo, noEntries, type LaneBatch } from '../log.ts'
import { laneHash, laneSeed } from './lane.ts'
import { firstVersion, type Frame } from './record.ts'

/** What a group's reader asks of a frame. */
export interface Wanted {
  readonly group: string
  readonly tables: ReadonlySet<string>
  /** The next offset of each lane. */
  readonly places: readonly Offset[]
}

/** At most so much goes into one batch, whatever comes first. */
const batchEntriesMax = 2000
const batchBytesMax = 2 * 2 ** 20

/** By the number of the table in a run of records; undefined = the group does not want it. */
export type Seeds = readonly (number | undefined)[]

/** Finds the lane of each record that a group wants. */
export class LaneFinder {
  readonly #wanted: Wanted
  readonly #seeds = new Map<Table, number | undefined>()

  constructor(wanted: Wanted) {
    this.#wanted = wanted
  }

  /** Whether a frame may hold anything for the group at all. */
  concerns(frame: Frame): boolean {
    if (frame.header.count === 0) return false
    return isAddressedTo(frame.addressee, this.#wanted.group)
  }

  seedsOf(records: Records): Seeds {
    return records.tables.map((table) => this.#seedOf(table))
  }

  /** The lane that the record belongs to, -1 where the group does not want it or has finished it. */
  laneOf(record: RecordCursor, seeds: Seeds, offset: Offset): number {
    const seed = seeds[record.tableNumber]
    if (seed === undefined) {
      // A table that its run does not know is not one that nobody wants.
      if (record.tableNumber >= seeds.length)
        throw new Failure('corrupt', `a record of the unknown table ${record.tableNumber}`)
      return -1
    }
    const { places } = this.#wanted
    const lane = laneHash(seed, record.records.bytes, record.keyAt, record.end) % places.length
    return offset < (places[lane] ?? 0) ? -1 : lane
  }

  /** The lanes that have not passed the barrier, where the group wants its table. */
  lanesBehind({ table }: Barrier, offset: Offset): readonly number[] {
    const { tables, places } = this.#wanted
    if (!tables.has(table)) return []
    return [...places.keys()].filter((lane) => offset >= (places[lane] ?? 0))
  }

  #seedOf(table: Table): number | undefined {
    if (this.#seeds.has(table)) return this.#seeds.get(table)
    if (this.#seeds.size >= tablesMax) this.#seeds.clear()
    const seed = this.#wanted.tables.has(table.name) ? laneSeed(table.name) : undefined
    this.#seeds.set(table, seed)
    return seed
  }
}

const tablesMax = 4096

/** What one lane has been given and has not yet taken. */
interface Gathered {
  batches: LaneBatch[]
  /** What the last batch of the lane said is finished. */
  told: Offset
}

/** What one lane gets of a run of records, up to the bounds of a batch. */
interface Share {
  readonly places: number[]
  readonly ordinals: number[]
  bytes: number
}

/** A run of records of one frame. */
interface Run {
  readonly records: Records
  readonly first: ConstructorParameters<typeof Entries>[3]
  /** Of the frame. */
  readonly holders: Holders
}

export class Lanes {
  readonly #finder: LaneFinder
  readonly #gathered: readonly Gathered[]
  /** The offset after the last frame added. */
  #next: Offset

  constructor(wanted: Wanted) {
    this.#finder = new LaneFinder(wanted)
    this.#gathered = wanted.places.map((told) => ({ batches: [], told }))
    this.#next = Math.min(...wanted.places)
  }

  add(frame: Frame, tables: readonly Table[]): void {
    this.#next = frame.next
    const holders = frame.holders ?? new Holders()
    if (this.#finder.concerns(frame)) {
      let offset = frame.header.first
      let version = firstVersion(frame.header)
      for (const records of frame.pieces(tables)) {
        this.#sort({ records, first: { offset, version }, holders })
        offset += records.count
        version += BigInt(records.count)
      }
    }
    for (const { barrier, ordinal } of frame.numberedBarriers()) this.#bar(frame, barrier, ordinal)
    holders.drop()
  }

  /** What was gathered, lane by lane. */
  *take(): Generator<LaneBatch> {
    for (const gathered of this.#gathered) {
      const { batches } = gathered
      const last = batches.pop()
      if (last === undefined) continue
      gathered.batches = []
      gathered.told = this.#next
      yield* batches
      yield { ...last, next: this.#next }
    }
  }

  /** For lanes past which the log went on by so many records without anything of theirs. */
  *idle(records: number): Generator<LaneBatch> {
    for (const [lane, gathered] of this.#gathered.entries()) {
      if (this.#next - gathered.told < records) continue
      gathered.told = this.#next
      yield { lane, entries: noEntries, bytes: 0, next: this.#next }
    }
  }

  hasIdle(): boolean {
    return this.#gathered.some((gathered) => gathered.told < this.#next)
  }

  #bar(frame: Frame, barrier: Barrier, ordinal: number): void {
    const offset = frame.header.first + ordinal
    const version = firstVersion(frame.header) + BigInt(ordinal)
    for (const lane of this.#finder.lanesBehind(barrier, offset))
      this.#gathered[lane]?.batches.push({
        lane,
        entries: noEntries,
        barrier: { ...barrier, version },
        bytes: 0,
        next: offset + 1,
      })
  }

  #sort(run: Run): void {
    const { records, first } = run
    const seeds = this.#finder.seedsOf(records)
    if (seeds.every((seed) => seed === undefined)) return
    const shares: (Share | undefined)[] = this.#gathered.map(() => undefined)
    const record = records.cursor()
    let ordinal = 0
    for (; record.next(); ordinal++) {
      const lane = this.#finder.laneOf(record, seeds, first.offset + ordinal)
      if (lane < 0) continue
      let share = shares[lane]
      if (share === undefined || isFull(share)) {
        this.#give(lane, share, run)
        shares[lane] = share = { places: [], ordinals: [], bytes: 0 }
      }
      share.places.push(record.place)
      share.ordinals.push(ordinal)
      share.bytes += record.end - record.place
    }
    assertCounted(records, ordinal)
    for (const [lane, share] of shares.entries()) this.#give(lane, share, run)
  }

  #give(lane: number, share: Share | undefined, { records, first, holders }: Run): void {
    if (share === undefined) return
    const entries = new Entries(records, share.places, share.ordinals, first)
    const next = entries.offset(entries.length - 1) + 1
    holders.add()
    const release = (): void => holders.drop()
    this.#gathered[lane]?.batches.push({ lane, entries, bytes: share.bytes, next, release })
  }
}

function isFull({ places, bytes }: Share): boolean {
  return places.length >= batchEntriesMax || bytes >= batchBytesMax
}

/** Offsets would be wrong from here on. */
export function assertCounted(records: Records, found: number): void {
  if (found !== records.count)
    throw new Failure('corrupt', `a piece of the log holds ${found} records, not ${records.count}`)
}
