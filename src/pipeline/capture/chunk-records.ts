/** The rows of a chunk as records of rows that were read. */
import { RecordsBuilder, recordHeadBytes, type Records } from '../../change/records.ts'
import type { Chunk } from '../../source/source.ts'

export function chunkRecords(table: Chunk['table'], rows: Chunk['rows']): Records {
  const bytes = rows.reduce((sum, { key, row }) => sum + recordHeadBytes + key.length + row.length, 0)
  const builder = new RecordsBuilder(bytes)
  for (const { key, row } of rows)
    builder.add({ op: 'read', table, key, before: undefined, after: row, committedAtMs: 0 })
  return builder.finish()
}
