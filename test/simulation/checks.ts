/**
 * What must hold at every moment, whatever goes wrong: places never go back within a log's life, nothing is committed before
 * its outcome is known, and no document goes back to an older version or an older content.
 */
import type { Position } from '../../src/change/change.ts'
import { RecordCursor } from '../../src/change/records.ts'
import type { Work } from '../../src/document/enricher.ts'
import { laneHash, laneSeed } from '../../src/log/embedded/lane.ts'
import type { Entries, Log } from '../../src/log/log.ts'
import type { Fact } from '../../src/pipeline/facts.ts'
import { textOfBody, type Operation, type Outcome } from '../../src/sink/sink.ts'
import type { Source } from '../../src/source/source.ts'
import type { MemoryIndex } from '../support/memory-sink.ts'
import { group } from './life.ts'

interface Asked {
  readonly lane: number
  readonly offset: number
  readonly operation: Operation
}

interface Newest {
  readonly version: bigint
  readonly revision: number
}

interface CheckSettings {
  readonly lanes: number
  /** Documents may return to an older content: rows are read when they are delivered, or changes are undone. */
  readonly returns: boolean
}

export class Checks {
  readonly violations: string[] = []
  readonly #index: MemoryIndex
  readonly #covers: Source['covers']
  readonly #settings: CheckSettings
  #position: Position | undefined
  #seq = 0
  #epoch = 0
  /** By lane. */
  #committed: number[] = []
  /** Operations that entries of this process asked for, and that no committed place has passed. */
  #asked: Asked[] = []
  /** The highest version of each id whose outcome this process knows. */
  #known = new Map<string, bigint>()
  /** By index, what each of its documents was at its newest. */
  readonly #newest = new Map<string, Map<string, Newest>>()

  constructor(index: MemoryIndex, covers: Source['covers'], settings: CheckSettings) {
    this.#index = index
    this.#covers = covers
    this.#settings = settings
  }

  /** How far the log has captured the source, durably. */
  get position(): Position | undefined {
    return this.#position
  }

  /** The log is a new one. */
  beginLog(): void {
    this.#position = undefined
    this.#seq = 0
    this.#epoch = 0
    this.#committed = []
  }

  /** A process found the log: what was durable must be there. */
  async beginLife(log: Log): Promise<void> {
    this.#asked = []
    this.#known = new Map()
    const found = (await log.groups()).find(({ name }) => name === group)
    if (found === undefined) {
      if (this.#committed.length > 0) this.#violate('the group has gone from the log')
      return
    }
    for (const [lane, next] of found.lanes.entries()) this.#assertCommitted(lane, next)
    const control = await log.control()
    if (control === undefined) return
    // The process that raised the epoch may have died before it could say why.
    if (control.epoch > this.#epoch) this.#position = undefined
    this.#assertNumbering(control.seq, control.epoch)
  }

  observe(fact: Fact): void {
    if (fact.kind === 'capture-started') {
      this.#assertPosition(fact.position)
      this.#assertNumbering(this.#seq, fact.epoch)
    } else if (fact.kind === 'appended') {
      this.#assertPosition(fact.position)
      this.#assertNumbering(fact.seq, this.#epoch)
    } else if (fact.kind === 'history-changed') {
      this.#position = undefined
    } else if (fact.kind === 'pipeline-state' && fact.state === 'starting') {
      // What it had not finished it asks for again, unless it begins elsewhere.
      this.#asked = []
    } else if (fact.kind === 'committed') {
      this.#assertCommitted(fact.lane, fact.next)
      this.#assertKnown(fact.lane, fact.next)
    }
  }

  enriched(entries: Entries, works: readonly Work[]): void {
    const cursor = new RecordCursor(entries.records)
    for (const { at, operation } of works) {
      cursor.seek(entries.place(at))
      const { records, table, keyAt, end } = cursor
      const lane = laneHash(laneSeed(table.name), records.bytes, keyAt, end) % this.#settings.lanes
      this.#asked.push({ lane, offset: entries.offset(at), operation })
    }
  }

  answered(uuid: string, operations: readonly Operation[], outcomes: readonly Outcome[]): void {
    for (const [at, { id, version, body }] of operations.entries()) {
      const outcome = outcomes[at]
      if (outcome === undefined || outcome.kind === 'busy') continue
      if (version > (this.#known.get(id) ?? 0n)) this.#known.set(id, version)
      if (outcome.kind === 'applied' && body !== undefined)
        this.#assertNewer(uuid, { id, version, source: textOfBody(body) })
    }
  }

  /** The versions of deleted documents are forgotten: those may come again, to be deleted again. */
  deletesForgotten(): void {
    const present = this.#index.documents()
    for (const newest of this.#newest.values())
      for (const id of newest.keys()) if (!present.has(id)) newest.delete(id)
  }

  /** Requests that nobody waits for any more are seen only here. */
  async lookAtIndex(): Promise<void> {
    const uuid = (await this.#index.inspect())?.uuid
    if (uuid === undefined) return
    for (const [id, { version, source }] of this.#index.documents())
      this.#assertNewer(uuid, { id, version, source })
  }

  #assertNewer(uuid: string, document: { id: string; version: bigint; source: string }): void {
    const { id, version } = document
    const newest = this.#newest.get(uuid) ?? new Map<string, Newest>()
    this.#newest.set(uuid, newest)
    const revision = revisionOf(document.source)
    const before = newest.get(id)
    if (before !== undefined && version < before.version)
      this.#violate(`document ${id} went from version ${before.version} back to ${version}`)
    // A row that was looked up may be newer than its version says; whole rows of the log then follow it.
    if (!this.#settings.returns && before !== undefined && revision < before.revision)
      this.#violate(`document ${id} went from revision ${before.revision} back to ${revision} at ${version}`)
    newest.set(id, { version, revision })
  }

  #assertPosition(found: string): void {
    // Facts show positions as text; it is the text that the source gave.
    const position = found as Position
    if (this.#position !== undefined && !this.#covers(position, this.#position))
      this.#violate(`the captured position went from ${this.#position} back to ${position}`)
    this.#position = position
  }

  #assertNumbering(seq: number, epoch: number): void {
    if (seq < this.#seq || epoch < this.#epoch)
      this.#violate(`the numbering went from ${this.#epoch}/${this.#seq} back to ${epoch}/${seq}`)
    this.#seq = seq
    this.#epoch = epoch
  }

  #assertCommitted(lane: number, next: number): void {
    const before = this.#committed[lane] ?? 0
    if (next < before) this.#violate(`lane ${lane} went from ${before} back to ${next}`)
    this.#committed[lane] = next
  }

  /** Every operation that an entry of the lane before `next` asked for, or a later one of its id, has its outcome. */
  #assertKnown(lane: number, next: number): void {
    const isPassed = (asked: Asked): boolean => asked.lane === lane && asked.offset < next
    for (const { offset, operation } of this.#asked.filter(isPassed)) {
      if ((this.#known.get(operation.id) ?? 0n) < operation.version)
        this.#violate(`lane ${lane} committed ${next}, but ${operation.id} at ${offset} was not finished`)
    }
    this.#asked = this.#asked.filter((asked) => !isPassed(asked))
  }

  #violate(what: string): void {
    this.violations.push(what)
  }
}

function revisionOf(source: string): number {
  return Number(/"revision":(\d+)/.exec(source)?.[1] ?? -1)
}
