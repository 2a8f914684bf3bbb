/**
 * From binlog events to changes: a pure state machine.
 *
 *   between ──GTID──▶ begun ──BEGIN──▶ open ──rows ...──▶ XID | COMMIT ──▶ between      (executed set + this one)
 *                       └──DDL──────────────────────────────────────────────▶ between
 *
 * Rows stream out before their transaction ends, because it may be larger than memory: what is in the binlog is
 * committed. A ROLLBACK is in the binlog only where a part could not be rolled back (tables without transactions): the
 * rows before it are given as they stand, and a barrier has their tables read again, so that the end is right either way.
 * Rows of an XA branch are kept until its end is known; then they are given piece by piece (`giveMore`).
 */
import type { BarrierEffect } from '../../../change/change.ts'
import { Failure } from '../../../change/failure.ts'
import type { SourceBatch } from '../../source.ts'
import {
  endsStatement,
  eventType,
  readFormatDescription,
  readRotate,
  readRowsHeader,
  readXaPrepare,
  tableIdOf,
  type BinlogEvent,
  type RowsHeader,
} from '../binlog/binlog-events.ts'
import { readQuery } from '../binlog/query-event.ts'
import { CapturedTables } from '../schema/captured-tables.ts'
import { CascadeWatch } from '../schema/cascade.ts'
import type { ForeignKeys } from '../schema/foreign-keys.ts'
import { GtidReader, type TransactionStart } from '../binlog/gtid-event.ts'
import { showGtid } from '../gtid/gtid.ts'
import { bar, type OpenTransaction } from './open-transaction.ts'
import { wholeUpdate } from '../rows/partial-update.ts'
import { Outgoing } from './outgoing.ts'
import { Progress } from './progress.ts'
import type { TransactionReaderOptions } from './reader-options.ts'
import { rowsOf } from '../rows/row-decoder.ts'
import { effectOn, meaningOf, shorten, type Certainty, type Definition } from '../schema/statement.ts'
import {
  isFrame,
  isHarmless,
  isRowEvent,
  placed,
  refusalOf,
  statementRefusal,
} from '../binlog/event-policy.ts'
import { parseTableMap, type TableMap } from '../rows/table-map.ts'
import type { Reached } from '../schema/table-schemas.ts'
import { refuseVersioning } from '../schema/versioning.ts'
import { XaBranches, type HeldBranch } from './xa.ts'

export class TransactionReader {
  readonly #options: TransactionReaderOptions
  readonly #progress: Progress
  readonly #gtids = new GtidReader()
  readonly #cascades: CascadeWatch
  #foreignKeys: ForeignKeys
  #foreignKeysAreStale = false
  readonly #tables: CapturedTables
  readonly #maps = new Map<number, TableMap>()
  #current: OpenTransaction | undefined
  #checksums: boolean
  readonly #out: Outgoing
  #moved = false
  readonly #branches: XaBranches
  /** Within a transaction that was given before, and is passed over. */
  #isPassing = false

  /** `checksums`: whether events before the first format description bear them. */
  constructor(options: TransactionReaderOptions, checksums: boolean) {
    this.#options = options
    this.#progress = new Progress(options)
    this.#out = new Outgoing(options)
    this.#checksums = checksums
    this.#tables = new CapturedTables(options.tables)
    this.#foreignKeys = options.foreignKeys
    this.#cascades = new CascadeWatch(options.foreignKeys, options.context)
    this.#branches = new XaBranches(options.place.open)
  }

  /** Whether the events that follow bear checksums. */
  get checksums(): boolean {
    return this.#checksums
  }

  /** Bytes of the changes that wait to be taken. */
  get bytes(): number {
    return this.#out.bytes
  }

  /** A barrier ends its batch: the changes of a batch come before its barriers. */
  get mustTake(): boolean {
    return this.#out.hasBarriers
  }

  get hasChanges(): boolean {
    return this.bytes > 0 || this.#out.hasBarriers
  }

  /** Whether the position is another than that of the last batch. */
  get hasMoved(): boolean {
    return this.#moved
  }

  get isInside(): boolean {
    return this.#current !== undefined
  }

  /** The transactions that were read whole, and the one under way. */
  get reached(): Reached {
    return { executed: this.#progress.executed, begun: this.#current?.start.gtid }
  }

  /** A statement may have changed foreign keys: they are to be read again before the next rows. */
  get foreignKeysAreStale(): boolean {
    return this.#foreignKeysAreStale
  }

  replaceForeignKeys(keys: ForeignKeys): void {
    this.#foreignKeys = keys
    this.#cascades.replace(keys)
    this.#foreignKeysAreStale = false
  }

  /** Everything since the last take. */
  take(): SourceBatch {
    this.#moved = false
    return this.#out.take(this.#progress.position(this.#current, this.#branches.list))
  }

  /** Whether changes of a branch that was committed are to be given, before further events. */
  get isGiving(): boolean {
    return this.#current?.giving !== undefined
  }

  /** Gives some more of them. Throws a Failure when a scratch file cannot be read. */
  giveMore(): void {
    const current = this.#inTransaction()
    const run = current.giving?.take()
    if (run === undefined) return this.#end()
    this.#out.add(run.records, current)
    current.events = run.events
    this.#moved = true
  }

  /** Frees what it keeps. */
  close(): void {
    this.#current?.held?.close()
    this.#current?.giving?.close()
    this.#branches.close()
  }

  /** Throws a Failure that names transaction and place when the event cannot be understood. */
  accept(event: BinlogEvent): void {
    // Events that are in no file, and the format description of a file that is entered in its middle, have offset 0.
    if (event.nextOffset > 0) this.#progress.reach(event.nextOffset)
    try {
      while (this.isGiving) this.giveMore()
      if (!this.#isPassing || isFrame(event)) this.#dispatch(event)
    } catch (error) {
      throw placed(error, this.place('before'))
    }
  }

  /** Transaction and place in the file for messages: `before` the end of the last event, or `after` it. */
  place(side: 'before' | 'after'): string {
    const transaction =
      this.#current === undefined ? 'between transactions' : `in transaction ${this.#current.name}`
    return `${transaction}, ${side} ${this.#progress.where}`
  }

  #dispatch(event: BinlogEvent): void {
    switch (event.type) {
      case eventType.tableMap:
        return this.#tableMap(event)
      case eventType.query:
        return this.#query(event)
      case eventType.xid:
        return this.#end()
      case eventType.gtid:
      case eventType.gtidTagged:
        return this.#begin(this.#gtids.mysql(event))
      case eventType.mariadbGtid:
        return this.#begin(this.#gtids.mariadb(event))
      case eventType.xaPrepare:
        return this.#xaPrepare(event)
      case eventType.rotate:
        return this.#rotate(event)
      case eventType.formatDescription:
        this.#checksums = readFormatDescription(event).checksums
        return undefined
      default:
        return this.#other(event)
    }
  }

  #other(event: BinlogEvent): void {
    if (isRowEvent(event.type)) return this.#rows(event)
    if (isHarmless(event)) return undefined
    if (event.type !== eventType.partialUpdateRows) throw refusalOf(event.type)
    const map = this.#maps.get(tableIdOf(event))
    return map?.table === undefined ? this.#otherRows(event) : this.#rows(wholeUpdate(event, map))
  }

  #rotate(event: BinlogEvent): void {
    const { file, offset } = readRotate(event)
    this.#progress.enter(file, offset)
  }

  #begin(start: TransactionStart): void {
    if (this.#current !== undefined) {
      const next = showGtid(start.gtid, this.#options.flavor)
      throw new Failure('corrupt', `transaction ${next} begins before the one before it ended`)
    }
    this.#current = this.#progress.begin(start)
    this.#isPassing = this.#current === undefined
    if (this.#current !== undefined) this.#out.within(this.#current)
    if (start.xaPrepared && this.#current !== undefined) this.#current.held = this.#branches.hold()
  }

  #end(): void {
    const current = this.#inTransaction()
    this.#endStatement()
    const { held, events, branch } = current
    if (held !== undefined) {
      current.held = undefined
      held.end(events, [])
      return this.#give(held)
    }
    current.giving?.close()
    if (branch !== undefined) this.#branches.ended(branch)
    this.#out.bar(current.barriers.values())
    this.#progress.ended(current.start.gtid)
    this.#current = undefined
    this.#moved = true
  }

  #tableMap(event: BinlogEvent): void {
    const map = parseTableMap(event.buffer, event.from, event.to, this.#options.context)
    this.#maps.set(map.tableId, map)
    this.#cascades.mapped(event, map)
  }

  #rows(event: BinlogEvent): void {
    const current = this.#inTransaction()
    const header = readRowsHeader(event)
    const map = this.#maps.get(header.tableId)
    // An event without a table only ends its statement.
    if (map === undefined && header.tableId !== 0xff_ff_ff)
      throw new Failure('corrupt', `row events of table ${header.tableId}, which was not mapped before`)
    current.events++
    this.#moved = true
    if (map !== undefined) this.#rowsOf(current, event, header, map)
    if (header.endsStatement) this.#endStatement()
  }

  /** Events that were given before are read again only where their statement may cascade. */
  #rowsOf(current: OpenTransaction, event: BinlogEvent, header: RowsHeader, map: TableMap): void {
    if (map.table !== undefined) current.changed.add(map.table.name)
    const given = current.events <= current.given
    const cascades = this.#cascades.concern(map, header)
    if (given && !cascades) return
    if (map.table !== undefined && !given) {
      const { kind, from } = header
      const { committedAtMs } = current.start
      const builder = current.held?.builder ?? this.#out.builder
      rowsOf(map, { kind, body: event.buffer, from, to: event.to, committedAtMs }, builder)
      current.held?.eventEnded(current.events)
    }
    if (cascades) this.#cascades.rows(event, header, map)
  }

  /** Rows of a table that is not captured, in a form that is not read. */
  #otherRows(event: BinlogEvent): void {
    const current = this.#inTransaction()
    const map = this.#maps.get(tableIdOf(event))
    if (map !== undefined) this.#cascades.unreadable(map)
    current.events++
    this.#moved = true
    if (endsStatement(event)) this.#endStatement()
  }

  #endStatement(): void {
    for (const { table, statement, effect } of this.#cascades.end()) this.#barrier(table, statement, effect)
    this.#maps.clear()
  }

  #query(event: BinlogEvent): void {
    const { schema, statement, ...certainty } = readQuery(event)
    const meaning = meaningOf(statement, schema)
    const current = this.#inTransaction()
    switch (meaning.kind) {
      case 'begin':
        current.open = true
        return
      case 'xaStart':
        current.open = true
        current.held = this.#branches.hold()
        return
      case 'commit':
        return this.#end()
      case 'rollback':
        this.#rolledBack(statement)
        return this.#end()
      case 'rollbackToSavepoint':
        return this.#rolledBack(statement)
      case 'definition':
        this.#defined(meaning, statement, certainty)
        break
      case 'write':
        this.#refuseWrite(meaning.names, schema, statement)
        break
      case 'xaCommit':
        return this.#xaCommitted(meaning.branch, statement)
      case 'xaRollback':
        this.#branches.ended(meaning.branch)
        return this.#end()
      case 'nothing':
        break
    }
    if (!current.open) this.#end()
  }

  #rolledBack(statement: string): void {
    for (const table of this.#inTransaction().changed) this.#barrier(table, statement)
  }

  #defined(meaning: Definition, statement: string, certainty: Certainty): void {
    const { gtid } = this.#inTransaction().start
    if (!meaning.harmless) this.#options.schemas?.changed(meaning.tables, statement, gtid)
    for (const table of this.#tables.among(meaning.tables)) {
      refuseVersioning(table, statement)
      this.#foreignKeysAreStale = true
      if (!meaning.harmless) this.#barrier(table, statement, effectOn(table, meaning, certainty))
    }
    for (const parent of meaning.tables) {
      if (!this.#foreignKeys.isParent(parent)) continue
      this.#foreignKeysAreStale = true
      // Under its former name its changes, or those of what it referred to, were not known to reach its children.
      if (meaning.unties)
        for (const child of this.#foreignKeys.childrenOf(parent)) this.#barrier(child, statement)
    }
  }

  #refuseWrite(names: ReadonlySet<string>, schema: string, statement: string): void {
    if (!this.#tables.mayBeMeant(names, schema)) return
    throw statementRefusal(shorten(statement).split(' ', 1)[0])
  }

  #xaPrepare(event: BinlogEvent): void {
    const current = this.#inTransaction()
    const { onePhase, branch } = readXaPrepare(event)
    if (onePhase) return this.#end()
    // A statement may have changed rows unseen: its barriers belong to the branch.
    this.#endStatement()
    const { held = this.#branches.hold(), barriers, events, start, name } = current
    current.held = undefined
    held.end(events, barriers.values())
    barriers.clear()
    this.#options.xaEnds?.prepared(branch)
    this.#branches.prepared({ branch, gtid: name, at: start.committedAtMs }, held)
    this.#options.resent.hasRead(name)
    this.#end()
  }

  /** Of a branch that was prepared before capture began it is not known which tables it changed. */
  #xaCommitted(branch: string, statement: string): void {
    this.#options.xaEnds?.committed(branch)
    const held = this.#branches.changesOf(branch)
    const current = this.#inTransaction()
    current.branch = branch
    for (const barrier of held?.barriers ?? []) current.barriers.set(barrier.table, barrier)
    if (held !== undefined) return this.#give(held)
    for (const table of this.#tables.all) this.#barrier(table, statement)
    this.#end()
  }

  /** As much as makes a batch; then `giveMore` is to be called. */
  #give(held: HeldBranch): void {
    this.#inTransaction().giving = held
    while (this.isGiving && this.bytes < givenBytesMax) this.giveMore()
  }

  #barrier(table: string, statement: string, effect?: BarrierEffect): void {
    bar(this.#inTransaction(), { table, statement: shorten(statement) }, effect)
  }

  #inTransaction(): OpenTransaction {
    if (this.#current !== undefined) return this.#current
    throw new Failure('unsupported', 'a change outside a transaction with a GTID', {
      remedy: 'SET GLOBAL gtid_mode = ON, then load the pipelines of this source anew',
    })
  }
}

/** Of the changes of a committed branch at once. */
const givenBytesMax = 256 * 1024
