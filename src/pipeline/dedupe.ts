/**
 * The work that a lane holds: of several operations on one document, only the last is written; every entry that asked
 * for it is finished when that one is.
 */
import type { Offset } from '../change/change.ts'
import type { Holders } from '../change/holders.ts'
import { committedAtMsOf, RecordCursor } from '../change/records.ts'
import { textOf } from '../change/row.ts'
import type { Work } from '../document/enricher.ts'
import type { Entries } from '../log/log.ts'
import type { Operation } from '../sink/sink.ts'

/** An entry of the log, without an object of its own where it is the only one. */
interface Place {
  readonly entries: Entries
  readonly at: number
  readonly holders: Holders | undefined
}

export interface Taking {
  /** Of the memory that the entries and the operation are in; let go by `remove`. */
  readonly holders?: Holders
  /** See PendingWork; of work that is already held, the first counts. */
  readonly openUntilMs?: number
}

export class PendingWork {
  operation: Operation
  /** How often the target failed on it. */
  attempts = 0
  /** How often it was put off. */
  delays = 0
  /** It is not to be written again before, ms since 1970. */
  notBeforeMs = 0
  /** Until then later entries may take its place, ms since 1970: what changes often is written once. */
  openUntilMs: number
  bytes: number
  /** With those of the entries that asked for it before. */
  heldBytes: number
  #entries: Entries
  #at: number
  #holders: Holders | undefined
  /** The entries that asked for the document before. */
  #earlier: Place[] | undefined

  /** `holders`: of the memory that the entries and the operation are in. */
  constructor(entries: Entries, { at, operation }: Work, { holders, openUntilMs = 0 }: Taking) {
    this.openUntilMs = openUntilMs
    holders?.add()
    this.#holders = holders
    this.operation = operation
    this.bytes = bytesOf(operation)
    this.heldBytes = this.bytes
    this.#entries = entries
    this.#at = at
  }

  /** A later entry's operation takes the place of this one's. */
  replace(entries: Entries, { at, operation }: Work, holders?: Holders): void {
    this.#earlier ??= []
    this.#earlier.push({ entries: this.#entries, at: this.#at, holders: this.#holders })
    holders?.add()
    this.#holders = holders
    this.#entries = entries
    this.#at = at
    this.operation = operation
    this.bytes = bytesOf(operation)
    this.attempts = this.delays = this.notBeforeMs = 0
  }

  /** The document is not to be there any more. */
  vacate(operation: Operation): void {
    this.operation = operation
    this.bytes = bytesOf(operation)
  }

  /** `schema.table`. */
  get table(): string {
    return this.#record().table.name
  }

  /** The key as JSON text, for people. */
  get key(): string {
    return textOf(this.#record().key)
  }

  /** Calls with the offset of each entry that this work settles. */
  forEachOffset(tell: (offset: Offset) => void): void {
    if (this.#earlier !== undefined) for (const { entries, at } of this.#earlier) tell(entries.offset(at))
    tell(this.#entries.offset(this.#at))
  }

  /** When the entries that this work settles were committed, ms since 1970; 0 = a row that was read. */
  committedAtMs(): readonly number[] {
    const places: readonly Pick<Place, 'entries' | 'at'>[] = [
      ...(this.#earlier ?? []),
      { entries: this.#entries, at: this.#at },
    ]
    return places.map(({ entries, at }) => committedAtMsOf(entries.records, entries.place(at)))
  }

  /** Nobody looks at its entries and its operation any more. */
  letGo(): void {
    for (const { holders } of this.#earlier ?? []) holders?.drop()
    this.#holders?.drop()
  }

  #record(): RecordCursor {
    const cursor = new RecordCursor(this.#entries.records)
    cursor.seek(this.#entries.place(this.#at))
    return cursor
  }
}

/** What is held open is written all the same when its entries take as much as so many requests. */
const heldRequests = 4

/** About what the operation takes in a request. */
function bytesOf({ body, id }: Operation): number {
  return (body?.bytesMax ?? 0) + id.length + 100
}

/** Operations on one document in different places are told apart. */
function placeOf({ id, routing, index }: Operation): string {
  return routing === undefined && index === undefined ? id : `\0${index ?? ''}\0${routing ?? ''}\0${id}`
}

export class PendingOperations {
  readonly #byPlace = new Map<string, PendingWork>()
  #bytes = 0
  /** Of all entries that are held, those that others took the place of included. */
  #heldBytes = 0

  get count(): number {
    return this.#byPlace.size
  }

  get bytes(): number {
    return this.#bytes
  }

  add(entries: Entries, work: Work, taking: Taking = {}): void {
    const { operation } = work
    if (operation.everywhere === true) this.#vacate(operation)
    const place = placeOf(operation)
    const known = this.#byPlace.get(place)
    if (known === undefined) {
      const pending = new PendingWork(entries, work, taking)
      this.#byPlace.set(place, pending)
      this.#bytes += pending.bytes
      this.#heldBytes += pending.bytes
      return
    }
    this.#bytes -= known.bytes
    known.replace(entries, work, taking.holders)
    this.#bytes += known.bytes
    this.#heldBytes += known.bytes
    known.heldBytes += known.bytes
  }

  /** What the document was to be elsewhere is not to be written any more once nobody knows where it lies. */
  #vacate({ id }: Operation): void {
    for (const pending of this.#byPlace.values()) {
      const { operation } = pending
      if (operation.id !== id || operation.op === 'delete') continue
      this.#bytes -= pending.bytes
      pending.vacate({ ...operation, op: 'delete', vacates: true, body: undefined })
      this.#bytes += pending.bytes
    }
  }

  /** The oldest work that is due, at most so many operations and so many bytes, but at least one where one is due. */
  first(countMax: number, bytesMax: number, nowMs: number): PendingWork[] {
    const isFull =
      this.count >= countMax || this.bytes >= bytesMax || this.#heldBytes >= heldRequests * bytesMax
    const chosen: PendingWork[] = []
    let bytes = 0
    for (const work of this.#byPlace.values()) {
      if (work.notBeforeMs > nowMs || (!isFull && work.openUntilMs > nowMs)) continue
      if (chosen.length > 0 && (chosen.length >= countMax || bytes + work.bytes > bytesMax)) break
      chosen.push(work)
      bytes += work.bytes
    }
    return chosen
  }

  /** When the first is due, ms since 1970; Infinity where there is none. */
  get dueAtMs(): number {
    let dueAtMs = Infinity
    for (const { notBeforeMs, openUntilMs } of this.#byPlace.values())
      dueAtMs = Math.min(dueAtMs, Math.max(notBeforeMs, openUntilMs))
    return dueAtMs
  }

  remove(work: PendingWork): void {
    if (!this.#byPlace.delete(placeOf(work.operation))) return
    this.#bytes -= work.bytes
    this.#heldBytes -= work.heldBytes
    work.letGo()
  }
}
