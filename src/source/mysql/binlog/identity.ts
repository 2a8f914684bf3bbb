/**
 * Whether a server still has the transaction that was read last, and not another one under its number: after a crash, or
 * when it was set up anew, a server may give numbers a second time. So each dump begins one transaction early, and that
 * one is compared instead of being read.
 */
import { Failure } from '../../../change/failure.ts'
import { eventType, type BinlogEvent } from './binlog-events.ts'
import { GtidReader, type TransactionStart } from './gtid-event.ts'
import { showGtid, type Flavor } from '../gtid/gtid.ts'
import type { FilePlace, Identity } from '../gtid/position.ts'
import type { Resent } from '../gtid/resent.ts'

/** The transaction under a number is not the one that was read under it. */
export class NumberReused extends Failure {
  constructor(gtid: string) {
    super('lost', `the server has another transaction under the number ${gtid} than the one that was read`)
    this.name = 'NumberReused'
  }
}

/** The transaction is the same, in other events: the server's files were made anew, as those of another server. */
export class FilesRemade extends Failure {
  constructor(gtid: string) {
    super(
      'transient',
      `the server has the transaction ${gtid} in other events than before: its files were made anew`,
    )
    this.name = 'FilesRemade'
  }
}

/** Events that belong to no transaction. */
const apart: ReadonlySet<number> = new Set([
  eventType.stop,
  eventType.rotate,
  eventType.formatDescription,
  eventType.heartbeat,
  eventType.heartbeatV2,
  eventType.previousGtids,
  eventType.mariadbBinlogCheckpoint,
  eventType.mariadbGtidList,
  eventType.mariadbStartEncryption,
])

const beginnings: ReadonlySet<number> = new Set([eventType.gtid, eventType.gtidTagged, eventType.mariadbGtid])

export interface IdentityOptions {
  readonly flavor: Flavor
  /** The identity of the server that is read. */
  readonly server: string
  /** Whether commit times bear fractions of a second, and are the same on every server. */
  readonly preciseTimes: boolean
  readonly last: Identity | undefined
  /** Where in the files of this server that was read; undefined = it was another server. */
  readonly lastAt: FilePlace | undefined
  /** Whether the last one is sent again, to be compared. */
  readonly compares: boolean
  /** What else is sent again. */
  readonly resent: Resent
  /** Whether events of the next transaction were counted on this server. */
  readonly isInside: boolean
}

export class IdentityWatch {
  readonly #options: IdentityOptions
  readonly #gtids = new GtidReader()
  /** The transaction before the one that is under way. */
  #last: Identity | undefined
  /** The begin of the transaction that is under way; its bytes stay where they are. */
  #begin: BinlogEvent | undefined
  #events = 0
  #bytes = 0
  #awaited: string | undefined
  #isComparing = false
  /** Whether the one that is compared is read again as well. */
  #isNeeded = false

  constructor(options: IdentityOptions) {
    this.#options = options
    this.#last = options.last
    this.#awaited = options.compares ? options.last?.gtid : undefined
  }

  get server(): string {
    return this.#options.server
  }

  /** Where the last transaction was read, while it is not known whether the server still has the same. */
  get uncertainAt(): FilePlace | undefined {
    return this.#awaited !== undefined || this.#isComparing ? this.#options.lastAt : undefined
  }

  /**
   * Whether the event belongs to a transaction that is compared, and that nobody else needs. Throws NumberReused, and
   * FilesRemade where events were counted that may be others now.
   */
  see(event: BinlogEvent): boolean {
    const begins = beginnings.has(event.type)
    if (this.#isComparing && (begins || isHeartbeat(event))) this.#compare()
    if (apart.has(event.type)) return false
    if (begins) this.#beginAt(event)
    else if (this.#begin !== undefined) this.#count(event)
    return this.#isComparing && !this.#isNeeded
  }

  /** The last whole transaction; `inside` = another one is under way. */
  last(inside: boolean): Identity | undefined {
    if (!inside && !this.#isComparing) this.#close()
    return this.#last
  }

  #beginAt(event: BinlogEvent): void {
    this.#close()
    const { resent, flavor } = this.#options
    const isQuiet = this.#awaited === undefined && resent.isOver
    const gtid = isQuiet ? undefined : this.#startOf(event).gtid
    const coming = gtid === undefined ? 'new' : resent.of(gtid)
    this.#isComparing = gtid !== undefined && showGtid(gtid, flavor) === this.#awaited
    // What came before the last one is none that could be compared later.
    if (coming !== 'new' && !this.#isComparing) return
    this.#isNeeded = coming === 'prepare'
    this.#begin = { ...event }
    this.#events = 0
    this.#bytes = 0
    this.#count(event)
    if (this.#isComparing) this.#awaited = undefined
  }

  #count(event: BinlogEvent): void {
    this.#events++
    this.#bytes += event.to - event.from
  }

  /** What is under way is whole. */
  #close(): void {
    if (this.#begin === undefined) return
    this.#last = this.#found(this.#begin)
    this.#begin = undefined
  }

  #compare(): void {
    this.#isComparing = false
    const { last, preciseTimes, isInside } = this.#options
    const found = this.#begin === undefined ? undefined : this.#found(this.#begin)
    this.#begin = undefined
    if (last === undefined || found === undefined) return
    // Another server, or the same one when it was filled anew, writes the transaction in events of its own.
    const sameEvents = last.events === found.events && last.bytes === found.bytes
    const sameServer = last.server === found.server
    const same = preciseTimes ? last.at === found.at : !sameServer || (last.at === found.at && sameEvents)
    if (!same) throw new NumberReused(last.gtid)
    if (sameServer && !sameEvents && isInside) throw new FilesRemade(last.gtid)
    this.#last = found
  }

  #found(begin: BinlogEvent): Identity {
    const { flavor, server } = this.#options
    const { gtid, committedAtMs: at } = this.#startOf(begin)
    return { gtid: showGtid(gtid, flavor), server, at, events: this.#events, bytes: this.#bytes }
  }

  #startOf(begin: BinlogEvent): TransactionStart {
    return this.#options.flavor === 'mysql' ? this.#gtids.mysql(begin) : this.#gtids.mariadb(begin)
  }
}

function isHeartbeat({ type }: BinlogEvent): boolean {
  return type === eventType.heartbeat || type === eventType.heartbeatV2
}
