/** From entries of the log to operations on documents. */
import type { Key, Table } from '../change/change.ts'
import type { List } from '../change/list.ts'
import type { RecordCursor } from '../change/records.ts'
import type { Entries } from '../log/log.ts'
import type { Operation } from '../sink/sink.ts'
import type { RelatedRequest, RelatedRows } from '../source/source.ts'

/** One operation that an entry asks for. */
export interface Work {
  /** The entry's number among the entries. */
  readonly at: number
  readonly operation: Operation
}

/** In the order of the entries; an entry may need no operation (filtered out, never indexed) or several. */
export type Enricher = (entries: Entries, signal: AbortSignal) => Promise<List<Work>>

/** What entries ask for as far as they show it themselves. */
export interface RowMapper {
  map(entries: Entries): Mapped
  /** Whether more than its id decides where a document lies. */
  readonly isPlaced: boolean
  /** What a row that is not there any more asks for. */
  gone(table: Table, key: Key, version: bigint): Operation
}

export interface Mapped {
  readonly works: List<Work>
  /** Entries that do not show what their document needs: numbers among the entries, ascending. */
  readonly incomplete: readonly number[]
  /** Those among the incomplete that show where their documents lay before. */
  readonly placed?: ReadonlySet<number>
}

/** How the rows of one table of a document are read, for a whole batch of documents. */
interface JoinRead {
  /** `schema.table`. */
  readonly table: string
  /** The read whose rows these belong to, by its number, which is smaller; undefined = the roots. */
  readonly parent: number | undefined
  /** Columns of the table, and those of the parent's rows that they equal. */
  readonly by: readonly string[]
  readonly parentColumns: readonly string[]
  readonly columns: RelatedRequest['columns']
  readonly marks: readonly string[]
  readonly order: RelatedRequest['order']
}

/** Documents that hold rows of other tables: nothing but a delete shows all that it needs. */
export interface JoinedMapper extends RowMapper {
  /** Every table that is read. */
  readonly tables: readonly string[]
  /** Columns of the roots whose marks are wanted. */
  readonly rootMarks: readonly string[]
  readonly reads: readonly JoinRead[]
  /** The query that gives the documents themselves; undefined = the reads do. */
  readonly query?: string
  /** Whether a root's row has a document, before anything else is read. */
  filter(roots: RelatedRows): RelatedRows
  /** What roots with a document ask for, under version 0, without anything that was read for them. */
  bare(roots: RelatedRows): readonly Operation[]
  /** What each of the roots asks for, under version 0; `found` holds the rows of each read, or those of the query alone. */
  join(roots: RelatedRows, found: readonly RelatedRows[]): readonly (Operation | undefined)[]
}

/** A way from the rows of one table of a document towards its roots. */
export interface Ascent {
  /** `schema.table` of the rows that are left, and of those that are reached. */
  readonly table: string
  readonly parentTable: string
  /** The ascent that goes on from the rows that are reached, by its number; undefined = they are the roots. */
  readonly parent: number | undefined
  /** Columns of the rows that are left, and those of the rows that are reached that they equal. */
  readonly by: readonly string[]
  readonly parentColumns: readonly string[]
  /** A query that answers with the keys of roots; undefined = the columns are equal. */
  readonly roots?: string | undefined
}

/** A row of a joined table whose change concerns documents. */
export interface Concern {
  /** Number of the ascent. */
  readonly ascent: number
  /** Cells of the columns that it is left by; undefined = the change does not show them, so the row must be read. */
  readonly values: readonly string[] | undefined
}

/** Tells which documents a change of a joined table concerns. */
export interface ChildChanges {
  readonly ascents: readonly Ascent[]
  /** Of the record that the cursor stands on, from its images before and after. */
  concerns(cursor: RecordCursor): readonly Concern[]
}
