/**
 * TABLE_MAP events: which table the next rows events are about, and its definition as it was when they were written.
 *
 *   table id 6 · flags 2 · length 1, schema, 0 · length 1, name, 0 · column count · type codes · length, metadata
 *   · bits of nullable columns · optional metadata: (kind 1, length, content) until the end
 */
import type { Column, Table } from '../../../change/change.ts'
import { Failure } from '../../../change/failure.ts'
import type { ColumnType } from '../values/column-type.ts'
import { keyType } from '../values/enum-labels.ts'
import { toldApart } from './lookalikes.ts'
import { demandPlainKey, demandMasked, maskedColumn, noMasks, type Masks } from './masks.ts'
import { compileDecoder, type ColumnPlan, type RowDecoder } from './row-decoder.ts'
import { completed, type SchemaLookup } from './schema-match.ts'
import { readOptionalMetadata, type OptionalMetadata } from './table-metadata.ts'
import { WireReader } from '../values/wire-reader.ts'
import { CODE, metadataBytes, typeOf, type WireColumn } from '../values/wire-column.ts'

/** What the configuration says about tables, and the definitions met so far. One for each reader of a source. */
export interface TableContext {
  readonly flavor: 'mysql' | 'mariadb'
  /** Whether this `schema.table` is captured; the map of any other is read no further than its name. */
  captured(table: string): boolean
  /** Columns left out of every image of the table. */
  excluded(table: string): ReadonlySet<string>
  /** Columns that are made unreadable. */
  masks?(table: string): Masks
  /** Columns of the unique key that stands for a missing primary key. */
  keyColumns(table: string): readonly string[] | undefined
  /** Filled and read by parseTableMap alone. */
  readonly cache: TableMapCache
  /** For events that do not name their columns; without it they are refused. */
  readonly schemas?: SchemaLookup
}

/** Maps once parsed, by table id, and definitions by content: a server that closes and opens a table renumbers it. */
export class TableMapCache {
  readonly byId = new Map<number, { readonly bytes: Buffer; readonly map: TableMap }>()
  readonly byContent = new Map<string, TableMap>()
  /** Tables that had every column that is masked. */
  readonly #masked = new Set<string>()

  /** A table may lack a masked column in what was written before it had it; one that goes is a stop: see masks.ts. */
  demandMasked(table: string, masks: Masks, names: readonly string[]): void {
    if (this.#masked.has(table)) demandMasked(table, masks, names)
    else if ([...masks.keys()].every((column) => names.includes(column))) this.#masked.add(table)
  }

  clear(): void {
    this.byId.clear()
    this.byContent.clear()
  }
}

export interface TableMap {
  readonly tableId: number
  readonly schema: string
  /** The table's own name, without its schema. */
  readonly name: string
  /** Undefined = not captured. One object for all maps with the same definition. */
  readonly table: Table | undefined
  readonly decoder: RowDecoder | undefined
  /** All columns as the images hold them; none where the table is not captured. */
  readonly columns: readonly WireColumn[]
}

const MAPS_MAX = 10_000

/**
 * Parses the body of a TABLE_MAP event: `from` is where the table id begins, `to` leaves out the checksum. Throws a
 * Failure for a captured table: `unsupported` with a column that cannot be read, `lost` where the schema contradicts the
 * event, `configuration` without a key, `corrupt`; or SchemaNeeded.
 */
export function parseTableMap(body: Buffer, from: number, to: number, context: TableContext): TableMap {
  const { byId, byContent } = context.cache
  if (to > body.length || to - from < 8) throw corrupt('is too short')
  const tableId = body.readUIntLE(from, 6)
  const known = byId.get(tableId)
  if (known !== undefined && known.bytes.compare(body, from, to) === 0) return known.map
  const content = body.toString('latin1', from + 8, to)
  const same = byContent.get(content)
  const map = same === undefined ? parse(body, from, to, context) : { ...same, tableId }
  if (byId.size >= MAPS_MAX) byId.clear()
  if (byContent.size >= MAPS_MAX) byContent.clear()
  byId.set(tableId, { bytes: Buffer.from(body.subarray(from, to)), map })
  byContent.set(content, map)
  return map
}

function parse(body: Buffer, from: number, to: number, context: TableContext): TableMap {
  const reader = new WireReader(body, from, to, 'a TABLE_MAP event')
  const tableId = reader.integer(6)
  reader.skip(2)
  const schema = reader.bytes(reader.integer(1)).toString('utf8')
  reader.skip(1)
  const name = reader.bytes(reader.integer(1)).toString('utf8')
  reader.skip(1)
  const map = { tableId, schema, name, table: undefined, decoder: undefined, columns: [] }
  const full = `${schema}.${name}`
  if (!context.captured(full)) return map
  const columns = readColumns(reader)
  const metadata = completeMetadata(
    full,
    columns,
    readOptionalMetadata(reader, columns, context.flavor),
    context,
  )
  return { ...map, columns, ...defineTable(full, columns, metadata, context) }
}

function completeMetadata(
  name: string,
  columns: readonly WireColumn[],
  metadata: OptionalMetadata,
  context: TableContext,
): OptionalMetadata {
  const table = { name, excluded: context.excluded(name) }
  if (metadata.names !== undefined)
    return context.flavor === 'mariadb' ? toldApart(table, columns, metadata, context.schemas) : metadata
  return context.schemas === undefined ? metadata : completed(table, columns, metadata, context.schemas)
}

function readColumns(reader: WireReader): readonly WireColumn[] {
  const codes = reader.bytes(reader.packed())
  const metadata = reader.within(reader.packed())
  const nullable = reader.bytes((codes.length + 7) >> 3)
  return Array.from(codes, (code, index): WireColumn => {
    const value = metadata.integer(metadataBytes(code))
    const isNullable = ((nullable[index >> 3] ?? 0) & (1 << (index & 7))) !== 0
    return { ...realType(code, value), nullable: isNullable }
  })
}

/**
 * CHAR, ENUM and SET share one code: the first byte of metadata holds the real one and, for a CHAR of more than 255
 * bytes, two more bits of the length, turned; the second byte the length.
 */
function realType(code: number, metadata: number): { readonly code: number; readonly metadata: number } {
  // NEWDECIMAL and BIT come low byte first, as precision and scale, bits and bytes.
  if (code !== CODE.string) return { code, metadata }
  const first = metadata & 255
  const length = metadata >> 8
  if ((first & 0x30) !== 0x30)
    return { code: first | 0x30, metadata: length | (((first & 0x30) ^ 0x30) << 4) }
  return { code: first, metadata: length }
}

function defineTable(
  name: string,
  wire: readonly WireColumn[],
  metadata: OptionalMetadata,
  context: TableContext,
): { readonly table: Table; readonly decoder: RowDecoder } {
  const names = metadata.names
  if (names === undefined || names.length !== wire.length) throw incomplete(name, 'the names of its columns')
  const excluded = context.excluded(name)
  const masks = context.masks?.(name) ?? noMasks
  context.cache.demandMasked(name, masks, names)
  const columns: Column[] = []
  const places: (number | undefined)[] = []
  const plans = wire.map((column, index): ColumnPlan => {
    const columnName = names[index] ?? ''
    const detail = metadata.detailOf(index)
    if (excluded.has(columnName)) return { column, type: undefined, collation: undefined, keyAt: undefined }
    const type = readable(name, columnName, typeOf(column, detail), context)
    const mask = masks.get(columnName)
    const { nullable } = column
    places[index] = columns.push(maskedColumn(name, { name: columnName, nullable }, type, mask)) - 1
    return { column, type, collation: detail.collation, keyAt: undefined, mask: mask?.cell }
  })
  const keyIndexes = keyOf(name, names, metadata, context)
  demandPlainKey(
    name,
    keyIndexes.map((index) => names[index] ?? ''),
    masks,
  )
  const key = keyIndexes.map((index) => {
    const place = places[index]
    if (place !== undefined) return place
    if (index >= wire.length) throw corrupt(`of ${name} has a key column ${index} of ${wire.length}`)
    throw new Failure('configuration', `${name}: the key column ${names[index]} is excluded`, {
      remedy: 'take it out of the excluded columns: without its key a row cannot be told from another',
    })
  })
  const keyed = plans.map((plan, index): ColumnPlan => {
    const keyAt = keyIndexes.indexOf(index)
    if (keyAt === -1) return plan
    const { type } = plan
    return { ...plan, keyAt, type: type === undefined ? type : keyType(name, names[index] ?? '', type) }
  })
  return { table: { name, columns, key }, decoder: compileDecoder(name, keyed) }
}

function readable(
  table: string,
  column: string,
  type: ColumnType | string,
  context: TableContext,
): ColumnType {
  if (typeof type !== 'string') return type
  if (type.endsWith('not in the binlog')) throw incomplete(table, `column ${column}: ${type}`, context.flavor)
  throw new Failure('unsupported', `${table}: column ${column}: ${type}`, {
    remedy: `exclude the column ${column} of ${table}`,
  })
}

/** Indexes of the key's columns, in key order: the primary key, or the unique key that the configuration names. */
function keyOf(
  table: string,
  names: readonly string[],
  metadata: OptionalMetadata,
  context: TableContext,
): readonly number[] {
  if (metadata.primaryKey !== undefined && metadata.primaryKey.length > 0) return metadata.primaryKey
  const configured = context.keyColumns(table)
  if (configured === undefined || configured.length === 0)
    throw new Failure('configuration', `${table} has no usable key: no primary key, and none is configured`, {
      remedy: 'add a primary key, or name the columns of a unique key without NULL in the configuration',
    })
  return configured.map((column) => {
    const index = names.indexOf(column)
    if (index !== -1) return index
    throw new Failure('configuration', `${table} has no column ${column}, which its configured key names`)
  })
}

function incomplete(table: string, what: string, flavor = 'mysql'): Failure {
  const since = flavor === 'mariadb' ? 'MariaDB 10.5' : 'MySQL 8.0.1'
  return new Failure('unsupported', `${table}: the binlog lacks ${what}`, {
    remedy: `SET GLOBAL binlog_row_metadata = FULL (from ${since} on), then load the table anew`,
  })
}

function corrupt(what: string): Failure {
  return new Failure('corrupt', `a TABLE_MAP event ${what}`)
}
