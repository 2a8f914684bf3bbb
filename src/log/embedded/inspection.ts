/** Questions about a log that are answered by reading it: how far a group is behind, what is kept of a key. */
import type { Key, Offset, Table } from '../../change/change.ts'
import type { Entry, GroupLag } from '../log.ts'
import { LogCursor, type Extent } from './cursor.ts'
import type { GroupState } from './group-file.ts'
import { oldestPlace, placesOf } from './groups.ts'
import { LaneFinder, tableOf } from './lanes.ts'
import { firstVersion, type Frame } from './record.ts'
import type { SegmentFiles } from './segment.ts'

export interface Inspected {
  readonly files: SegmentFiles
  readonly extent: Extent
  /** How many lanes the log has; undefined = it is new. */
  readonly lanes: number | undefined
}

/** So much is read to find the oldest undelivered change; beyond it the answer is what is certain by then. */
const lagBytesMax = 8 * 2 ** 20

export async function lagOf(log: Inspected, group: GroupState, end: Offset): Promise<GroupLag> {
  const segments = await log.extent.segments()
  const from = Math.max(oldestPlace(group, log.lanes), segments[0]?.first ?? 0)
  if (log.lanes === undefined || from >= end) return noLag
  const places = placesOf(group, log.lanes)
  const finder = new LaneFinder({ group: group.name, tables: new Set(group.tables), places })
  const cursor = new LogCursor(log.files, log.extent, from)
  let bytes = 0
  try {
    for await (const frame of cursor.frames()) {
      const found = firstWanted(frame, cursor.tables, finder)
      if (found !== undefined)
        return { changes: end - found.offset, oldestCommittedAtMs: found.committedAtMs }
      bytes += frame.end - frame.at
      if (bytes >= lagBytesMax)
        return { changes: end - frame.next, oldestCommittedAtMs: frame.header.appendedAtMs }
    }
    return noLag
  } finally {
    await cursor.close()
  }
}

const noLag: GroupLag = { changes: 0, oldestCommittedAtMs: undefined }

function firstWanted(
  frame: Frame,
  tables: readonly Table[],
  finder: LaneFinder,
): { readonly offset: Offset; readonly committedAtMs: number } | undefined {
  if (!finder.concerns(frame)) return undefined
  const records = frame.changes()
  for (let offset = frame.header.first; records.next(); offset++) {
    if (finder.laneOf(records, tableOf(tables, records), offset) < 0) continue
    // Rows that were read have no commit time: they are as old as their place in the log.
    const committedAtMs = records.committedAtMs === 0 ? frame.header.appendedAtMs : records.committedAtMs
    return { offset, committedAtMs }
  }
  return undefined
}

export async function* findKey(
  log: Inspected,
  table: string,
  key: Key,
): AsyncGenerator<Entry & { readonly addressee: string | undefined }> {
  const segments = await log.extent.segments()
  const cursor = new LogCursor(log.files, log.extent, segments[0]?.first ?? 0)
  try {
    for await (const frame of cursor.frames())
      for (const entry of entriesOf(frame, cursor.tables, { table, key }))
        yield { ...entry, addressee: frame.addressee }
  } finally {
    await cursor.close()
  }
}

function* entriesOf(
  frame: Frame,
  tables: readonly Table[],
  wanted: { readonly table: string; readonly key: Key },
): Generator<Entry> {
  if (frame.header.count === 0) return
  const records = frame.changes()
  const version = firstVersion(frame.header)
  for (let index = 0; records.next(); index++) {
    if (records.keyLength !== wanted.key.length) continue
    if (!records.text.startsWith(wanted.key, records.keyAt)) continue
    const table = tableOf(tables, records)
    if (table.name !== wanted.table) continue
    const offset = frame.header.first + index
    yield { offset, version: version + BigInt(index), change: records.change(table) }
  }
}
