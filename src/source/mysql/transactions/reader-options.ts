/** What a reader of transactions is told: where it begins, and what it may ask. */
import type { TableContext } from '../rows/table-map.ts'
import type { ForeignKeys } from '../schema/foreign-keys.ts'
import type { TableSchemas } from '../schema/table-schemas.ts'
import type { OutgoingOptions } from './outgoing.ts'
import type { ProgressOptions } from './progress.ts'
import type { XaEnds } from './xa-ends.ts'

export interface TransactionReaderOptions extends ProgressOptions, OutgoingOptions {
  /** The captured tables, `schema.table`. */
  readonly tables: readonly string[]
  readonly context: TableContext
  readonly foreignKeys: ForeignKeys
  /** For servers whose binlog does not name columns; told of the statements that change tables. */
  readonly schemas?: Pick<TableSchemas, 'changed'>
  /** For reads beside the stream. */
  readonly xaEnds?: XaEnds
}
