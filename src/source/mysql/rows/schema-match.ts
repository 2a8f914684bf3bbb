/**
 * Names and types of columns from information_schema, in the place of what a TABLE_MAP event leaves out: MySQL 5.7 knows
 * no row metadata at all, later servers leave out names, labels and keys under binlog_row_metadata = MINIMAL. All that the
 * event does say must agree with them.
 */
import { Failure } from '../../../change/failure.ts'
import { charsetOf, collationOf } from '../values/charset.ts'
import { describeColumn, type ColumnType } from '../values/column-type.ts'
import { geometryCode } from '../values/geometry.ts'
import type { OptionalMetadata } from './table-metadata.ts'
import {
  CODE,
  isCharacter,
  isNumeric,
  specialType,
  typeOf,
  type WireColumn,
  type WireDetail,
} from '../values/wire-column.ts'

/** A table as information_schema has it: all columns in their order, those that cannot be read or are excluded too. */
export interface TableSchema {
  readonly columns: readonly SchemaColumn[]
  /** Column indexes in key order; undefined = the table has none. */
  readonly primaryKey: readonly number[] | undefined
}

export interface SchemaColumn {
  readonly name: string
  readonly nullable: boolean
  /** A text says why the column cannot be read. */
  readonly type: ColumnType | string
  /** Undefined for columns that hold no text. */
  readonly charset: string | undefined
}

/** Where the schemas of tables come from that the binlog does not name the columns of. */
export interface SchemaLookup {
  /**
   * The columns of a captured table as they were where the stream is now; where `asked` names some, only these need be
   * certain. Throws SchemaNeeded when they are not known.
   */
  of(table: string, asked?: readonly string[]): TableSchema
  /** What a person does when they cannot be known. */
  readonly remedy: string
}

/** Thrown out of the reading of an event that can be read once the table's schema has been learned. */
export class SchemaNeeded extends Error {
  readonly table: string

  constructor(table: string) {
    super(`the columns of ${table} are not known here`)
    this.table = table
  }
}

/** The columns of rows in the binlog cannot be known: no other attempt finds them. */
export class ColumnsLost extends Failure {
  constructor(message: string, remedy: string) {
    super('lost', message, { remedy })
  }
}

/** Whether a failure is ColumnsLost, or says where in the binlog one is. */
export function lostColumns(failure: Failure): boolean {
  return failure instanceof ColumnsLost || failure.cause instanceof ColumnsLost
}

/** The event's metadata with all that it lacks. Throws a Failure: ColumnsLost when the two contradict each other, `unsupported`. */
export function completed(
  table: { readonly name: string; readonly excluded: ReadonlySet<string> },
  wire: readonly WireColumn[],
  metadata: OptionalMetadata,
  lookup: SchemaLookup,
): OptionalMetadata {
  const { columns, primaryKey } = lookup.of(table.name)
  const differ = (what: string): Failure => contradiction(table.name, what, lookup.remedy)
  if (columns.length !== wire.length) throw differ(`${columns.length} columns, not ${wire.length}`)
  const details = columns.map((column, index): WireDetail => {
    const onWire = wire[index]
    if (onWire === undefined) throw differ(`no column ${column.name}`)
    if (table.excluded.has(column.name)) return noDetail
    if (typeof column.type === 'string') throw unreadable(table.name, column.name, column.type)
    const said = metadata.detailOf(index)
    const detail = detailOf(column.type, column.charset, onWire, said.collation)
    const what = difference(column, onWire, detail, metadata.hasSigns ? said : undefined)
    if (what !== undefined) throw differ(`the column ${column.name} ${what}`)
    return detail
  })
  const names = columns.map(({ name }) => name)
  return { names, primaryKey, hasSigns: true, detailOf: (index) => details[index] ?? noDetail }
}

const noDetail: WireDetail = {
  unsigned: false,
  collation: undefined,
  labels: undefined,
  dimensions: undefined,
  shape: undefined,
  special: undefined,
}

function detailOf(
  type: ColumnType,
  charset: string | undefined,
  wire: WireColumn,
  collation: number | undefined,
): WireDetail {
  if (type.kind === 'enum' || type.kind === 'set') {
    // information_schema shows labels of every character set in its own.
    const labels = type.labels.map((label) => Buffer.from(label))
    return { ...noDetail, labels, collation: collationOf('utf8mb4') }
  }
  return {
    ...noDetail,
    unsigned: 'unsigned' in type && type.unsigned,
    collation: isCharacter(wire) ? (collation ?? collationOf(charset ?? 'binary')) : undefined,
    dimensions: type.kind === 'vector' ? type.dimensions : undefined,
    shape: type.kind === 'geometry' ? geometryCode(type.shape) : undefined,
    special: type.kind === 'json' && wire.code === CODE.json ? type : specialType(type, wire),
  }
}

/** What of the event's column is not as information_schema has it; undefined = nothing. */
function difference(
  { type, nullable, charset }: SchemaColumn,
  wire: WireColumn,
  detail: WireDetail,
  said: WireDetail | undefined,
): string | undefined {
  if (typeof type === 'string') return undefined
  if (nullable !== wire.nullable) return nullable ? 'may be NULL' : 'may not be NULL'
  const what = typeDifference(type, wire, detail) ?? charsetDifference(charset, detail)
  const saysSign = said !== undefined && isNumeric(wire) && wire.code !== CODE.year
  if (what !== undefined || !saysSign || said.unsigned === detail.unsigned) return what
  return detail.unsigned ? 'is unsigned' : 'is signed'
}

function typeDifference(type: ColumnType, wire: WireColumn, detail: WireDetail): string | undefined {
  const onWire = typeOf(wire, detail)
  const text = textOf(type)
  if (typeof onWire === 'string') return `is ${text}, where the binlog has type code ${wire.code}`
  if (text !== textOf(onWire)) return `is ${text}, not ${textOf(onWire)}`
  const hasRoom = !('labels' in type) || labelBytes(type) === wire.metadata
  return hasRoom ? undefined : `is ${text}, not one of ${wire.metadata} bytes`
}

function charsetDifference(charset = 'binary', { collation, labels }: WireDetail): string | undefined {
  if (labels !== undefined || collation === undefined) return undefined
  const onWire = charsetOf(collation)
  return onWire === charset ? undefined : `is in ${charset}, not ${onWire ?? 'an unknown character set'}`
}

function textOf(type: ColumnType): string {
  return describeColumn('', false, type).type
}

/** How many bytes an ENUM's number or a SET's bits take. */
function labelBytes({ kind, labels }: Extract<ColumnType, { labels: readonly string[] }>): number {
  if (kind === 'enum') return labels.length > 255 ? 2 : 1
  const bytes = (labels.length + 7) >> 3
  return bytes > 4 ? 8 : bytes
}

function contradiction(table: string, what: string, remedy: string): Failure {
  const message = `${table}: its rows in the binlog are not those of the table now: it has ${what}`
  return new ColumnsLost(message, remedy)
}

function unreadable(table: string, column: string, why: string): Failure {
  return new Failure('unsupported', `${table}: column ${column}: ${why}`, {
    remedy: `exclude the column ${column} of ${table}`,
  })
}
