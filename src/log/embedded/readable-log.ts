/** What can be done with a log without writing to it. */
import type { Key, Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import type {
  Control,
  DeadLetters,
  Entry,
  Group,
  GroupLag,
  LaneBatch,
  LaneWatcher,
  Log,
  LogAdmin,
} from '../log.ts'
import type { LogBatch, LogPart, LogPlace, LogStretch, Retention } from '../log.ts'
import { placesOf, unknownGroup } from './groups.ts'
import { findKey, lagOf, type Inspected } from './inspection.ts'
import { appendAt, stretchesOf } from './range.ts'
import { readGroup } from './reader.ts'
import type { SegmentFiles } from './segment.ts'
import type { Standing } from './standing.ts'

export interface ReadableParts {
  readonly files: SegmentFiles
  readonly standing: Standing
  readonly deadLetters: DeadLetters
  readonly sleep: (durationMs: number, signal: AbortSignal) => Promise<void>
  readonly chunkBytes: number
  /** Told by `retention`. */
  readonly ceilingBytes: number
}

/** How often the groups are looked at that another process moves. */
const groupsLookMs = 100

export class ReadableLog implements Log {
  readonly deadLetters: DeadLetters
  readonly #parts: ReadableParts

  constructor(parts: ReadableParts) {
    this.#parts = parts
    this.deadLetters = parts.deadLetters
  }

  tail(): Promise<Control | undefined> {
    return this.#parts.standing.control()
  }

  control(): Promise<Control | undefined> {
    return this.#parts.standing.control()
  }

  async *read(group: string, signal: AbortSignal, watcher?: LaneWatcher): AsyncGenerator<LaneBatch> {
    const { files, standing, sleep, chunkBytes } = this.#parts
    yield* readGroup({ files, standing, sleep, pieceBytes: chunkBytes }, group, signal, watcher)
  }

  async groups(): Promise<readonly Group[]> {
    const lanes = (await this.#parts.standing.control())?.lanes ?? 0
    const groups = await this.#parts.standing.groups()
    return groups.map((group) => ({
      name: group.name,
      tables: group.tables,
      lanes: placesOf(group, lanes),
      attributes: group.attributes,
      lost: group.lost,
    }))
  }

  /** Whoever writes the log knows when they move, and overrides this. */
  async untilGroups(fit: (groups: readonly Group[]) => boolean, signal: AbortSignal): Promise<void> {
    while (!fit(await this.groups())) await this.#parts.sleep(groupsLookMs, signal)
    signal.throwIfAborted()
  }

  async lag(name: string): Promise<GroupLag> {
    const { standing } = this.#parts
    const group = await standing.group(name)
    if (group === undefined) throw unknownGroup(name)
    return lagOf(await this.#inspected(), group, await standing.next())
  }

  async retention(): Promise<Retention> {
    const segments = await this.#parts.standing.measured()
    const next = await this.#parts.standing.next()
    let bytes = 0
    for (const segment of segments) bytes += segment.bytes
    return {
      bytes,
      bytesMax: this.#parts.ceilingBytes,
      oldest: segments[0]?.first ?? next,
      next,
      oldestAppendedAtMs: segments[0]?.firstAppendedAtMs,
    }
  }

  async parts(): Promise<readonly LogPart[]> {
    const segments = await this.#parts.standing.measured()
    const next = await this.#parts.standing.next()
    return segments.map((segment, at) => ({
      name: segment.name,
      bytes: segment.bytes,
      first: segment.first,
      next: segments[at + 1]?.first ?? next,
      firstAppendedAtMs: segment.firstAppendedAtMs ?? 0,
    }))
  }

  async *find(table: string, key: Key): AsyncGenerator<Entry & { readonly addressee: string | undefined }> {
    yield* findKey(await this.#inspected(), table, key)
  }

  async appendAt(place: LogPlace): ReturnType<LogAdmin['appendAt']> {
    return await appendAt(await this.#inspected(), place)
  }

  async *range(from: Offset, to: Offset): AsyncGenerator<LogStretch> {
    yield* stretchesOf(await this.#inspected(), from, to)
  }

  /** Refused, as are the next ones: whoever writes the log overrides them. */
  append(_batch: LogBatch): Promise<Offset> {
    return refuseToWrite()
  }

  commit(_group: string, _lane: number, _next: Offset): Promise<void> {
    return refuseToWrite()
  }

  define(_group: Parameters<LogAdmin['define']>[0]): Promise<void> {
    return refuseToWrite()
  }

  forget(_group: string): Promise<void> {
    return refuseToWrite()
  }

  drop(): Promise<void> {
    return refuseToWrite()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  async #inspected(): Promise<Inspected> {
    const { files, standing } = this.#parts
    return { files, extent: standing, lanes: (await standing.control())?.lanes }
  }
}

export function refuseToWrite(): Promise<never> {
  return Promise.reject(
    new Failure('conflict', 'the log was opened for reading only', {
      remedy: 'let the process that runs the log do it',
    }),
  )
}
