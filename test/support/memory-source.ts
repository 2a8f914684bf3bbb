/**
 * A database in memory with tables, transactions and a stream of changes, and a Source over it. Honest where it matters:
 * the stream may be ahead of what reads can see, chunks wait for their fence, large transactions come in pieces that can
 * be resumed inside, a change of a key is a delete and an insert that stay together.
 *
 *   commit ──▶ journal ──▶ read()            the stream: at once
 *                 └──(reveal)──▶ visible ──▶ chunk()   what reads see: later
 */
import type { Barrier, Change, Column, Key, Position, Row, Table } from '../../src/change/change.ts'
import { Failure } from '../../src/change/failure.ts'
import { packRecords } from '../../src/change/records.ts'
import type { Clock } from '../../src/pipeline/clock.ts'
import { Signal } from '../../src/pipeline/signal.ts'
import type {
  Chunk,
  ChunkRequest,
  KeyedRows,
  KeysRequest,
  Source,
  SourceBatch,
  View,
  ViewRequest,
} from '../../src/source/source.ts'
import { page } from './memory-page.ts'
import { viewOf } from './memory-view.ts'
import { keyFor, storedRow, type StoredRow, type Values } from './memory-row.ts'

export type { Values } from './memory-row.ts'
/** What one row's statement put into the journal: one change, or the delete and the insert of a key change. */
type RowEvent = readonly Change[]
interface Transaction {
  readonly events: readonly RowEvent[]
  readonly barrier: Barrier | undefined
  /** What the barrier's statement left in its table. */
  readonly left: ReadonlyMap<Key, Row> | undefined
  /** The table as the barrier's statement left it; undefined = as it was. */
  readonly shape?: Table
}

/** Rows by the text of their key. */
type Rows = Map<Key, StoredRow>

export class MemoryDatabase {
  readonly #tables = new Map<string, { readonly table: Table; readonly rows: Rows }>()
  readonly #visible = new Map<string, Map<Key, Row>>()
  readonly #visibleTables = new Map<string, Table>()
  readonly #journal: Transaction[] = []
  readonly #committed = new Signal()
  readonly #now: () => number
  #seen = 0
  #purged = 0

  constructor(now: () => number) {
    this.#now = now
  }

  createTable(name: string, columns: readonly Column[], key: readonly number[]): Table {
    const table: Table = { name, columns, key }
    this.#tables.set(name, { table, rows: new Map() })
    this.#visible.set(name, new Map())
    this.#visibleTables.set(name, table)
    return table
  }

  /** Transactions that were committed. */
  get executed(): number {
    return this.#journal.length
  }

  /** Those that reads can see. */
  get visible(): number {
    return this.#seen
  }

  /** The rows as they are now, whoever can see them. */
  rows(name: string): readonly Values[] {
    return [...this.#table(name).rows.values()].map((stored) => stored.values)
  }

  has(name: string, values: Values): boolean {
    return this.#table(name).rows.has(keyFor(this.#table(name).table, values))
  }

  /** One transaction: all that `work` does, committed when it returns. */
  transaction(work: (writer: TransactionWriter) => void): void {
    const events: RowEvent[] = []
    work(new TransactionWriter(this.#now(), (name) => this.#table(name), events))
    if (events.length > 0) this.#commit({ events, barrier: undefined, left: undefined })
  }

  truncate(name: string): void {
    const barrier: Barrier = { table: name, statement: `TRUNCATE TABLE ${name}`, effect: { kind: 'emptied' } }
    this.#table(name).rows.clear()
    this.#commit({ events: [], barrier, left: new Map() })
  }

  /** A statement that changes rows without showing them; keys stay as they are. */
  rewrite(name: string, change: (values: Values) => Values): void {
    const { table, rows } = this.#table(name)
    for (const [key, { values }] of rows) rows.set(key, storedRow(table, change(values)))
    const left = new Map([...rows].map(([key, { row }]) => [key, row]))
    const barrier = { table: name, statement: `ALTER TABLE ${name}` }
    this.#commit({ events: [], barrier, left, shape: table })
  }

  /** Another shape of the table from now on; rows become what `change` makes of them, their keys stay as they are. */
  alter(name: string, columns: readonly Column[], change: (values: Values) => Values): void {
    const { table, rows } = this.#table(name)
    this.#tables.set(name, { table: { ...table, columns }, rows })
    this.rewrite(name, change)
  }

  /** Lets reads see the first so many transactions, and no fewer than before. */
  reveal(upTo: number): void {
    for (; this.#seen < Math.min(upTo, this.#journal.length); this.#seen++) {
      const transaction = this.#journal[this.#seen]
      for (const change of transaction?.events.flat() ?? []) {
        const rows = this.visibleRows(change.table.name)
        if (change.after === undefined) rows.delete(change.key)
        else rows.set(change.key, change.after)
      }
      const { barrier, left, shape } = transaction ?? {}
      if (barrier !== undefined) this.#visible.set(barrier.table, new Map(left))
      if (shape !== undefined) this.#visibleTables.set(shape.name, shape)
    }
  }

  /** How many transactions the journal has forgotten. */
  get purged(): number {
    return this.#purged
  }

  /** Forgets the journal of all transactions so far: what has not read them cannot go on. */
  purge(): void {
    this.#purged = this.#journal.length
  }

  at(ordinal: number): Transaction {
    if (ordinal < this.#purged)
      throw new Failure('lost', `the server has purged what comes after ${ordinal} transactions`, {
        remedy: 'read every table again: run with --reload for every pipeline',
      })
    const transaction = this.#journal[ordinal]
    if (transaction === undefined) throw new Error(`transaction ${ordinal} was never committed`)
    return transaction
  }

  /** What a read sees. */
  visibleRows(name: string): Map<Key, Row> {
    const rows = this.#visible.get(name)
    if (rows === undefined) throw unknownTable(name)
    return rows
  }

  definition(name: string): Table {
    return this.#table(name).table
  }

  /** The table as a read sees it. */
  visibleTable(name: string): Table {
    const table = this.#visibleTables.get(name)
    if (table === undefined) throw unknownTable(name)
    return table
  }

  /** Something was committed, or is going to be. */
  get commits(): Signal {
    return this.#committed
  }

  #commit(transaction: Transaction): void {
    this.#journal.push(transaction)
    this.#committed.notify()
  }

  #table(name: string): { readonly table: Table; readonly rows: Rows } {
    const found = this.#tables.get(name)
    if (found === undefined) throw unknownTable(name)
    return found
  }
}

export class TransactionWriter {
  readonly #committedAtMs: number
  readonly #find: (name: string) => { readonly table: Table; readonly rows: Rows }
  readonly #events: RowEvent[]

  constructor(
    committedAtMs: number,
    find: (name: string) => { readonly table: Table; readonly rows: Rows },
    events: RowEvent[],
  ) {
    this.#committedAtMs = committedAtMs
    this.#find = find
    this.#events = events
  }

  insert(name: string, values: Values): void {
    const { table, rows } = this.#find(name)
    const stored = storedRow(table, values)
    if (rows.has(stored.key)) throw new Error(`${name} has a row ${stored.key} already`)
    rows.set(stored.key, stored)
    this.#events.push([this.#inserted(table, stored)])
  }

  /** Sets all values of the row that has the key of `before`; the key may change. */
  update(name: string, before: Values, after: Values): void {
    const { table, rows } = this.#find(name)
    const old = rows.get(keyFor(table, before))
    if (old === undefined) throw new Error(`${name} has no such row`)
    const stored = storedRow(table, after)
    rows.delete(old.key)
    if (rows.has(stored.key)) throw new Error(`${name} has a row ${stored.key} already`)
    rows.set(stored.key, stored)
    const common = { table, committedAtMs: this.#committedAtMs, before: old.row }
    if (old.key === stored.key) {
      this.#events.push([{ ...common, op: 'update', key: old.key, after: stored.row }])
    } else {
      const gone: Change = { ...common, op: 'delete', key: old.key, after: undefined }
      this.#events.push([gone, this.#inserted(table, stored)])
    }
  }

  delete(name: string, values: Values): void {
    const { table, rows } = this.#find(name)
    const old = rows.get(keyFor(table, values))
    if (old === undefined) throw new Error(`${name} has no such row`)
    rows.delete(old.key)
    const committedAtMs = this.#committedAtMs
    this.#events.push([
      { table, committedAtMs, op: 'delete', key: old.key, before: old.row, after: undefined },
    ])
  }

  #inserted(table: Table, { key, row }: StoredRow): Change {
    return { table, committedAtMs: this.#committedAtMs, op: 'insert', key, before: undefined, after: row }
  }
}

export interface MemorySourceOptions {
  readonly database: MemoryDatabase
  readonly clock: Clock
  /** Row events in one piece of the stream. */
  readonly pieceRows: number
  /** How long a silent stream waits before it says that it is alive, ms. */
  readonly heartbeatMs: number
  /** What a call suffers before it is answered: it waits, or throws a Failure. */
  readonly suffer: (call: 'read' | 'head' | 'chunk' | 'rows') => Promise<void>
  /** What the stream shows of a change; undefined = all. */
  readonly shows?: (change: Change) => Change
}

/** Positions are `EXECUTED` or, inside a transaction, `EXECUTED+EVENTS`. */
export class MemorySource implements Source {
  readonly #options: MemorySourceOptions

  constructor(options: MemorySourceOptions) {
    this.#options = options
  }

  async *read(from: Position, signal: AbortSignal): AsyncIterable<SourceBatch> {
    const { database, clock, heartbeatMs, suffer } = this.#options
    let place = placeOf(from)
    assertKnown(database, place)
    while (!signal.aborted) {
      const seen = database.commits.count
      await suffer('read')
      if (signal.aborted) return
      const piece = this.#piece(place)
      if (piece !== undefined) {
        place = piece.place
        yield piece.batch
        continue
      }
      const waited = await nextCommit({ database, clock, seen, heartbeatMs }, signal)
      if (waited === 'silence') yield { records: [], barriers: [], position: positionOf(place), bytes: 0 }
    }
  }

  async head(): Promise<Position> {
    await this.#options.suffer('head')
    return positionOf({ executed: this.#options.database.executed, inside: 0 })
  }

  async chunk(request: ChunkRequest, signal: AbortSignal): Promise<Chunk> {
    const { database, suffer } = this.#options
    await suffer('chunk')
    signal.throwIfAborted()
    revealTo(database, request.includes)
    const table = database.visibleTable(request.table)
    const rows = page(database.visibleRows(request.table), request)
    await suffer('head')
    const head = positionOf({ executed: database.executed, inside: 0 })
    return { table, rows, last: rows.at(-1)?.key, head }
  }

  async rows({ table, keys, includes }: KeysRequest, signal: AbortSignal): Promise<KeyedRows> {
    const { database, suffer } = this.#options
    await suffer('rows')
    signal.throwIfAborted()
    revealTo(database, includes)
    const visible = database.visibleRows(table)
    const rows = keys.flatMap((key) => {
      const row = visible.get(key)
      return row === undefined ? [] : [{ key, row }]
    })
    return { table: database.visibleTable(table), rows }
  }

  async view<Result>(
    { tables, includes }: ViewRequest,
    read: (view: View) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const { database, suffer } = this.#options
    await suffer('rows')
    signal.throwIfAborted()
    revealTo(database, includes)
    return await read(viewOf(database, tables, () => suffer('rows')))
  }

  covers(position: Position, other: Position): boolean {
    const [a, b] = [placeOf(position), placeOf(other)]
    return a.executed > b.executed || (a.executed === b.executed && a.inside >= b.inside)
  }

  /** The next events, over transactions' ends but not over a barrier; undefined = there are none yet. */
  #piece(from: Place): { readonly batch: SourceBatch; readonly place: Place } | undefined {
    const { database, pieceRows, shows = (change: Change) => change } = this.#options
    const changes: Change[] = []
    const barriers: Barrier[] = []
    let [{ executed, inside }, rows] = [from, 0]
    while (executed < database.executed && rows < pieceRows && barriers.length === 0) {
      const { events, barrier } = database.at(executed)
      const taken = events.slice(inside, inside + pieceRows - rows)
      for (const event of taken) changes.push(...event.map(shows))
      rows += taken.length
      inside += taken.length
      if (inside < events.length) break
      if (barrier !== undefined) barriers.push(barrier)
      executed++
      inside = 0
    }
    if (executed === from.executed && inside === from.inside) return undefined
    const place = { executed, inside }
    const records = changes.length === 0 ? [] : [packRecords(changes)]
    const bytes = records.reduce((sum, packed) => sum + packed.bytes.length, 0)
    return { batch: { records, barriers, position: positionOf(place), bytes }, place }
  }
}

/** Reads see this position, and the rest of a transaction that it is inside of. */
function revealTo(database: MemoryDatabase, position: Position): void {
  const { executed, inside } = placeOf(position)
  database.reveal(executed + (inside > 0 ? 1 : 0))
}

interface Place {
  readonly executed: number
  /** Row events of the next transaction that have been given. */
  readonly inside: number
}

function placeOf(position: Position): Place {
  const match = /^(\d+)(?:\+(\d+))?$/.exec(position)
  if (match === null) throw new Failure('configuration', `${position} is no position`)
  return { executed: Number(match[1]), inside: Number(match[2] ?? 0) }
}

function positionOf({ executed, inside }: Place): Position {
  return (inside === 0 ? String(executed) : `${executed}+${inside}`) as Position
}

function assertKnown(database: MemoryDatabase, { executed }: Place): void {
  if (executed > database.executed)
    throw new Failure('lost', `the server has executed ${database.executed} transactions, not ${executed}`)
}

/** Waits for a commit after `seen`, for the heartbeat's time, or for the end. */
async function nextCommit(
  wait: { database: MemoryDatabase; clock: Clock; seen: number; heartbeatMs: number },
  signal: AbortSignal,
): Promise<'commit' | 'silence' | 'end'> {
  const over = new AbortController()
  const either = AbortSignal.any([signal, over.signal])
  try {
    return await Promise.race([
      wait.database.commits.next(wait.seen, either).then(() => 'commit' as const),
      wait.clock.sleep(wait.heartbeatMs, either).then(() => 'silence' as const),
    ])
  } catch {
    return 'end'
  } finally {
    over.abort()
  }
}

function unknownTable(name: string): Failure {
  return new Failure('configuration', `there is no table ${name}`)
}
