/**
 * A group's reader: one walk over the log, whose records are sorted into lanes. It holds one piece of the log (some
 * megabytes, or one frame where that is larger), however far behind the group is.
 */
import type { LaneBatch, LaneWatcher } from '../log.ts'
import { LogCursor, lost } from './cursor.ts'
import type { GroupState } from './group-file.ts'
import { oldestPlace, placesOf, unknownGroup } from './groups.ts'
import { Lanes } from './lanes.ts'
import type { Standing } from './standing.ts'
import type { SegmentFiles } from './segment.ts'

export interface ReaderParts {
  readonly files: SegmentFiles
  readonly standing: Standing
  readonly sleep: (durationMs: number, signal: AbortSignal) => Promise<void>
  /** So much of the log is sorted before it is handed out. */
  readonly pieceBytes: number
}

/** A lane that nothing comes for is told so after the log has been still for so long, or passed so many records. */
const idleMs = 50
const idleRecordsMax = 1000

export async function* readGroup(
  parts: ReaderParts,
  name: string,
  signal: AbortSignal,
  watcher: LaneWatcher | undefined,
): AsyncGenerator<LaneBatch> {
  const group = await existing(parts, name)
  const count = await knownLanes(parts, signal)
  if (count === undefined) return
  const places = placesOf(group, count)
  for (const [lane, next] of places.entries()) watcher?.assigned(lane, next)
  const lanes = new Lanes({ group: name, tables: new Set(group.tables), places })
  const cursor = new LogCursor(parts.files, parts.standing, oldestPlace(group, count))
  const stillness = new Stillness(parts, signal)
  try {
    while (!signal.aborted) {
      await existing(parts, name)
      const seen = parts.standing.generation
      const caughtUp = await gather(cursor, lanes, parts.pieceBytes)
      yield* unlessAborted(lanes.take(), signal)
      if (!caughtUp) yield* unlessAborted(lanes.idle(1), signal)
      else if (lanes.hasIdle() && (await stillness.lasts(seen))) yield* unlessAborted(lanes.idle(1), signal)
      else {
        yield* unlessAborted(lanes.idle(idleRecordsMax), signal)
        await parts.standing.grown(seen, signal)
      }
    }
  } finally {
    await cursor.close()
  }
}

function* unlessAborted(batches: Iterable<LaneBatch>, signal: AbortSignal): Generator<LaneBatch> {
  for (const batch of batches) {
    if (signal.aborted) return
    yield batch
  }
}

/** Sorts frames until there are enough of them (false) or no more for now (true). */
async function gather(cursor: LogCursor, lanes: Lanes, bytesMax: number): Promise<boolean> {
  for (let bytes = 0; bytes < bytesMax;) {
    const frame = await cursor.next()
    if (frame === undefined) return true
    lanes.add(frame, cursor.tables)
    bytes += frame.end - frame.at
  }
  return false
}

/** Whether nothing is appended for a moment. One timer serves many looks: at a busy tail there are hundreds a second. */
class Stillness {
  readonly #parts: ReaderParts
  readonly #signal: AbortSignal
  /** A moment that is passing, and the generation that it began with. */
  #moment: { readonly seen: number; readonly passed: Promise<'passed'> } | undefined

  constructor(parts: ReaderParts, signal: AbortSignal) {
    this.#parts = parts
    this.#signal = signal
  }

  async lasts(seen: number): Promise<boolean> {
    const growth = this.#parts.standing.grown(seen, this.#signal)
    for (;;) {
      const moment = (this.#moment ??= { seen, passed: this.#pass() })
      if ((await Promise.race([growth, moment.passed])) !== 'passed') return false
      this.#moment = undefined
      if (moment.seen === seen) return true
    }
  }

  /** Ends early where the signal aborts; the growth ends then, too. */
  async #pass(): Promise<'passed'> {
    try {
      await this.#parts.sleep(idleMs, this.#signal)
    } catch (error) {
      if (!this.#signal.aborted) throw error
    }
    return 'passed'
  }
}

async function existing(parts: ReaderParts, name: string): Promise<GroupState> {
  const group = await parts.standing.group(name)
  if (group === undefined) throw unknownGroup(name)
  if (group.lost) throw lost(`retention dropped records that ${name} had not yet delivered`)
  return group
}

async function knownLanes(parts: ReaderParts, signal: AbortSignal): Promise<number | undefined> {
  while (!signal.aborted) {
    const seen = parts.standing.generation
    const control = await parts.standing.control()
    if (control !== undefined) return control.lanes
    await parts.standing.grown(seen, signal)
  }
  return undefined
}
