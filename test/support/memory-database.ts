/**
 * A database in memory with tables, transactions and their journal. What reads can see may be behind what is committed; and
 * a server may be lost with its last transactions, which the next one does not have.
 */
import type { Barrier, Change, Column, Key, Row, Table } from '../../src/change/change.ts'
import { Failure } from '../../src/change/failure.ts'
import { Signal } from '../../src/change/signal.ts'
import { MemoryHistory } from './memory-history.ts'
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

/** The tables before a transaction. */
type Tables = ReadonlyMap<string, { readonly table: Table; readonly rows: Rows }>

/** So many transactions a server can take with it. */
export const lossMax = 20

export class MemoryDatabase {
  readonly history = new MemoryHistory()
  #tables = new Map<string, { readonly table: Table; readonly rows: Rows }>()
  /** Before each of the last transactions. */
  readonly #before: Tables[] = []
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
    const before = this.#copy()
    const events: RowEvent[] = []
    work(new TransactionWriter(this.#now(), (name) => this.#table(name), events))
    if (events.length > 0) this.#commit({ events, barrier: undefined, left: undefined }, before)
  }

  truncate(name: string): void {
    const barrier: Barrier = { table: name, statement: `TRUNCATE TABLE ${name}`, effect: { kind: 'emptied' } }
    const before = this.#copy()
    this.#table(name).rows.clear()
    this.#commit({ events: [], barrier, left: new Map() }, before)
  }

  /** A statement that changes rows without showing them; keys stay as they are. */
  rewrite(name: string, change: (values: Values) => Values): void {
    const before = this.#copy()
    const { table, rows } = this.#table(name)
    for (const [key, { values }] of rows) rows.set(key, storedRow(table, change(values)))
    const left = new Map([...rows].map(([key, { row }]) => [key, row]))
    const barrier = { table: name, statement: `ALTER TABLE ${name}` }
    this.#commit({ events: [], barrier, left, shape: table }, before)
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
      if (this.history.isLost(this.#seen)) continue
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

  /** The server is lost with its last transactions, at most so many; the next one leads. Where a shape was altered it cannot be. */
  loseServer(transactions: number): void {
    const lost = Math.min(transactions, this.#before.length)
    const from = this.#journal.length - lost
    this.history.lose(from, this.#journal.length)
    const [before] = this.#before.splice(this.#before.length - lost)
    if (before !== undefined) this.#restore(before, from)
    this.#before.length = 0
    this.#committed.notify()
  }

  #restore(before: Tables, from: number): void {
    this.#tables = new Map(before)
    if (this.#seen <= from) return
    this.#seen = from
    for (const [name, { rows }] of before)
      this.#visible.set(name, new Map([...rows].map(([key, { row }]) => [key, row])))
  }

  #copy(): Tables {
    const tables = [...this.#tables]
    return new Map(tables.map(([name, { table, rows }]) => [name, { table, rows: new Map(rows) }]))
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

  #commit(transaction: Transaction, before: Tables): void {
    this.#before.push(before)
    if (this.#before.length > lossMax) this.#before.shift()
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

function unknownTable(name: string): Failure {
  return new Failure('configuration', `there is no table ${name}`)
}
