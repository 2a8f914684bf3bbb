/**
 * The columns of captured tables along the stream, for servers whose binlog does not name them.
 *
 *   the stream is here          the columns were read here
 *   ── p ───────────────────────────── head ──────────── d ──▶
 *      └── looked through for statements ─┘              └ a statement that changes the table
 *          that change the table
 *
 * What was read at the head holds for everything after p only if no statement changed the table between them; so the
 * stretch is looked through first. From then on it holds until the stream itself meets such a statement. Where one stands
 * in the stretch, the columns before it are not to be had any more, and rows that need them stop capture: no later reading
 * would tell, for that statement stands before each later head, too. So columns are read ahead while there is nothing else
 * to do, before rows need them. Nothing is guessed, and nothing is read at all while the binlog names the columns.
 */
import { Failure } from '../../../change/failure.ts'
import { CapturedTables } from './captured-tables.ts'
import { keepsColumns } from './column-statements.ts'
import { connect, hangUp, type MysqlSettings } from '../server/connection.ts'
import { containsAll } from '../gtid/gtid-set.ts'
import { showGtid, type Gtid, type GtidSet } from '../gtid/gtid.ts'
import { leavesColumns, lookalikeRemedy } from '../rows/lookalikes.ts'
import { ColumnsLost, SchemaNeeded, type SchemaLookup, type TableSchema } from '../rows/schema-match.ts'
import { readSchema } from './schema-reading.ts'
import { scout, type Definition } from './schema-scout.ts'
import type { ServerFacts } from '../server/server-facts.ts'
import type { TableMapCache } from '../rows/table-map.ts'

interface Known {
  readonly schema: TableSchema
  /** It holds for what comes after these transactions. */
  readonly after: GtidSet
  /** Up to this one, where the stream has met it. */
  until: Gtid | undefined
  /** The columns that are certain, where a later statement may have changed others; undefined = all. */
  readonly columns: readonly string[] | undefined
}

/** Where the stream is. */
export interface Reached {
  /** The transactions that were read whole. */
  readonly executed: GtidSet
  /** The one under way, whose own statements that change tables were met. */
  readonly begun: Gtid | undefined
}

/** How long a reading may be held up. */
interface Patience {
  readonly signal: AbortSignal
  /** By a statement that is changing the table. */
  readonly waitSeconds: number
}

/** What was looked through already, and what was found there. */
interface Outlook {
  readonly until: GtidSet
  readonly definitions: readonly Definition[]
}

/** For rows that need the columns, and for those that may come. */
const [lockWaitSeconds, lockWaitAheadSeconds] = [10, 1]

/** One for each reading of a source; it outlives connections. */
export class TableSchemas implements SchemaLookup {
  readonly #settings: MysqlSettings
  readonly #captured: ReadonlySet<string>
  /** Tables that are not captured, but that captured ones refer to. */
  readonly #parents = new Set<string>()
  /** Parents whose columns cannot be known where the stream is. */
  readonly #givenUp = new Set<string>()
  #tables: CapturedTables
  readonly #cache: TableMapCache
  readonly #known = new Map<string, Known>()
  /** Of tables whose columns were not known when they were asked for: which columns; undefined = all. */
  readonly #asked = new Map<string, readonly string[] | undefined>()
  /** Captured tables whose columns were not looked for since the connection began, or the last statement that changed them. */
  readonly #ahead = new Set<string>()
  #outlook: Outlook | undefined
  #server: ServerFacts | undefined

  /** `cache` holds tables that were defined with these schemas; it is emptied when one of them changes. */
  constructor(settings: MysqlSettings, tables: readonly string[], cache: TableMapCache) {
    this.#settings = settings
    this.#captured = new Set(tables)
    this.#tables = new CapturedTables(tables)
    this.#cache = cache
  }

  get remedy(): string {
    const anew = 'run with --reload for every pipeline of this source, which reads its tables anew'
    if (this.#server?.variables.has('binlog_row_metadata') !== true)
      return `${anew}; let capture catch up before the next change of a captured table, since this server's binlog does not name columns`
    return this.#server.flavor === 'mysql'
      ? `SET PERSIST binlog_row_metadata = FULL, then ${anew}`
      : `SET GLOBAL binlog_row_metadata = FULL, and in its option file, then ${anew}`
  }

  of(table: string, asked?: readonly string[]): TableSchema {
    const known = this.#known.get(table)
    if (known !== undefined && known.until === undefined && isEnough(known, asked)) return known.schema
    if (this.#givenUp.has(table)) throw this.#unknowable(table, asked, undefined)
    this.#asked.set(table, asked)
    throw new SchemaNeeded(table)
  }

  /** The stream begins anew, maybe somewhere else. */
  forget(): void {
    this.#outlook = undefined
    this.#givenUp.clear()
    if (this.#known.size === 0) return
    this.#known.clear()
    this.#cache.clear()
  }

  /** A connection to this server begins, to go on after `executed`. What was known on another server is forgotten. */
  goOn(server: ServerFacts, executed: GtidSet): void {
    const isSame = this.#server?.identity === server.identity && this.#server.flavor === server.flavor
    this.#server = server
    this.#outlook = undefined
    this.#givenUp.clear()
    for (const table of this.#captured) this.#ahead.add(table)
    if (this.#known.size === 0) return
    for (const [table, known] of this.#known) {
      if (!isSame || !containsAll(executed, known.after)) this.#known.delete(table)
      // The stream has not come to that statement, or comes to it again.
      else if (known.until !== undefined && !executed.has(known.until)) known.until = undefined
    }
    this.#cache.clear()
  }

  /** The stream has met a statement that changed these tables: `schema.table` or `schema.*`, in small letters. */
  changed(names: readonly string[], statement: string, gtid: Gtid): void {
    if (keepsColumns(statement)) return
    const tables = this.#tables.among(names)
    for (const table of tables) if (this.#captured.has(table)) this.#ahead.add(table)
    if (this.#known.size + this.#givenUp.size === 0) return
    for (const table of tables) {
      this.#givenUp.delete(table)
      const known = this.#known.get(table)
      if (known !== undefined) known.until ??= gtid
    }
    this.#cache.clear()
  }

  /**
   * Where the binlog names no columns: reads those that rows may need next, at a moment when there are none. What fails here
   * is no more than not known: the rows that need it ask again, and then it is told.
   */
  async learnAhead(reached: Reached, signal: AbortSignal): Promise<void> {
    if (this.#ahead.size === 0 || this.#namesColumns) return
    const tables = [...this.#ahead].filter((table) => !this.#holds(table))
    this.#ahead.clear()
    if (tables.length === 0) return
    try {
      await this.#read(tables, reached, { signal, waitSeconds: lockWaitAheadSeconds })
    } catch (error) {
      if (!(error instanceof Failure)) throw error
    }
  }

  /**
   * Reads the columns of this table, and of every captured one that is not known. Throws a Failure; ColumnsLost as above.
   * A parent whose columns cannot be known is given up: its rows count as changed in every column.
   */
  async learn(table: string, reached: Reached, signal: AbortSignal): Promise<void> {
    if (this.#captured.has(table)) return await this.#learn(table, reached, signal)
    if (!this.#parents.has(table)) {
      this.#parents.add(table)
      this.#tables = new CapturedTables([...this.#captured, ...this.#parents])
      this.#outlook = undefined
    }
    try {
      await this.#learn(table, reached, signal)
    } catch (error) {
      if (!(error instanceof Failure) || error.kind === 'transient' || error.kind === 'overload') throw error
      this.#givenUp.add(table)
    }
  }

  async #learn(table: string, reached: Reached, signal: AbortSignal): Promise<void> {
    const others = [...this.#captured].filter((name) => name !== table && !this.#holds(name))
    const unknown = await this.#read([...others, table], reached, { signal, waitSeconds: lockWaitSeconds })
    if (unknown.has(table)) throw this.#unknowable(table, this.#asked.get(table), unknown.get(table))
  }

  /** Those whose columns cannot be known, each with the statement that stands in the way; undefined = the table is gone. */
  async #read(
    names: readonly string[],
    reached: Reached,
    { signal, waitSeconds }: Patience,
  ): Promise<ReadonlyMap<string, Definition | undefined>> {
    const unknown = new Map<string, Definition | undefined>()
    const schemas = new Map<string, TableSchema | undefined>()
    // Of the head after the last of them it is certain for all that no statement before it was overlooked.
    const head = await this.#readAll(names, schemas, waitSeconds)
    const definitions = await this.#definitionsBetween(reached, head, signal)
    for (const [name, schema] of schemas) {
      const asked = this.#asked.get(name)
      const passed = definitions.filter(({ tables }) => tables.includes(name))
      const obstacle = passed.find(({ text }) => asked === undefined || !leavesColumns(text, asked))
      const columns = passed.length === 0 ? undefined : asked
      if (schema !== undefined && obstacle === undefined)
        this.#known.set(name, { schema, after: reached.executed.copy(), until: undefined, columns })
      else unknown.set(name, obstacle)
    }
    return unknown
  }

  /** Whether the binlog does: then the rows say themselves what they are. */
  get #namesColumns(): boolean {
    return this.#server?.variables.get('binlog_row_metadata') === 'FULL'
  }

  #holds(table: string): boolean {
    const known = this.#known.get(table)
    return known !== undefined && known.until === undefined
  }

  async #readAll(
    tables: readonly string[],
    into: Map<string, TableSchema | undefined>,
    waitSeconds: number,
  ): Promise<GtidSet> {
    const flavor = this.#server?.flavor ?? 'mysql'
    const connection = await connect(this.#settings)
    try {
      let head: GtidSet | undefined
      for (const table of tables) {
        const reading = await readSchema(connection, table, { flavor, lockWaitSeconds: waitSeconds })
        into.set(table, reading.schema)
        head = reading.head
      }
      if (head === undefined) throw new Error('no table was read')
      return head
    } finally {
      hangUp(connection)
    }
  }

  /** Those in what was looked through before count too, as far as the stream has not come to them. */
  async #definitionsBetween(
    { executed, begun }: Reached,
    head: GtidSet,
    signal: AbortSignal,
  ): Promise<readonly Definition[]> {
    const reached = executed.copy()
    if (begun !== undefined) reached.add(begun)
    const before = this.#outlook
    const isAhead = before !== undefined && containsAll(before.until, reached)
    const after = isAhead ? before.until : reached
    const ahead = isAhead ? before.definitions.filter(({ gtid }) => !reached.has(gtid)) : []
    const found = await scout(this.#settings, this.#tables, { after, until: head }, signal)
    // What lies behind the head changed the table after it was read.
    const definitions = [...ahead, ...found.filter(({ gtid }) => head.has(gtid))]
    this.#outlook = { until: containsAll(after, head) ? after : head, definitions }
    return definitions
  }

  #unknowable(
    table: string,
    asked: readonly string[] | undefined,
    obstacle: Definition | undefined,
  ): ColumnsLost {
    const flavor = this.#server?.flavor ?? 'mysql'
    const why =
      obstacle === undefined
        ? 'there is no such table any more'
        : `the table was changed after them (${obstacle.statement}, ${showGtid(obstacle.gtid, flavor)})`
    const what =
      asked === undefined ? 'name the columns' : `tell the types of the columns ${asked.join(', ')}`
    const message = `${table}: the binlog does not ${what} of these rows, and ${why}`
    return new ColumnsLost(message, asked === undefined ? this.remedy : lookalikeRemedy)
  }
}

function isEnough({ columns }: Known, asked: readonly string[] | undefined): boolean {
  return columns === undefined || (asked?.every((column) => columns.includes(column)) ?? false)
}
