/**
 * The words that every room shares. A change is one row that was written in the source; it names its table, its key and
 * the row before and after. Sources know no versions: capture numbers changes when it appends them to the log.
 */

/** What kind of value a column holds; each kind has one JSON form in a change event (ARCHITECTURE.md, "Values"). */
export type ColumnKind =
  | 'integer'
  | 'decimal'
  | 'float'
  | 'double'
  | 'bit'
  | 'year'
  | 'date'
  | 'datetime'
  | 'timestamp'
  | 'time'
  | 'string'
  | 'text'
  | 'enum'
  | 'set'
  | 'binary'
  | 'blob'
  | 'json'
  | 'geometry'
  | 'vector'
  | 'uuid'
  | 'address'

export interface Column {
  readonly name: string
  readonly kind: ColumnKind
  /** The source's own words for the type: `varchar(20)`, `enum('a','it''s')`, with all labels in their order. */
  readonly type: string
  readonly nullable: boolean
  /** Integers: no negative values. */
  readonly unsigned?: boolean
  /** Width in bytes of integers (1, 2, 3, 4, 8), in bits of `bit`, in characters of strings, in bytes of binaries. */
  readonly length?: number
  readonly precision?: number
  readonly scale?: number
  /** How its values were made unreadable before they came here; undefined = they are the table's own. */
  readonly mask?: string
}

/** A table as it was when the change was made. One object is shared by all the changes made under that definition. */
export interface Table {
  /** `schema.table`, as the pipeline file names it. */
  readonly name: string
  readonly columns: readonly Column[]
  /** Indexes into `columns` of the primary key (or the unique key that stands for it), in key order. */
  readonly key: readonly number[]
}

declare const rowBrand: unique symbol
declare const keyBrand: unique symbol
declare const positionBrand: unique symbol

/** A packed row: each column's JSON text in UTF-8, one character per byte (see row.ts). */
export type Row = string & { readonly [rowBrand]: true }

/** The key's values as the text of a JSON array, one character per UTF-8 byte: `[42]`, `["de","Köln"]`. */
export type Key = string & { readonly [keyBrand]: true }

/** A place in the source, opaque to all but that source: what has been read, and how far inside a transaction. */
export type Position = string & { readonly [positionBrand]: true }

/** A place in the log: the ordinal of a record, counted from 0 when the log began. */
export type Offset = number

/**
 * Every member has every property, so that all changes share one shape. A row may be incomplete: columns that the source
 * did not show are absent from it, which is not NULL.
 */
export type Change = {
  readonly table: Table
  /** When the source committed it, in milliseconds since 1970; 0 for rows that were read, not changed. */
  readonly committedAtMs: number
} & (
  | { readonly op: 'insert' | 'read'; readonly key: Key; readonly before: undefined; readonly after: Row }
  | { readonly op: 'update'; readonly key: Key; readonly before: Row; readonly after: Row }
  | { readonly op: 'delete'; readonly key: Key; readonly before: Row; readonly after: undefined }
  /** Something about the row changed that the change itself does not show: the row is to be read. */
  | { readonly op: 'touch'; readonly key: Key; readonly before: undefined; readonly after: undefined }
)

/** A statement that changed rows without showing them (TRUNCATE, ALTER ... DEFAULT). */
export interface Barrier {
  /** `schema.table`. */
  readonly table: string
  /** What was said, shortened for people: `TRUNCATE TABLE shop.orders`. */
  readonly statement: string
  /** What is known of what it did; undefined = any row may be another one, or gone: the table must be read again. */
  readonly effect?: BarrierEffect
}

export type BarrierEffect =
  /** None of the rows that were there before it is there after it. */
  | { readonly kind: 'emptied' }
  /** The table has these columns more, named in small letters; every other column of every row is as it was. */
  | { readonly kind: 'widened'; readonly columns: readonly string[] }
  | Cascade

/** Only rows were changed that had these values, none of whose columns of keys changed; or they are gone. */
export interface Cascade extends Condition {
  readonly kind: 'cascade'
  readonly change: 'deleted' | 'updated'
  /** What the rows had besides. */
  readonly also?: readonly Condition[]
}

/** A column had one of the values. */
export interface Condition {
  /** Its case may be another than the table's. */
  readonly column: string
  /** As their JSON texts. */
  readonly values: readonly string[]
  /** The column's type, where equal values of another type may have other texts; absent = integers. */
  readonly type?: string
}
