/** Stretches of a log that somebody names: where they begin, and what they hold. */
import type { Offset, Table } from '../../change/change.ts'
import { noRecords } from '../../change/records.ts'
import type { LogPlace, LogStretch } from '../log.ts'
import { LogCursor } from './cursor.ts'
import type { Inspected } from './inspection.ts'
import { firstVersion, type Frame } from './record.ts'
import type { Segment } from './segment.ts'

interface Append {
  readonly first: Offset
  readonly next: Offset
}

/** The first append that fits; undefined = none does yet. */
export async function appendAt(log: Inspected, place: LogPlace): Promise<Append | undefined> {
  const segments = await log.extent.segments()
  const segment = await lastBefore(log, segments, place)
  if (segment === undefined) return undefined
  for await (const frame of framesFrom(log, segment.first))
    if (fits(frame, place)) return { first: frame.header.first, next: frame.next }
  return undefined
}

/** Whatever lies before the offset of an append that does not fit does not fit either: the segments are halved. */
async function lastBefore(
  log: Inspected,
  segments: readonly Segment[],
  place: LogPlace,
): Promise<Segment | undefined> {
  let [low, high] = [0, segments.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    const segment = segments[middle]
    if (segment !== undefined && (await beginsBefore(log, segment, place))) low = middle + 1
    else high = middle
  }
  return segments[Math.max(0, low - 1)]
}

async function beginsBefore(log: Inspected, segment: Segment, place: LogPlace): Promise<boolean> {
  for await (const frame of framesFrom(log, segment.first)) return !fits(frame, place)
  return false
}

function fits(frame: Frame, place: LogPlace): boolean {
  return place.kind === 'time'
    ? frame.header.appendedAtMs >= place.appendedAtMs
    : place.reached(frame.control())
}

/** Some frames may begin before `from` or end behind `to`: a record's own offset decides. */
export async function* stretchesOf(log: Inspected, from: Offset, to: Offset): AsyncGenerator<LogStretch> {
  if (from >= to) return
  const [oldest] = await log.extent.segments()
  // One record before, so that a barrier without records that stands right at the beginning is met.
  const before = oldest !== undefined && oldest.first < from ? from - 1 : from
  const cursor = new LogCursor(log.files, log.extent, before)
  try {
    for await (const frame of cursor.frames()) {
      if (frame.header.first >= to) return
      if (frame.next <= from && frame.header.first < from) continue
      yield* piecesOf(frame, cursor.tables)
      if (frame.next >= to) return
    }
  } finally {
    await cursor.close()
  }
}

function* piecesOf(frame: Frame, tables: readonly Table[]): Generator<LogStretch> {
  const { addressee } = frame
  let [offset, version] = [frame.header.first, firstVersion(frame.header)]
  for (const records of frame.pieces(tables)) {
    yield { records, offset, version, addressee, barriers: [] }
    offset += records.count
    version += BigInt(records.count)
  }
  const barriers = frame.barriers()
  if (barriers.length === 0) return
  const isNumbered = frame.numberedBarriers().length > 0
  yield { records: noRecords, offset, version: isNumbered ? version : 0n, addressee: undefined, barriers }
}

async function* framesFrom(log: Inspected, from: Offset): AsyncGenerator<Frame> {
  const cursor = new LogCursor(log.files, log.extent, from)
  try {
    yield* cursor.frames()
  } finally {
    await cursor.close()
  }
}
