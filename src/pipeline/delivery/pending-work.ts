/**
 * The works that a lane holds, each in a slot of its own:
 *
 *   slot        0      1      2      3
 *   taking      A      A      –      B            A, B: entries and what they ask for; – = the slot is free
 *   index       0      1             0            which of that
 *   place       "7"    "9"           "4"
 *
 * Thousands are held at once, and would outlive several collections of garbage as objects: a work is the number of its
 * slot, and becomes an object while somebody looks at it. Only what is not usual for a work has an object that stays.
 */
import type { Offset } from '../../change/change.ts'
import type { Holders } from '../../change/holders.ts'
import type { List } from '../../change/list.ts'
import { committedAtMsOf, RecordCursor } from '../../change/records.ts'
import { textOf } from '../../change/row.ts'
import type { Work } from '../../document/enricher.ts'
import type { Entries } from '../../log/log.ts'
import type { Operation, Operations } from '../../sink/sink.ts'

/** Entries, and what they ask for. */
export interface Taking {
  readonly entries: Entries
  readonly works: List<Work>
  /** Of the memory that the entries and the operations are in; each work holds it until it is removed. */
  readonly holders?: Holders
  /**
   * Until then later entries may take a work's place, by the clock's `elapsed`: what changes often is written once. Of work that is
   * already held, the first counts.
   */
  readonly openUntilMs?: number
}

/** What is not usual for a work. */
export interface Oddity {
  /** The entries that asked for the document before the last one did. */
  readonly earlier: { readonly taking: Taking; readonly number: number }[]
  earlierBytes: number
  /** In place of what the entry asks for. */
  operation: Operation | undefined
  /** How often the target failed on it. */
  attempts: number
  /** How often it was put off. */
  delays: number
  /** It is not to be written again before, by `elapsed`. */
  notBeforeMs: number
}

/** Lists with a member for each slot. */
export class Slots {
  /** undefined = the slot is free. */
  readonly takings: (Taking | undefined)[] = []
  readonly indexes: number[] = []
  /** The entry, by its number among the taking's entries. */
  readonly numbers: number[] = []
  /** Where the document is to be; '' = the slot is free. */
  readonly places: string[] = []
  readonly bytes: number[] = []
  readonly deletes: boolean[] = []
  readonly oddities = new Map<number, Oddity>()
  /** See `Operations.arePlain`. */
  arePlain = true

  oddity(slot: number): Oddity {
    let oddity = this.oddities.get(slot)
    if (oddity === undefined) {
      oddity = {
        earlier: [],
        earlierBytes: 0,
        operation: undefined,
        attempts: 0,
        delays: 0,
        notBeforeMs: 0,
      }
      this.oddities.set(slot, oddity)
    }
    return oddity
  }

  taking(slot: number): Taking {
    const taking = this.takings[slot]
    if (taking === undefined) throw new Error(`there is no work in slot ${slot}`)
    return taking
  }

  /** When the work is due, by `elapsed`; `isFull`: it waits for no later entry. */
  dueAtMs(slot: number, isFull: boolean): number {
    const oddity = this.oddities.size === 0 ? undefined : this.oddities.get(slot)
    const { openUntilMs = 0 } = oddity?.earlier[0]?.taking ?? this.taking(slot)
    return Math.max(oddity?.notBeforeMs ?? 0, isFull ? 0 : openUntilMs)
  }

  free(slot: number): void {
    this.takings[slot] = undefined
    this.places[slot] = ''
    this.oddities.delete(slot)
  }

  /** To another slot, which is free. */
  move(from: number, to: number): void {
    this.takings[to] = this.takings[from]
    this.indexes[to] = this.indexes[from] ?? 0
    this.numbers[to] = this.numbers[from] ?? 0
    this.places[to] = this.places[from] ?? ''
    this.bytes[to] = this.bytes[from] ?? 0
    this.deletes[to] = this.deletes[from] ?? false
    const oddity = this.oddities.get(from)
    this.free(from)
    if (oddity !== undefined) this.oddities.set(to, oddity)
  }
}

/** The work in a slot; of no use once it was removed, or another one added. */
export class PendingWork {
  readonly slot: number
  readonly #slots: Slots

  constructor(slots: Slots, slot: number) {
    this.#slots = slots
    this.slot = slot
  }

  get operation(): Operation {
    const replaced = this.#slots.oddities.get(this.slot)?.operation
    if (replaced !== undefined) return replaced
    const work = this.#slots.taking(this.slot).works.at(this.#slots.indexes[this.slot] ?? -1)
    if (work === undefined) throw new Error(`the work in slot ${this.slot} asks for nothing`)
    return work.operation
  }

  get isDelete(): boolean {
    return this.#slots.deletes[this.slot] === true
  }

  /** About what it takes in a request. */
  get bytes(): number {
    return this.#slots.bytes[this.slot] ?? 0
  }

  /** Those of the entries that asked for it before included. */
  get heldBytes(): number {
    return this.bytes + (this.#slots.oddities.get(this.slot)?.earlierBytes ?? 0)
  }

  get attempts(): number {
    return this.#slots.oddities.get(this.slot)?.attempts ?? 0
  }

  get delays(): number {
    return this.#slots.oddities.get(this.slot)?.delays ?? 0
  }

  /** The target failed on it. */
  fail(): void {
    this.#slots.oddity(this.slot).attempts++
  }

  /** It is to be written again, but not before, by `elapsed`. */
  putOff(notBeforeMs: number): void {
    const oddity = this.#slots.oddity(this.slot)
    oddity.delays++
    oddity.notBeforeMs = notBeforeMs
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
    const earlier = this.#slots.oddities.get(this.slot)?.earlier
    if (earlier !== undefined) for (const { taking, number } of earlier) tell(taking.entries.offset(number))
    tell(this.#slots.taking(this.slot).entries.offset(this.#number))
  }

  /** When the entries that this work settles were committed, ms since 1970; 0 = a row that was read. */
  committedAtMs(): readonly number[] {
    const last = { taking: this.#slots.taking(this.slot), number: this.#number }
    const all = [...(this.#slots.oddities.get(this.slot)?.earlier ?? []), last]
    return all.map(({ taking: { entries }, number }) =>
      committedAtMsOf(entries.records, entries.place(number)),
    )
  }

  /** Nobody looks at its entries and its operation any more. */
  letGo(): void {
    const earlier = this.#slots.oddities.get(this.slot)?.earlier
    if (earlier !== undefined) for (const { taking } of earlier) taking.holders?.drop()
    this.#slots.taking(this.slot).holders?.drop()
  }

  #record(): RecordCursor {
    const { entries } = this.#slots.taking(this.slot)
    const cursor = new RecordCursor(entries.records)
    cursor.seek(entries.place(this.#number))
    return cursor
  }

  get #number(): number {
    return this.#slots.numbers[this.slot] ?? 0
  }
}

/** Works that go into one request, in order. */
export class ChosenWorks implements List<PendingWork> {
  /** What they ask for. */
  readonly operations: Operations
  readonly #slots: Slots
  readonly #chosen: readonly number[]

  constructor(slots: Slots, chosen: readonly number[]) {
    this.#slots = slots
    this.#chosen = chosen
    this.operations = new ChosenOperations(this, slots.arePlain)
  }

  get length(): number {
    return this.#chosen.length
  }

  at(index: number): PendingWork | undefined {
    const slot = this.#chosen[index]
    return slot === undefined ? undefined : new PendingWork(this.#slots, slot)
  }

  *[Symbol.iterator](): Generator<PendingWork> {
    for (const slot of this.#chosen) yield new PendingWork(this.#slots, slot)
  }
}

class ChosenOperations implements Operations {
  readonly arePlain: boolean
  readonly #works: ChosenWorks

  constructor(works: ChosenWorks, arePlain: boolean) {
    this.arePlain = arePlain
    this.#works = works
  }

  get length(): number {
    return this.#works.length
  }

  at(index: number): Operation | undefined {
    return this.#works.at(index)?.operation
  }

  *[Symbol.iterator](): Generator<Operation> {
    for (const { operation } of this.#works) yield operation
  }
}
