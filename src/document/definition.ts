/** What a document is made of, as the pipeline file says it; plain data. */
import type { Column } from '../change/change.ts'

export type Comparison = 'eq' | 'ne' | 'lt' | 'lte' | 'gt' | 'gte' | 'in' | 'isNull'

/** One condition on a column; all of a filter's conditions must hold. A row that does not match has no document. */
export interface Condition {
  readonly column: string
  readonly comparison: Comparison
  /** A scalar; an array for `in`; a boolean for `isNull`. */
  readonly value: unknown
}

/** Forms of a value in a document, other than that of change events; which column can have which, form.ts says. */
export const forms = [
  'array',
  'base64',
  'boolean',
  'epoch_millis',
  'epoch_second',
  'geojson',
  'hex',
  'json',
  'number',
  'scaled',
  'seconds',
  'string',
  'uuid',
  'wkb',
  'wkt',
] as const

export type Form = (typeof forms)[number]

/** What a table's columns make of the documents: what they show, and what decides where they are and whether. */
export interface Shape {
  readonly fields: readonly { readonly field: string; readonly column: Column }[]
  /** Columns of conditions, by name, whether documents show them or not. */
  readonly conditions: readonly Column[]
  /** Columns of the key, in key order. */
  readonly key: readonly Column[]
}

/** Which columns of a table's rows are shown, how, and of which rows. */
export interface RowDefinition {
  /** `schema.table`. */
  readonly table: string
  /** Document field to column; undefined = every column under its own name. */
  readonly fields: Readonly<Record<string, string>> | undefined
  /** Columns left out when `fields` is undefined. */
  readonly exclude: readonly string[]
  /** By document field; undefined = every value has the form that it has in change events. */
  readonly forms?: Readonly<Record<string, Form>> | undefined
  /** By column: how its values are made unreadable before they leave the source; the name that columns bear then. */
  readonly masks?: Readonly<Record<string, string>> | undefined
  readonly where: readonly Condition[]
  /** By document field: the rows of other tables that belong to a row. */
  readonly children?: Readonly<Record<string, ChildDefinition>> | undefined
}

export interface DocumentDefinition extends RowDefinition {
  /** Columns that make the id; undefined = the table's key. They must be part of the key. */
  readonly id: readonly string[] | undefined
  readonly idPrefix: string
  /** The query that gives the documents, in the place of the root's columns and children. */
  readonly sql?: QueryDefinition | undefined
  /** undefined = documents lie where their ids put them. */
  readonly placing?: Placing | undefined
}

/** Documents as a query answers them. */
export interface QueryDefinition {
  /** One SELECT; its first columns are the key of the root table, which `IN (:ids)` compares with. */
  readonly query: string
  /** By table that the query reads, besides the root's: how its rows lead to roots. */
  readonly triggers: Readonly<Record<string, Trigger>>
  /** Tables whose changes are to be overlooked. */
  readonly still: readonly string[]
}

type Trigger =
  /** Column of the table → column of the root that it equals. */
  | { readonly on: Readonly<Record<string, string>>; readonly roots?: undefined }
  /** A SELECT of the keys of roots, asked with the values of these columns under `IN (:values)`. */
  | { readonly columns: readonly string[]; readonly roots: string }

/** What of a row decides where its document lies. */
export interface Placing {
  /** Columns that make the routing; none = the id does. */
  readonly routing: readonly string[]
  /** One index for each period of a date: `prefix` and the period by `format`, in which YYYY, MM and DD stand for digits. */
  readonly period: { readonly column: string; readonly prefix: string; readonly format: string } | undefined
}

/** How an index holds the objects of a child. */
export const childMappings = ['object', 'nested', 'flattened'] as const

type ChildMapping = (typeof childMappings)[number]

/** Rows of another table that a document shows under a field of its own. */
export interface ChildDefinition extends RowDefinition {
  /** one: an object, or null where there is no row (the first where there are several); many: an array of objects. */
  readonly kind: 'one' | 'many'
  /** Column of this table → the column of the parent's row (with `through`: of the link table) that it equals. */
  readonly on: Readonly<Record<string, string>>
  /** The table between this one and the parent's. */
  readonly through: ChildLink | undefined
  /** What comes before the order of the table's key. */
  readonly order: readonly ChildOrder[]
  /** So many rows at most; undefined = all. */
  readonly limit: number | undefined
  readonly mapping: ChildMapping
}

interface ChildLink {
  /** `schema.table`. */
  readonly table: string
  /** Column of the link table → the column of the parent's row that it equals. */
  readonly on: Readonly<Record<string, string>>
}

interface ChildOrder {
  readonly column: string
  readonly descending: boolean
}
