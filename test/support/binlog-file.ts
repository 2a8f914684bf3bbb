/** The changes in a server's binlog files, read from its data directory: no connection, no client. */
import { readFile } from 'node:fs/promises'
import type { Change } from '../../src/change/change.ts'
import { RecordsBuilder } from '../../src/change/records.ts'
import { rowsOf, type RowsEvent } from '../../src/source/mysql/rows/row-decoder.ts'
import { parseTableMap, type TableContext, type TableMap } from '../../src/source/mysql/rows/table-map.ts'

/** One event: its type, and where its body lies, without header and checksum. */
export interface FileEvent {
  readonly type: number
  readonly body: Buffer
}

/** The events of one file. Every server of the tests writes CRC32 checksums, or says otherwise here. */
export async function eventsOf(file: string, checksum = 4): Promise<readonly FileEvent[]> {
  const bytes = await readFile(file)
  const events: FileEvent[] = []
  for (let at = 4; at + 19 <= bytes.length;) {
    const size = bytes.readUInt32LE(at + 9)
    // An event that is being written has no size yet.
    if (size < 19 || at + size > bytes.length) break
    events.push({ type: bytes[at + 4] ?? 0, body: bytes.subarray(at + 19, at + size - checksum) })
    at += size
  }
  return events
}

/** The changes of captured tables in these events, in order. */
export function changesIn(events: readonly FileEvent[], context: TableContext): Change[] {
  const builder = new RecordsBuilder()
  const maps = new Map<number, TableMap>()
  for (const { type, body } of events) {
    if (type === TABLE_MAP) {
      const map = parseTableMap(body, 0, body.length, context)
      maps.set(map.tableId, map)
      continue
    }
    const kind = KINDS.get(type)
    const map = kind === undefined ? undefined : maps.get(body.readUIntLE(0, 6))
    if (kind === undefined || map?.table === undefined) continue
    // Version 2 has extra data, whose length counts itself; version 1 (MariaDB) has none.
    const from = type >= 30 ? 8 + body.readUInt16LE(8) : 8
    rowsOf(map, { kind, body, from, to: body.length, committedAtMs: 0 }, builder)
  }
  return [...builder.finish()]
}

const TABLE_MAP = 19
const KINDS: ReadonlyMap<number, RowsEvent['kind']> = new Map([
  [23, 'insert'],
  [24, 'update'],
  [25, 'delete'],
  [30, 'insert'],
  [31, 'update'],
  [32, 'delete'],
])
