/** Sorts the records of frames into the lanes of one group. */
import type { Offset, Table } from '../../change/change.ts'
import type { PackedChanges } from '../../change/codec.ts'
import type { Entry, LaneBatch } from '../log.ts'
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

/** Finds the lane of each record that a group wants; undefined = it does not want it. */
export class LaneFinder {
  readonly #wanted: Wanted
  readonly #seeds = new Map<Table, number | undefined>()

  constructor(wanted: Wanted) {
    this.#wanted = wanted
  }

  /** Whether a frame may hold anything for the group at all. */
  concerns(frame: Frame): boolean {
    if (frame.header.count === 0) return false
    return frame.addressee === undefined || frame.addressee === this.#wanted.group
  }

  /** The lane that the record belongs to, -1 where the group does not want it or has finished it. */
  laneOf(record: PackedChanges, table: Table, offset: Offset): number {
    const seed = this.#seedOf(table)
    if (seed === undefined) return -1
    const { places } = this.#wanted
    const lane = laneHash(seed, record.text, record.keyAt, record.keyAt + record.keyLength) % places.length
    return offset < (places[lane] ?? 0) ? -1 : lane
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
  entries: Entry[]
  /** Bytes of each entry. */
  bytes: number[]
  /** What the last batch of the lane said is finished. */
  told: Offset
}

export class Lanes {
  readonly #finder: LaneFinder
  readonly #gathered: readonly Gathered[]
  /** The offset after the last frame added. */
  #next: Offset

  constructor(wanted: Wanted) {
    this.#finder = new LaneFinder(wanted)
    this.#gathered = wanted.places.map((told) => ({ entries: [], bytes: [], told }))
    this.#next = Math.min(...wanted.places)
  }

  add(frame: Frame, tables: readonly Table[]): void {
    this.#next = frame.next
    if (!this.#finder.concerns(frame)) return
    const records = frame.changes()
    let offset = frame.header.first
    let version = firstVersion(frame.header)
    for (; records.next(); offset++, version++) {
      const table = tableOf(tables, records)
      const lane = this.#gathered[this.#finder.laneOf(records, table, offset)]
      if (lane === undefined) continue
      lane.entries.push({ offset, version, change: records.change(table) })
      lane.bytes.push(records.keyLength + records.beforeLength + records.afterLength)
    }
  }

  /** What was gathered, lane by lane. */
  *take(): Generator<LaneBatch> {
    for (const [lane, gathered] of this.#gathered.entries()) {
      if (gathered.entries.length === 0) continue
      const { entries, bytes } = gathered
      gathered.entries = []
      gathered.bytes = []
      gathered.told = this.#next
      yield* this.#pieces(lane, entries, bytes)
    }
  }

  /** For lanes past which the log went on by so many records without anything of theirs. */
  *idle(records: number): Generator<LaneBatch> {
    for (const [lane, gathered] of this.#gathered.entries()) {
      if (this.#next - gathered.told < records) continue
      gathered.told = this.#next
      yield { lane, entries: [], next: this.#next }
    }
  }

  hasIdle(): boolean {
    return this.#gathered.some((gathered) => gathered.told < this.#next)
  }

  *#pieces(lane: number, entries: readonly Entry[], bytes: readonly number[]): Generator<LaneBatch> {
    for (let from = 0; from < entries.length;) {
      let size = 0
      let to = from
      while (to < entries.length && to - from < batchEntriesMax && (to === from || size < batchBytesMax))
        size += bytes[to++] ?? 0
      const after = entries[to]
      const last = entries[to - 1]
      const next = after === undefined || last === undefined ? this.#next : last.offset + 1
      const piece = from === 0 && after === undefined ? entries : entries.slice(from, to)
      yield { lane, entries: piece, next }
      from = to
    }
  }
}

export function tableOf(tables: readonly Table[], records: PackedChanges): Table {
  const table = tables[records.tableNumber]
  if (table === undefined) throw new Error(`the segment defines no table number ${records.tableNumber}`)
  return table
}
