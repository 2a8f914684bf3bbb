/** From entries of the log to operations on documents. */
import type { Key, Table } from '../change/change.ts'
import type { Entries } from '../log/log.ts'
import type { Operation } from '../sink/sink.ts'

/** One operation that an entry asks for. */
export interface Work {
  /** The entry's number among the entries. */
  readonly at: number
  readonly operation: Operation
}

/** In the order of the entries; an entry may need no operation (filtered out, never indexed) or several. */
export type Enricher = (entries: Entries, signal: AbortSignal) => Promise<readonly Work[]>

/** What entries ask for as far as they show it themselves. */
export interface RowMapper {
  map(entries: Entries): Mapped
  /** What a row that is not there any more asks for. */
  gone(table: Table, key: Key, version: bigint): Operation
}

export interface Mapped {
  readonly works: readonly Work[]
  /** Entries that do not show what their document needs: numbers among the entries, ascending. */
  readonly incomplete: readonly number[]
}
