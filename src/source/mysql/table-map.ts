/**
 * TABLE_MAP events: which table the next row events are about, and its definition as it was then.
 *
 * SEAM, signatures settled: implementation follows within the half hour.
 */
import type { Table } from '../../change/change.ts'
import type { RowDecoder } from './row-decoder.ts'

/** What the configuration says about tables, and the definitions met so far. One per reader of a source. */
export interface TableContext {
  readonly flavor: 'mysql' | 'mariadb'
  /** Whether this `schema.table` is captured; the map of any other is read no further than its name. */
  captured(table: string): boolean
  /** Columns left out of every image of the table. */
  excluded(table: string): ReadonlySet<string>
  /** Columns of the unique key that stands for a missing primary key. */
  keyColumns(table: string): readonly string[] | undefined
  /** Filled and read by parseTableMap alone; begins as `new TableMapCache()`. */
  readonly cache: TableMapCache
}

export declare class TableMapCache {}

export interface TableMap {
  readonly tableId: number
  readonly schema: string
  /** The table's own name, without schema. */
  readonly name: string
  /** Undefined = not captured. One object for all maps with the same definition. */
  readonly table: Table | undefined
  readonly decoder: RowDecoder | undefined
}

/** Parses a TABLE_MAP body: `from` is where the table id begins, `to` excludes the checksum. */
export declare function parseTableMap(body: Buffer, from: number, to: number, context: TableContext): TableMap
