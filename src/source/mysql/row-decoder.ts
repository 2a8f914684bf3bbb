/** SEAM, signatures settled: implementation follows within the half hour. */
import type { Change } from '../../change/change.ts'
import type { TableMap } from './table-map.ts'

export interface RowDecoder {
  readonly width: number
}

/** One WRITE_ROWS, UPDATE_ROWS or DELETE_ROWS event. */
export interface RowsEvent {
  readonly kind: 'insert' | 'update' | 'delete'
  readonly body: Buffer
  /** Where the column count begins (after table id, flags and the extra data of version 2). */
  readonly from: number
  /** The end, without the checksum. */
  readonly to: number
  readonly committedAtMs: number
}

/**
 * Appends the event's changes to `into`, less its first `skip` rows, and returns how many rows the event holds (skipped
 * ones included). `map.table` must not be undefined. An update whose key changed becomes a delete and an insert.
 */
export declare function rowsOf(map: TableMap, event: RowsEvent, into: Change[], skip: number): number
