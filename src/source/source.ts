/** Where changes come from. */
import type { Barrier, Key, Position, Row, Table } from '../change/change.ts'
import type { Records } from '../change/records.ts'
import type { Failure } from '../change/failure.ts'

/** A piece of the stream, bounded in bytes. An empty one is a heartbeat: the position moved, or the source is alive. */
export interface SourceBatch {
  /** The changes. */
  readonly records: readonly Records[]
  /** Statements that changed rows without showing them; a piece ends with them: all its changes came before. */
  readonly barriers: readonly Barrier[]
  /** All up to here has been given. Changes and position belong together and are saved together. */
  readonly position: Position
  /** About how many bytes the changes take, for bounds. */
  readonly bytes: number
  /** Lets the source write over the records, at which nobody may look afterwards. Need not be called. */
  readonly release?: () => void
}

export interface ChunkRequest {
  /** `schema.table`. */
  readonly table: string
  /** Rows after this key, in key order as the server sorts it; undefined = from the first. */
  readonly after: Key | undefined
  readonly rowsMax: number
  readonly bytesMax: number
  /** The read waits until the server it reads from has all of this. */
  readonly includes: Position
  /** Nobody looks at the rows: they may be whatever is cheapest. */
  readonly keysOnly?: boolean
}

export interface Chunk {
  readonly table: Table
  readonly rows: readonly { readonly key: Key; readonly row: Row }[]
  /** The key of the last row; undefined = the table has no rows after the request's key. */
  readonly last: Key | undefined
  /** Taken on the capture's server after the read: all that the read saw lies at or before it. */
  readonly head: Position
}

export interface KeysRequest {
  /** `schema.table`. */
  readonly table: string
  /** At least one; a bounded number, for they become one statement. */
  readonly keys: readonly Key[]
  /** The read waits until the server it reads from has all of this. */
  readonly includes: Position
}

export interface KeyedRows {
  /** As it is now. */
  readonly table: Table
  /** Rows that have one of the keys, in any order; a key that the server takes for equal may be spelled differently. */
  readonly rows: readonly { readonly key: Key; readonly row: Row }[]
  /** Taken on the server that was read, after the read: all that the read saw lies at or before it. */
  readonly head: Position
}

export interface ViewRequest {
  /** Every table that will be read, as `schema.table`. */
  readonly tables: readonly string[]
  /** The read waits until the server it reads from has all of this. */
  readonly includes: Position
}

/** Tables as they are at one point in time; to be used only until the function that got it is done. */
export interface View {
  /** The rows of a table whose columns have one of the given values, by one query. */
  related(request: RelatedRequest, signal: AbortSignal): Promise<RelatedRows>
  /** What a person's query answers for some values. */
  answers(request: AnswersRequest, signal: AbortSignal): Promise<RelatedRows>
  /** All that the server has executed now: what was read lies at or before it. */
  head(): Promise<Position>
}

/** A person's SELECT, asked with values of the columns of a table. */
export interface Question {
  /** One SELECT in which `IN (:ids)` or `IN (:values)` stands once, after the columns that have the values. */
  readonly sql: string
  /** `schema.table`. */
  readonly table: string
  readonly by: readonly string[]
  /** So many first columns of the answer are the key of its rows. */
  readonly keyLength: number
}

export interface AnswersRequest extends Question {
  /** As of a RelatedRequest. */
  readonly values: RelatedRequest['values']
  readonly bytesMax?: RelatedRequest['bytesMax']
  /** The answer in pages: its distinct rows, sorted by themselves, so many at most and after this one; undefined = as it comes. */
  readonly page?: { readonly rowsMax: number; readonly after: Key | undefined } | undefined
}

/** What is known of a person's SELECT without asking it for anything. */
export interface QuestionFacts {
  /** What it answers with, as a table. */
  readonly answer: Table
  /** Tables that it reads, as `schema.table`. */
  readonly tables: readonly string[]
}

export interface RelatedRequest {
  /** `schema.table`: one of the view's. */
  readonly table: string
  /** Columns that are to be read besides those of the key; undefined = all. */
  readonly columns: readonly string[] | undefined
  /** Columns whose values are given. */
  readonly by: readonly string[]
  /** For each combination that is wanted, a cell (change/row.ts) for each column of `by`, none of them NULL. At least one. */
  readonly values: readonly (readonly string[])[]
  /** Columns whose marks are wanted. */
  readonly marks: readonly string[]
  /** What the rows are sorted by, before their key. */
  readonly order: readonly { readonly column: string; readonly descending: boolean }[]
  /** Rows after this key; only where nothing but the key sorts. */
  readonly after?: Key | undefined
  readonly rowsMax: number
  /** So many bytes of rows, but at least one row; undefined = as many as there are. */
  readonly bytesMax?: number
}

export interface RelatedRow {
  readonly key: Key
  /** The packed row (change/row.ts) lies here, from `from` to before `to`. */
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
  /**
   * The mark of the column that has this place among those that marks were wanted of: a text that is equal where the source
   * takes the values for equal, letters of either case, as their collation says. undefined = SQL NULL, which equals nothing.
   */
  mark(place: number): string | undefined
}

export function relatedRow(key: Key, row: Row, marks: readonly (string | undefined)[] = []): RelatedRow {
  const mark = (place: number): string | undefined => marks[place]
  return { key, bytes: Buffer.from(row, 'latin1'), from: 0, to: row.length, mark }
}

export interface RelatedRows {
  /** Of the columns that were read; the same object as long as it is the same. */
  readonly table: Table
  /** At most `rowsMax`, in order. */
  readonly rows: readonly RelatedRow[]
  /** About what they take. */
  readonly bytes?: number
  /** There are more than `bytesMax` allowed. */
  readonly isCut?: boolean
}

/** A source of which nothing but the stream can be read: no chunks, no rows by key, no view. */
export interface StreamOnly {
  /** In a sentence, for people. */
  readonly why: string
  /** Where the stream begins, if it still has every row. Throws a Failure of kind `lost` where it has not. */
  beginning(): Promise<Position>
}

export interface Source {
  /** Absent = rows can be read beside the stream. */
  readonly streamOnly?: StreamOnly
  /**
   * Changes after `from`, in commit order, for ever; ends when the signal aborts, and when it has to go on at another
   * server: what was read of tables at the former one may hold what this one never gets. Reconnects by itself while the
   * failure is transient, and tells `interrupted` of each attempt that failed; throws a Failure otherwise, a Divergence
   * where changes that were given are undone. May be called again after it ended; one reader at a time.
   */
  read(
    from: Position,
    signal: AbortSignal,
    interrupted?: (failure: Failure) => void,
  ): AsyncIterable<SourceBatch>
  /** All that the server has executed now. */
  head(): Promise<Position>
  /** A keyset-paginated read; short, read-only, fenced by `includes`. */
  chunk(request: ChunkRequest, signal: AbortSignal): Promise<Chunk>
  /** The rows that are there now, by key; short, read-only, fenced by `includes`. */
  rows(request: KeysRequest, signal: AbortSignal): Promise<KeyedRows>
  /** What `read` answers, of tables as they are at one point in time: short, read-only, fenced by `includes`. */
  view<Result>(
    request: ViewRequest,
    read: (view: View) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result>
  /** Whether everything in `other` is in `position` too. Pure. */
  covers(position: Position, other: Position): boolean
}

/** One of the servers that a source may be read from. */
export interface ServerHealth {
  /** `host:port`. */
  readonly address: string
  /** Whether it takes writes; null = not known. */
  readonly role: 'primary' | 'replica' | null
  /** Being read; could be; lacks what was read; does not answer; cannot be read as it is. */
  readonly state: 'reading' | 'ready' | 'behind' | 'away' | 'unfit'
  /** What is wrong. */
  readonly detail: string | null
}

/** What a source says, while it is read, of the servers that it may be read from: each time that something changed. */
export type TellServers = (servers: readonly ServerHealth[]) => void

/** How far capture is from losing its place. */
export interface Headroom {
  /** How long the source keeps its stream, seconds; undefined = for ever or unknown. */
  readonly keptSeconds: number | undefined
  /** Bytes of the stream that were not read yet; undefined = not known. */
  readonly behindBytes: number | undefined
}

/** Facts of a table that a load or a person wants beforehand. */
export interface TableDescription {
  readonly table: Table
  /** Columns that it has besides, left out of its rows as the configuration asks. */
  readonly excluded: readonly string[]
  /** The server's own estimate. */
  readonly rowsEstimate: number
}

/** What reading asks of a server. */
export interface ReadCost {
  readonly queries: number
  /** Rows that the server looked at, in tables and in results on their way. */
  readonly rowsExamined: number
  readonly bytesSent: number
}

export type FindingLevel = 'ok' | 'warning' | 'fatal'

/** One fact that doctor reports. */
export interface Finding {
  readonly level: FindingLevel
  /** What was looked at: `binlog_format`, `grant REPLICATION SLAVE`. */
  readonly fact: string
  readonly found: string
  /** The fixing statement, or what to do; managed services by name: `mysql`, `rds`, `aurora`, `cloudsql`. */
  readonly remedies?: Readonly<Record<string, string>>
}

/** For doctor, init, the first start and the operator. */
export interface SourceAdmin {
  /** The oldest place that the server can still stream from. */
  earliest(): Promise<Position>
  /** A position from what a person wrote (a GTID set), checked. Throws a Failure that says what is wrong with it. */
  parse(text: string): Position
  /** A position for people. */
  show(position: Position): string
  describe(table: string): Promise<TableDescription>
  /** Throws a Failure of kind `configuration` for what is not one SELECT of tables that the server can answer. */
  describeQuestion(question: Question): Promise<QuestionFacts>
  /** How the server would find the rows: the tables that it would read whole. */
  explainQuestion(question: Question): Promise<readonly Finding[]>
  /** The columns of each of the table's indexes, in their order. */
  indexes(table: string): Promise<readonly (readonly string[])[]>
  /** Every precondition of capture for these tables, good or bad. Never throws for a bad one. */
  examine(tables: readonly string[]): Promise<readonly Finding[]>
  /** What its open connections have asked so far, looks at it included; nothing may be read meanwhile. Absent = it cannot be told. */
  cost?(): Promise<ReadCost>
  /** How far the reading is from losing its place. */
  headroom(): Promise<Headroom>
  close(): Promise<void>
}
