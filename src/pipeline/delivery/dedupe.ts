/**
 * The work that a lane holds: of several operations on one document, only the last is written; every entry that asked
 * for it is finished when that one is.
 */
import type { Work } from '../../document/enricher.ts'
import type { Operation } from '../../sink/sink.ts'
import { ChosenWorks, PendingWork, Slots, type Taking } from './pending-work.ts'
import { PlaceTable } from './place-table.ts'

/** What is held open is written all the same when its entries take as much as so many requests. */
const heldRequests = 4

/** Fewer slots are not worth being moved together. */
const slotsMin = 10_000

/** About what the operation takes in a request. */
function bytesOf({ body, id }: Operation): number {
  return (body?.bytesMax ?? 0) + id.length + 100
}

/** Operations on one document in different places are told apart, whatever characters are in their ids and routings. */
function placeOf({ id, routing = '', index = '' }: Operation): string {
  if (routing === '' && index === '' && !id.startsWith('\0')) return id
  return `\0${index.length},${routing.length}\0${index}${routing}${id}`
}

export class PendingOperations {
  readonly #slots = new Slots()
  readonly #byPlace = new PlaceTable(this.#slots.places)
  /** Slots are in the order in which work on their documents first came; those from here on were never used. */
  #end = 0
  #count = 0
  #bytes = 0
  /** Of all entries that are held, those that others took the place of included. */
  #heldBytes = 0
  /** Some documents are to leave a place. */
  #haveLeaving = false

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Takes one of the works, which is the one with this index. */
  add(taking: Taking, index: number, work: Work): void {
    const { operation } = work
    if (operation.everywhere === true) this.#vacate(operation)
    if (operation.everywhere === true || operation.remark !== undefined) this.#slots.arePlain = false
    if (operation.vacates === true) this.#haveLeaving = true
    const place = placeOf(operation)
    const known = this.#byPlace.find(place)
    const isSought = known >= 0 && this.#supersede(known)
    const slot = known >= 0 ? known : this.#append(place)
    taking.holders?.add()
    this.#slots.takings[slot] = taking
    this.#slots.indexes[slot] = index
    this.#slots.numbers[slot] = work.at
    this.#weigh(slot, operation)
    this.#heldBytes += this.#slots.bytes[slot] ?? 0
    if (isSought) this.#seek(operation.id, slot)
  }

  /** The oldest work that is due, at most so many operations and so many bytes, but at least one where one is due. */
  first(countMax: number, bytesMax: number, nowMs: number): ChosenWorks {
    const isFull =
      this.count >= countMax || this.bytes >= bytesMax || this.#heldBytes >= heldRequests * bytesMax
    const chosen: number[] = []
    const arriving = this.#arriving()
    let bytes = 0
    for (let slot = 0; slot < this.#end; slot++) {
      if (this.#isFree(slot) || this.#slots.dueAtMs(slot, isFull) > nowMs) continue
      if (this.#isToStay(slot, arriving)) continue
      const added = this.#slots.bytes[slot] ?? 0
      if (chosen.length > 0 && (chosen.length >= countMax || bytes + added > bytesMax)) break
      chosen.push(slot)
      bytes += added
    }
    return new ChosenWorks(this.#slots, chosen)
  }

  /** When the first is due, by the clock's `elapsed`; Infinity where there is none. */
  get dueAtMs(): number {
    let dueAtMs = Infinity
    const arriving = this.#arriving()
    for (const { slot } of this.#works())
      if (!this.#isToStay(slot, arriving)) dueAtMs = Math.min(dueAtMs, this.#slots.dueAtMs(slot, false))
    return dueAtMs
  }

  remove(work: PendingWork): void {
    if (this.#isFree(work.slot)) return
    this.#bytes -= work.bytes
    this.#heldBytes -= work.heldBytes
    work.letGo()
    this.#slots.free(work.slot)
    this.#count--
    if (this.#count > 0) return
    this.#end = 0
    this.#byPlace.clear()
    this.#slots.arePlain = true
    this.#haveLeaving = false
  }

  /** Ids of documents that have not come yet to where they are to be; only needed where some are to leave a place. */
  #arriving(): ReadonlySet<string> {
    const ids = new Set<string>()
    if (!this.#haveLeaving) return ids
    for (const { operation, isDelete } of this.#works()) if (!isDelete) ids.add(operation.id)
    return ids
  }

  /**
   * A document leaves a place when it has come to the other. Both may be one place to the target, and a delete that goes
   * through alone has the very version of what comes after it, which would be found stale.
   */
  #isToStay(slot: number, arriving: ReadonlySet<string>): boolean {
    if (arriving.size === 0) return false
    const { operation } = new PendingWork(this.#slots, slot)
    return operation.vacates === true && arriving.has(operation.id)
  }

  *#works(): Generator<PendingWork> {
    for (let slot = 0; slot < this.#end; slot++)
      if (!this.#isFree(slot)) yield new PendingWork(this.#slots, slot)
  }

  #isFree(slot: number): boolean {
    return this.#slots.takings[slot] === undefined
  }

  #append(place: string): number {
    if (this.#end >= slotsMin && this.#end > 2 * this.#count) this.#moveTogether()
    const slot = this.#end++
    this.#slots.places[slot] = place
    this.#byPlace.put(slot)
    this.#count++
    return slot
  }

  #moveTogether(): void {
    this.#byPlace.clear()
    let end = 0
    for (const { slot } of this.#works()) {
      if (slot > end) this.#slots.move(slot, end)
      this.#byPlace.put(end++)
    }
    this.#end = end
  }

  /** Another entry's operation comes in its place. Tells whether that one was to be looked for everywhere. */
  #supersede(slot: number): boolean {
    const isSought = !this.#slots.arePlain && new PendingWork(this.#slots, slot).operation.everywhere === true
    const taking = this.#slots.taking(slot)
    const bytes = this.#slots.bytes[slot] ?? 0
    const oddity = this.#slots.oddity(slot)
    oddity.earlier.push({ taking, number: this.#slots.numbers[slot] ?? 0 })
    oddity.earlierBytes += bytes
    oddity.operation = undefined
    oddity.attempts = oddity.delays = oddity.notBeforeMs = 0
    this.#bytes -= bytes
    return isSought
  }

  /** Where the document lay before is still not known: what it is to be by now is what looks for it. */
  #seek(id: string, slot: number): void {
    let newest = new PendingWork(this.#slots, slot)
    for (const work of this.#works()) {
      const { operation } = work
      if (operation.id !== id || operation.vacates === true) continue
      if (operation.version >= newest.operation.version) newest = work
    }
    this.#slots.oddity(newest.slot).operation = { ...newest.operation, everywhere: true }
  }

  #weigh(slot: number, operation: Operation): void {
    const bytes = bytesOf(operation)
    this.#slots.bytes[slot] = bytes
    this.#slots.deletes[slot] = operation.op === 'delete'
    this.#bytes += bytes
  }

  /** What the document was to be elsewhere is not to be written any more once nobody knows where it lies. */
  #vacate({ id }: Operation): void {
    this.#haveLeaving = true
    for (const { slot, operation, isDelete, bytes } of this.#works()) {
      if (operation.id !== id || isDelete) continue
      const left = { ...operation, op: 'delete', vacates: true, body: undefined } as const
      this.#slots.oddity(slot).operation = left
      this.#bytes -= bytes
      this.#weigh(slot, left)
    }
  }
}
