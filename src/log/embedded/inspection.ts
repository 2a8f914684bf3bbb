/** Questions about a log that are answered by reading it: how far a group is behind, what is kept of a key. */
import type { Key, Offset, Table } from '../../change/change.ts'
import type { RecordCursor, Records } from '../../change/records.ts'
import type { Entry, GroupLag } from '../log.ts'
import { LogCursor, type Extent } from './cursor.ts'
import type { GroupState } from './group-file.ts'
import { oldestPlace, placesOf } from './groups.ts'
import { assertCounted, LaneFinder } from './lanes.ts'
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
      // Asked every second, and by each status: the memory is for those who deliver.
      frame.holders?.drop()
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
  let offset = frame.header.first
  for (const records of frame.pieces(tables)) {
    const seeds = finder.seedsOf(records)
    for (const record = records.cursor(); record.next(); offset++) {
      if (finder.laneOf(record, seeds, offset) < 0) continue
      // Rows that were read have no commit time: they are as old as their place in the log.
      return { offset, committedAtMs: record.committedAtMs || frame.header.appendedAtMs }
    }
  }
  for (const { barrier, ordinal } of frame.numberedBarriers()) {
    const place = frame.header.first + ordinal
    if (finder.lanesBehind(barrier, place).length > 0)
      return { offset: place, committedAtMs: frame.header.appendedAtMs }
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
  const wanted = { table, key: Buffer.from(key, 'latin1') }
  try {
    for await (const frame of cursor.frames())
      for (const entry of entriesOf(frame, cursor.tables, wanted))
        yield { ...entry, addressee: frame.addressee }
  } finally {
    await cursor.close()
  }
}

interface WantedKey {
  readonly table: string
  readonly key: Buffer
}

function* entriesOf(frame: Frame, tables: readonly Table[], wanted: WantedKey): Generator<Entry> {
  if (frame.header.count === 0) return
  let offset = frame.header.first
  let version = firstVersion(frame.header)
  for (const records of frame.pieces(tables)) {
    for (const { ordinal, record } of recordsOf(records, wanted))
      yield { offset: offset + ordinal, version: version + BigInt(ordinal), change: record.change() }
    offset += records.count
    version += BigInt(records.count)
  }
}

function* recordsOf(
  records: Records,
  { table, key }: WantedKey,
): Generator<{ readonly ordinal: number; readonly record: RecordCursor }> {
  if (!records.tables.some(({ name }) => name === table)) return
  const record = records.cursor()
  let ordinal = 0
  for (; record.next(); ordinal++) {
    if (record.end - record.keyAt !== key.length) continue
    if (records.bytes.compare(key, 0, key.length, record.keyAt, record.end) !== 0) continue
    if (record.table.name === table) yield { ordinal, record }
  }
  assertCounted(records, ordinal)
}
