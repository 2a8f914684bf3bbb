/**
 * A change log in memory, as simple as it can be: an array of what was appended. What it holds outlives the log object, as
 * a disk outlives a process: open another one over the same `MemoryLogContents`. It never drops anything.
 */
import assert from 'node:assert/strict'
import type { Barrier, Change, Key, Offset } from '../../src/change/change.ts'
import { Failure } from '../../src/change/failure.ts'
import { transactionAt } from '../../src/change/origins.ts'
import { noRecords, RecordsBuilder, type Records } from '../../src/change/records.ts'
import { Signal } from '../../src/change/signal.ts'
import { laneHash, laneSeed } from '../../src/log/embedded/lane.ts'
import {
  Entries,
  isAddressedTo,
  noEntries,
  type ChangeLog,
  type Control,
  type DeadLetter,
  type DeadLetters,
  type Entry,
  type Group,
} from '../../src/log/log.ts'
import type {
  GroupLag,
  LaneBatch,
  LaneWatcher,
  LogAdmin,
  LogBatch,
  LogPlace,
  LogStretch,
  NumberedBarrier,
  Retention,
  LogPart,
} from '../../src/log/log.ts'
import { MemoryDeadLetters } from './memory-dead-letters.ts'

interface Recorded {
  /** Of a barrier only its place and number count. */
  readonly entry: Entry
  readonly transaction?: string
  readonly barrier?: NumberedBarrier
  readonly addressee: string | undefined
  readonly appendedAtMs: number
}

interface Appended {
  readonly offset: Offset
  readonly control: Control
  readonly barriers: LogBatch['barriers']
  readonly appendedAtMs: number
}

interface Reading {
  readonly tables: readonly string[]
  /** Where lanes that committed nothing begin. */
  readonly start: Offset
  readonly lanes: readonly (Offset | undefined)[]
  readonly attributes: Readonly<Record<string, string>>
}

export class MemoryLogContents {
  readonly records: Recorded[] = []
  readonly appends: Appended[] = []
  control: Control | undefined
  readonly groups = new Map<string, Reading>()
  /** A group was committed for, defined or forgotten. */
  readonly moved = new Signal()
  readonly letters = new Map<string, Map<string, DeadLetter>>()
  /** The log that may append: the last one whose tail was read. */
  owner: MemoryLog | undefined
  /** Readers at the end, whichever log object they have. */
  waiting: (() => void)[] = []
}

export class MemoryLog implements ChangeLog, LogAdmin {
  readonly deadLetters: DeadLetters
  /** As what it keeps would go for its age. */
  keptMs: number | undefined
  readonly #contents: MemoryLogContents
  readonly #now: () => number

  constructor(contents: MemoryLogContents, now: () => number) {
    this.#contents = contents
    this.#now = now
    this.deadLetters = new MemoryDeadLetters(contents.letters)
  }

  async append(batch: LogBatch): Promise<Offset> {
    await Promise.resolve()
    const { records, control, owner } = this.#contents
    if (owner !== this) throw new Failure('conflict', 'this log has not read the tail')
    assert(control === undefined || control.lineage === batch.control.lineage, 'a log has one lineage')
    assert(control === undefined || control.lanes === batch.control.lanes, 'the lanes are fixed')
    const { control: next, barriers } = batch
    this.#contents.appends.push({
      offset: records.length,
      control: next,
      barriers,
      appendedAtMs: this.#now(),
    })
    for (const [index, { change, transaction }] of batch.records
      .flatMap((run) => [...changesOf(run)])
      .entries()) {
      const version = (BigInt(batch.control.epoch) << 48n) | BigInt(batch.firstSeq + index)
      const entry = { offset: records.length, version, change }
      records.push({ entry, transaction, addressee: batch.addressee, appendedAtMs: this.#now() })
    }
    for (const barrier of barriers) this.#bar(barrier, batch)
    this.#contents.control = batch.control
    const { waiting } = this.#contents
    this.#contents.waiting = []
    for (const wake of waiting) wake()
    return records.length
  }

  #bar(barrier: Barrier, { control, firstSeq }: LogBatch): void {
    const { records, appends } = this.#contents
    const offset = records.length
    const seq = firstSeq + offset - (appends.at(-1)?.offset ?? 0)
    const version = (BigInt(control.epoch) << 48n) | BigInt(seq)
    const table = { name: barrier.table, columns: [], key: [] }
    const nothing = { before: undefined, after: undefined, committedAtMs: 0 }
    const change: Change = { op: 'touch', table, key: '[]' as Key, ...nothing }
    const entry = { offset, version, change }
    const numbered = { ...barrier, version }
    records.push({ entry, barrier: numbered, addressee: undefined, appendedAtMs: this.#now() })
  }

  async tail(): Promise<Control | undefined> {
    await Promise.resolve()
    this.#contents.owner = this
    return this.#contents.control
  }

  control(): Promise<Control | undefined> {
    return Promise.resolve(this.#contents.control)
  }

  async *read(group: string, signal: AbortSignal, watcher?: LaneWatcher): AsyncGenerator<LaneBatch> {
    const { records, control, groups } = this.#contents
    let at = this.#reading(group).start
    if (control !== undefined) at = Math.min(...this.#places(this.#reading(group)))
    const from = control === undefined ? [] : this.#places(this.#reading(group))
    let told = 0
    while (!signal.aborted && groups.has(group)) {
      const lanes = this.#contents.control?.lanes ?? 0
      told = assign(watcher, { told, lanes }, from, at)
      if (at === records.length) {
        await this.#appended(signal)
        continue
      }
      const next = Math.min(records.length, at + pieceRecords)
      for (let lane = 0; lane < lanes; lane++) {
        const start = Math.max(at, from[lane] ?? 0)
        const wanted = records.slice(start, next).filter((one) => this.#isFor(lane, group, one))
        if (signal.aborted) return
        yield* batchesOf(lane, wanted, Math.max(next, start))
      }
      at = next
    }
  }

  async commit(group: string, lane: number, next: Offset): Promise<void> {
    await Promise.resolve()
    const reading = this.#reading(group)
    const places = this.#places(reading)
    const before = places[lane]
    assert(
      before !== undefined && next >= before && next <= this.#contents.records.length,
      'places move forward',
    )
    places[lane] = next
    this.#contents.groups.set(group, { ...reading, lanes: places })
    this.#contents.moved.notify()
  }

  async groups(): Promise<readonly Group[]> {
    await Promise.resolve()
    return [...this.#contents.groups].map(([name, reading]) => {
      const { tables, attributes } = reading
      return { name, tables, lanes: this.#places(reading), attributes, lost: false }
    })
  }

  async untilGroups(fit: (groups: readonly Group[]) => boolean, signal: AbortSignal): Promise<void> {
    const { moved } = this.#contents
    for (let seen = moved.count; !fit(await this.groups());) seen = await moved.next(seen, signal)
    signal.throwIfAborted()
  }

  async define(group: Parameters<LogAdmin['define']>[0]): Promise<void> {
    await Promise.resolve()
    const { name, tables, attributes, at } = group
    const before = this.#contents.groups.get(name)
    const places = at === undefined && before !== undefined ? before : { start: at ?? 0, lanes: [] }
    assert(places.start <= this.#contents.records.length, 'a group begins in the log')
    this.#contents.groups.set(name, { tables, attributes, start: places.start, lanes: places.lanes })
    this.#contents.moved.notify()
  }

  async forget(group: string): Promise<void> {
    await Promise.resolve()
    this.#reading(group)
    this.#contents.groups.delete(group)
    this.#contents.moved.notify()
  }

  async lag(group: string): Promise<GroupLag> {
    await Promise.resolve()
    const { records } = this.#contents
    const places = this.#places(this.#reading(group))
    const oldest = records.find((one) =>
      places.some((place, lane) => one.entry.offset >= place && this.#isFor(lane, group, one)),
    )
    if (oldest === undefined) return { changes: 0, oldestCommittedAtMs: undefined }
    const { committedAtMs } = oldest.entry.change
    return {
      changes: records.length - oldest.entry.offset,
      oldestCommittedAtMs: committedAtMs === 0 ? oldest.appendedAtMs : committedAtMs,
    }
  }

  async retention(): Promise<Retention> {
    await Promise.resolve()
    const { records } = this.#contents
    const bytes = records.reduce((sum, { entry }) => sum + sizeOf(entry), 0)
    return {
      bytes,
      bytesMax: Number.MAX_SAFE_INTEGER,
      ...(this.keptMs === undefined ? {} : { keptMs: this.keptMs }),
      oldest: 0,
      next: records.length,
      oldestAppendedAtMs: records[0]?.appendedAtMs,
    }
  }

  async parts(): Promise<readonly LogPart[]> {
    const { bytes, next, oldestAppendedAtMs } = await this.retention()
    if (this.#contents.control === undefined) return []
    return [{ name: 'memory', bytes, first: 0, next, firstAppendedAtMs: oldestAppendedAtMs ?? 0 }]
  }

  async *find(table: string, key: Key): AsyncGenerator<Entry & { readonly addressee: string | undefined }> {
    await Promise.resolve()
    for (const { entry, addressee } of this.#contents.records)
      if (entry.change.table.name === table && entry.change.key === key) yield { ...entry, addressee }
  }

  appendAt(place: LogPlace): ReturnType<LogAdmin['appendAt']> {
    const { appends, records } = this.#contents
    const at = appends.findIndex(({ control, appendedAtMs }) =>
      place.kind === 'time' ? appendedAtMs >= place.appendedAtMs : place.reached(control),
    )
    const found = appends[at]
    if (found === undefined) return Promise.resolve(undefined)
    return Promise.resolve({ first: found.offset, next: appends[at + 1]?.offset ?? records.length })
  }

  async *range(from: Offset, to: Offset): AsyncGenerator<LogStretch> {
    await Promise.resolve()
    const { appends, records } = this.#contents
    for (const [at, { offset, barriers }] of appends.entries()) {
      const all = records.slice(offset, appends[at + 1]?.offset ?? records.length)
      if (offset >= to || offset + all.length < from) continue
      const own = all.filter(({ barrier }) => barrier === undefined)
      const version = own[0]?.entry.version ?? 0n
      if (own.length > 0)
        yield { records: packed(own).records, offset, version, addressee: own[0]?.addressee, barriers: [] }
      const bar = all.find(({ barrier }) => barrier !== undefined)?.entry
      if (bar !== undefined)
        yield {
          records: noRecords,
          offset: bar.offset,
          version: bar.version,
          addressee: undefined,
          barriers,
        }
    }
  }

  drop(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #reading(group: string): Reading {
    const reading = this.#contents.groups.get(group)
    if (reading === undefined) throw new Failure('configuration', `the log knows no group ${group}`)
    return reading
  }

  #places(reading: Reading): Offset[] {
    const lanes = this.#contents.control?.lanes ?? 0
    return Array.from({ length: lanes }, (_, lane) => reading.lanes[lane] ?? reading.start)
  }

  #isFor(lane: number, group: string, { entry, addressee, barrier }: Recorded): boolean {
    const { table, key } = entry.change
    if (!isAddressedTo(addressee, group)) return false
    if (!this.#reading(group).tables.includes(table.name)) return false
    if (barrier !== undefined) return true
    const bytes = Buffer.from(key, 'latin1')
    const hash = laneHash(laneSeed(table.name), bytes, 0, bytes.length)
    return hash % (this.#contents.control?.lanes ?? 1) === lane
  }

  #appended(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#contents.waiting.push(wake)
      signal.addEventListener('abort', wake)
    })
  }
}

const pieceRecords = 500

/** One batch for each run of versions that go on as the offsets do, and one for each barrier. */
/** Tells of lanes that it was not told of; answers how many it has been told of. */
function assign(
  watcher: LaneWatcher | undefined,
  { told, lanes }: { readonly told: number; readonly lanes: number },
  from: readonly Offset[],
  at: Offset,
): number {
  for (let lane = told; lane < lanes; lane++) watcher?.assigned(lane, from[lane] ?? at)
  return Math.max(told, lanes)
}

function* batchesOf(lane: number, wanted: readonly Recorded[], next: Offset): Generator<LaneBatch> {
  const ahead = ({ entry, barrier }: Recorded, at: number): string =>
    `${barrier === undefined ? '' : at}/${wanted.slice(0, at).filter((one) => one.barrier).length}/${entry.version - BigInt(entry.offset)}`
  const runs = [...Map.groupBy(wanted, ahead).values()]
  if (runs.length === 0) yield { lane, entries: noEntries, bytes: 0, next }
  for (const [at, run] of runs.entries()) {
    const end = at === runs.length - 1 ? next : (run.at(-1)?.entry.offset ?? 0) + 1
    const barrier = run[0]?.barrier
    if (barrier === undefined) {
      const entries = packed(run)
      yield { lane, entries, bytes: entries.records.bytes.length, next: end }
    } else yield { lane, entries: noEntries, barrier, bytes: 0, next: end }
  }
}

function* changesOf(run: Records): Generator<{ readonly change: Change; readonly transaction: string }> {
  for (const cursor = run.cursor(); cursor.next();)
    yield { change: cursor.change(), transaction: transactionAt(run.origins, cursor.place) }
}

function packed(run: readonly Recorded[]): Entries {
  const first = run[0]?.entry
  assert(first !== undefined, 'a run has entries')
  const builder = new RecordsBuilder()
  const places: number[] = []
  for (const { entry, transaction = '' } of run) {
    places.push(builder.at)
    builder.within(transaction)
    builder.add(entry.change)
  }
  const ordinals = run.map(({ entry }) => entry.offset - first.offset)
  return new Entries(builder.finish(), places, ordinals, first)
}

function sizeOf({ change }: Entry): number {
  return change.key.length + (change.before?.length ?? 0) + (change.after?.length ?? 0)
}
