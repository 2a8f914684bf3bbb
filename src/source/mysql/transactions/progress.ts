/** How far a reader has come: what it gave whole, and of one transaction a part. */
import type { Position } from '../../../change/change.ts'
import type { TransactionStart } from '../binlog/gtid-event.ts'
import { showGtid, type Flavor, type Gtid, type GtidSet } from '../gtid/gtid.ts'
import { openTransaction, type OpenTransaction } from './open-transaction.ts'
import { formatPosition, type Inside, type OpenBranch, type Place } from '../gtid/position.ts'
import type { Resent } from '../gtid/resent.ts'

export interface ProgressOptions {
  readonly flavor: Flavor
  /** The identity of the server that is read. */
  readonly server: string
  /** Where to go on. */
  readonly place: Place
  /** What the server sends a second time. */
  readonly resent: Resent
}

export class Progress {
  /** The transactions that were read whole. */
  readonly executed: GtidSet
  readonly #options: ProgressOptions
  #executedText: string | undefined
  /** The transaction of which a part was given before, until it comes. */
  #resume: Inside | undefined
  #file: string | undefined
  #offset: number | undefined

  constructor(options: ProgressOptions) {
    const { place, server } = options
    this.#options = options
    this.executed = place.executed.copy()
    this.#resume = place.inside?.server === server ? place.inside : undefined
    this.#file = place.file
    this.#offset = place.offset
  }

  /** The place in the files, for messages. */
  get where(): string {
    return `${this.#file ?? '?'}:${this.#offset ?? 0}`
  }

  enter(file: string, offset: number): void {
    this.#file = file
    this.#offset = offset
  }

  reach(offset: number): void {
    this.#offset = offset
  }

  /** The transaction that begins; undefined = all of it was given before. */
  begin(start: TransactionStart): OpenTransaction | undefined {
    const { flavor, resent } = this.#options
    const coming = resent.of(start.gtid)
    if (coming === 'given') return undefined
    const name = showGtid(start.gtid, flavor)
    const resume = this.#resume
    const isSame = resume?.gtid === name
    // A part of a branch was given when it was committed: of its PREPARE only the rest is needed again.
    const isPrepare = coming === 'prepare' && resume !== undefined && resent.branchOf(name) === resume.branch
    const given = isSame || isPrepare ? resume.events : 0
    if (coming === 'new') this.#resume = undefined
    const current = openTransaction(start, name, given, flavor === 'mariadb')
    if (isSame) current.branch = resume.branch
    return current
  }

  ended(gtid: Gtid): void {
    this.executed.add(gtid)
    this.#executedText = undefined
  }

  position(current: OpenTransaction | undefined, open: readonly OpenBranch[]): Position {
    const inside = this.#inside(current)
    this.#executedText ??= this.executed.toString()
    const executed = this.#executedText
    return formatPosition({ executed, inside, open, file: this.#file, offset: this.#offset })
  }

  /** What is held was not given. */
  #inside(current: OpenTransaction | undefined): Inside | undefined {
    if (current === undefined || current.held !== undefined) return this.#resume
    const events = Math.max(current.events, current.given)
    if (events === 0) return this.#resume
    return { gtid: current.name, events, server: this.#options.server, branch: current.branch }
  }
}
