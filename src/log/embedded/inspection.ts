/** Questions about a log that are answered by reading it: how far a group is behind, what is kept of a key. */
import type { Key, Offset } from '../../change/change.ts'
import type { Entry, GroupLag } from '../log.ts'
import { LogCursor, type Extent } from './cursor.ts'
import { oldestPlace, placesOf, type GroupState } from './groups.ts'
import { LaneFinder, tableOf } from './lanes.ts'
import { firstVersion } from './record.ts'
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
  if (log.lanes === undefined || from >= end) return { changes: 0, oldestCommittedAtMs: undefined }
  const places = placesOf(group, log.lanes)
  const finder = new LaneFinder({ group: group.name, tables: new Set(group.tables), places })
  const cursor = new LogCursor(log.files, log.extent, from)
  let passed = from
  let oldestCommittedAtMs: number | undefined
  try {
    for (let bytes = 0; bytes < lagBytesMax; ) {
      const frame = await cursor.next()
      if (frame === undefined) return { changes: 0, oldestCommittedAtMs: undefined }
      const records = finder.concerns(frame) ? frame.changes() : undefined
      for (let offset = frame.header.first; records?.next() === true; offset++) {
        // Rows that were read have no commit time: they are as old as their place in the log.
        const committedAtMs = records.committedAtMs === 0 ? frame.header.appendedAtMs : records.committedAtMs
        if (finder.laneOf(records, tableOf(cursor.tables, records), offset) >= 0)
          return { changes: end - offset, oldestCommittedAtMs: committedAtMs }
      }
      oldestCommittedAtMs = frame.header.appendedAtMs
      passed = frame.next
      bytes += frame.end - frame.at
    }
    return { changes: end - passed, oldestCommittedAtMs }
  } finally {
    await cursor.close()
  }
}

export async function* findKey(
  log: Inspected,
  table: string,
  key: Key,
): AsyncGenerator<Entry & { readonly addressee: string | undefined }> {
  const segments = await log.extent.segments()
  const cursor = new LogCursor(log.files, log.extent, segments[0]?.first ?? 0)
  try {
    for (let frame = await cursor.next(); frame !== undefined; frame = await cursor.next()) {
      if (frame.header.count === 0) continue
      const { addressee } = frame
      const records = frame.changes()
      const version = firstVersion(frame.header)
      for (let index = 0; records.next(); index++) {
        if (records.keyLength !== key.length || !records.text.startsWith(key, records.keyAt)) continue
        const defined = tableOf(cursor.tables, records)
        if (defined.name !== table) continue
        const offset = frame.header.first + index
        yield { offset, version: version + BigInt(index), change: records.change(defined), addressee }
      }
    }
  } finally {
    await cursor.close()
  }
}
