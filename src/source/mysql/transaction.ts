/**
 * From binlog events to changes: a pure state machine.
 *
 *   between ──GTID──▶ begun ──BEGIN──▶ open ──rows ...──▶ XID | COMMIT ──▶ between      (executed set + this one)
 *                       └──DDL──────────────────────────────────────────────▶ between
 *
 * Rows stream out before their transaction ends, because it may be larger than memory: what is in the binlog is
 * committed. A ROLLBACK is in the binlog only where a part could not be rolled back (tables without transactions): the
 * rows before it are given as they stand, and a barrier has their tables read again, so that the end is right either way.
 */
import type { Barrier, Position } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { RecordsBuilder, type Records } from '../../change/records.ts'
import type { SourceBatch } from '../source.ts'
import {
  endsStatement,
  eventType,
  readFormatDescription,
  readQuery,
  readRotate,
  readRowsHeader,
  readXaPrepare,
  tableIdOf,
  type BinlogEvent,
  type RowsHeader,
} from './binlog-events.ts'
import { CapturedTables } from './captured-tables.ts'
import { CascadeWatch } from './cascade.ts'
import type { ForeignKeys } from './foreign-keys.ts'
import { GtidReader, type TransactionStart } from './gtid-event.ts'
import { showGtid, type Flavor, type GtidSet } from './gtid.ts'
import { openTransaction, type OpenTransaction } from './open-transaction.ts'
import { wholeUpdate } from './partial-update.ts'
import { formatPosition, type Inside, type Place } from './position.ts'
import { rowsOf } from './row-decoder.ts'
import { meaningOf, shorten, type Meaning } from './statement.ts'
import { isHarmless, isRowEvent, placed, refusalOf } from './event-policy.ts'
import { parseTableMap, type TableContext, type TableMap } from './table-map.ts'
import type { Reached, TableSchemas } from './table-schemas.ts'
import { HeldChanges, preparedWith, type XaBranches } from './xa.ts'

export interface TransactionReaderOptions {
  readonly flavor: Flavor
  /** The identity of the server that is read. */
  readonly server: string
  /** The captured tables, `schema.table`. */
  readonly tables: readonly string[]
  readonly context: TableContext
  readonly foreignKeys: ForeignKeys
  /** Kept from connection to connection. */
  readonly branches: XaBranches
  /** For servers whose binlog does not name columns; told of the statements that change tables. */
  readonly schemas?: TableSchemas
  /** Where to go on. */
  readonly place: Place
}

export class TransactionReader {
  readonly #options: TransactionReaderOptions
  readonly #executed: GtidSet
  readonly #gtids = new GtidReader()
  readonly #cascades: CascadeWatch
  #foreignKeys: ForeignKeys
  #foreignKeysAreStale = false
  readonly #tables: CapturedTables
  readonly #maps = new Map<number, TableMap>()
  #current: OpenTransaction | undefined
  #resume: Inside | undefined
  #executedText: string | undefined
  #checksums: boolean
  #file: string | undefined
  #offset: number | undefined
  readonly #builder = new RecordsBuilder(batchBytesUsual)
  /** What comes before the builder's records. */
  #finished: Records[] = []
  #finishedBytes = 0
  #barriers: Barrier[] = []
  #moved = false

  /** `checksums`: whether events before the first format description bear them. */
  constructor(options: TransactionReaderOptions, checksums: boolean) {
    this.#options = options
    const { place, tables } = options
    this.#executed = place.executed.copy()
    this.#resume = place.inside?.server === options.server ? place.inside : undefined
    this.#file = place.file
    this.#offset = place.offset
    this.#checksums = checksums
    this.#tables = new CapturedTables(tables)
    this.#foreignKeys = options.foreignKeys
    this.#cascades = new CascadeWatch(options.foreignKeys, options.context)
  }

  /** Whether the events that follow bear checksums. */
  get checksums(): boolean {
    return this.#checksums
  }

  /** Bytes of the changes that wait to be taken. */
  get bytes(): number {
    return this.#finishedBytes + this.#builder.at
  }

  /** A barrier ends its batch: the changes of a batch come before its barriers. */
  get mustTake(): boolean {
    return this.#barriers.length > 0
  }

  get hasChanges(): boolean {
    return this.bytes > 0 || this.#barriers.length > 0
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
    return { executed: this.#executed, begun: this.#current?.start.gtid }
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
    const { bytes } = this
    this.#finish(this.#builder)
    const records = this.#finished
    const release = (): void => {
      for (const each of records) this.#builder.reuse(each)
    }
    const batch = { records, barriers: this.#barriers, position: this.#position(), bytes, release }
    this.#finished = []
    this.#finishedBytes = 0
    this.#barriers = []
    this.#moved = false
    return batch
  }

  #finish(builder: RecordsBuilder): void {
    if (builder.count === 0) return
    this.#finishedBytes += builder.at
    this.#finished.push(builder.finish())
  }

  /** Throws a Failure that names transaction and place when the event cannot be understood. */
  accept(event: BinlogEvent): void {
    // Events that are in no file, and the format description of a file that is entered in its middle, have offset 0.
    if (event.nextOffset > 0) this.#offset = event.nextOffset
    try {
      this.#dispatch(event)
    } catch (error) {
      throw placed(error, this.place('before'))
    }
  }

  /** Transaction and place in the file for messages: `before` the end of the last event, or `after` it. */
  place(side: 'before' | 'after'): string {
    const transaction =
      this.#current === undefined ? 'between transactions' : `in transaction ${this.#current.name}`
    return `${transaction}, ${side} ${this.#file ?? '?'}:${this.#offset ?? 0}`
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
    this.#file = file
    this.#offset = offset
  }

  #begin(start: TransactionStart): void {
    if (this.#current !== undefined) {
      const next = showGtid(start.gtid, this.#options.flavor)
      throw new Failure('corrupt', `transaction ${next} begins before the one before it ended`)
    }
    const name = showGtid(start.gtid, this.#options.flavor)
    const given = this.#resume?.gtid === name ? this.#resume.events : 0
    this.#resume = undefined
    this.#current = openTransaction(start, name, given, this.#options.flavor === 'mariadb')
  }

  #end(): void {
    const current = this.#inTransaction()
    this.#endStatement()
    if (current.held !== undefined) {
      this.#finish(this.#builder)
      this.#finish(current.held.builder)
    }
    this.#barriers.push(...current.barriers.values())
    this.#executed.add(current.start.gtid)
    this.#executedText = undefined
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
      const builder = current.held?.builder ?? this.#builder
      rowsOf(map, { kind, body: event.buffer, from, to: event.to, committedAtMs }, builder)
      current.held?.check(map.table.name)
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
    for (const { table, statement } of this.#cascades.end()) this.#barrier(table, statement)
    this.#maps.clear()
  }

  #query(event: BinlogEvent): void {
    const { schema, statement } = readQuery(event)
    const meaning = meaningOf(statement, schema)
    const current = this.#inTransaction()
    switch (meaning.kind) {
      case 'begin':
        current.open = true
        return
      case 'xaStart':
        current.open = true
        current.held = new HeldChanges(true)
        return
      case 'commit':
        return this.#end()
      case 'rollback':
        this.#rolledBack(statement)
        return this.#end()
      case 'rollbackToSavepoint':
        return this.#rolledBack(statement)
      case 'definition':
        this.#defined(meaning, statement)
        break
      case 'write':
        this.#refuseWrite(meaning.names, schema, statement)
        break
      case 'xaCommit':
        this.#xaCommitted(meaning.branch, statement)
        break
      case 'xaRollback':
        this.#options.branches.ended(meaning.branch)
        break
      case 'nothing':
        break
    }
    if (!current.open) this.#end()
  }

  #rolledBack(statement: string): void {
    for (const table of this.#inTransaction().changed) this.#barrier(table, statement)
  }

  #defined(meaning: Extract<Meaning, { kind: 'definition' }>, statement: string): void {
    const { gtid } = this.#inTransaction().start
    if (!meaning.harmless) this.#options.schemas?.changed(meaning.tables, statement, gtid)
    for (const table of this.#tables.among(meaning.tables)) {
      this.#foreignKeysAreStale = true
      if (!meaning.harmless) this.#barrier(table, statement)
    }
    for (const parent of meaning.tables) {
      if (!this.#foreignKeys.isParent(parent)) continue
      this.#foreignKeysAreStale = true
      // Under its former name its changes were not known for those of a parent.
      if (meaning.renames)
        for (const child of this.#foreignKeys.childrenOf(parent)) this.#barrier(child, statement)
    }
  }

  #refuseWrite(names: ReadonlySet<string>, schema: string, statement: string): void {
    if (!this.#tables.mayBeMeant(names, schema)) return
    const verb = shorten(statement).split(' ', 1)[0]
    throw new Failure('unsupported', `an ${verb} that is in the binlog as a statement, without its rows`, {
      remedy:
        'SET GLOBAL binlog_format = ROW, end the sessions with another format, then load the pipelines anew',
    })
  }

  #xaPrepare(event: BinlogEvent): void {
    const current = this.#inTransaction()
    const { onePhase, branch } = readXaPrepare(event)
    const [table] = current.changed
    if (!onePhase && table !== undefined) throw preparedWith(table)
    if (!onePhase) this.#options.branches.prepared(branch)
    this.#end()
  }

  /** A branch that was prepared before this reader began: which tables it changed is not known any more. */
  #xaCommitted(branch: string, statement: string): void {
    if (this.#options.branches.ended(branch)) return
    for (const table of this.#tables.all) this.#barrier(table, statement)
  }

  #barrier(table: string, statement: string): void {
    const { barriers } = this.#inTransaction()
    if (!barriers.has(table)) barriers.set(table, { table, statement: shorten(statement) })
  }

  #inTransaction(): OpenTransaction {
    if (this.#current !== undefined) return this.#current
    throw new Failure('unsupported', 'a change outside a transaction with a GTID', {
      remedy: 'SET GLOBAL gtid_mode = ON, then load the pipelines of this source anew',
    })
  }

  #position(): Position {
    const current = this.#current
    const { server } = this.#options
    const started =
      current !== undefined && current.held === undefined && Math.max(current.events, current.given) > 0
    const inside = started
      ? { gtid: current.name, events: Math.max(current.events, current.given), server }
      : this.#resume
    this.#executedText ??= this.#executed.toString()
    return formatPosition({ executed: this.#executedText, inside, file: this.#file, offset: this.#offset })
  }
}

/** A batch is taken when it has 256 KB; the last event comes on top. */
const batchBytesUsual = 288 * 1024
