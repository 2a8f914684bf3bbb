/** How a log stands that another process writes: looked up in its files each time. */
import type { Offset } from '../../change/change.ts'
import type { Control } from '../log.ts'
import { codeOf, type Disk } from './disk.ts'
import { damaged } from './frames.ts'
import type { GroupState } from './group-file.ts'
import { readGroups } from './groups.ts'
import type { Standing } from './standing.ts'
import type { Segment, SegmentFiles, SegmentIndex, WrittenSegment } from './segment.ts'

export interface ForeignParts {
  readonly disk: Disk
  readonly files: SegmentFiles
  readonly groupsDirectory: string
  readonly sleep: (durationMs: number, signal: AbortSignal) => Promise<void>
}

/** How long a reader at the end waits before it looks again. */
const lookMs = 200

export class ForeignStanding implements Standing {
  readonly seesUnfinished = true
  #generation = 0
  readonly #parts: ForeignParts

  constructor(parts: ForeignParts) {
    this.#parts = parts
  }

  get generation(): number {
    return this.#generation
  }

  async grown(seen: number, signal: AbortSignal): Promise<void> {
    if (this.#generation !== seen) return
    try {
      await this.#parts.sleep(lookMs, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
    this.#generation++
  }

  limit(): 'unknown' {
    return 'unknown'
  }

  recent(): undefined {
    return undefined
  }

  segments(): Promise<readonly Segment[]> {
    return this.#parts.files.list()
  }

  async measured(): Promise<readonly WrittenSegment[]> {
    const measured: WrittenSegment[] = []
    for (const segment of await this.#parts.files.list()) {
      const size = await this.#measure(segment)
      if (size !== undefined) measured.push({ ...segment, ...size })
    }
    return measured
  }

  async next(): Promise<Offset> {
    const segments = await this.#parts.files.list()
    const last = segments.at(-1)
    return last === undefined ? 0 : (await this.#learn(last)).next
  }

  async control(): Promise<Control | undefined> {
    const segments = await this.#parts.files.list()
    for (const segment of segments.slice(-2).toReversed()) {
      const index = await this.#learn(segment)
      if (index.lastFrameAt !== undefined) return this.#controlAt(segment, index.lastFrameAt)
    }
    return undefined
  }

  async group(name: string): Promise<GroupState | undefined> {
    return (await this.groups()).find((group) => group.name === name)
  }

  groups(): Promise<readonly GroupState[]> {
    return readGroups(this.#parts.disk, this.#parts.groupsDirectory)
  }

  /** undefined = it was unlinked since the list was made. */
  async #measure(
    segment: Segment,
  ): Promise<{ bytes: number; firstAppendedAtMs: number | undefined } | undefined> {
    try {
      return await this.#parts.files.measure(segment)
    } catch (error) {
      if (error instanceof Error && codeOf(error.cause) === 'ENOENT') return undefined
      throw error
    }
  }

  /** Reads on to the last whole frame. */
  async #learn(segment: Segment): Promise<SegmentIndex> {
    const { files } = this.#parts
    let index = files.index(segment)
    const reader = await files.reader(segment, index.learntTo)
    try {
      const limit = await reader.bytes()
      if (limit < index.learntTo) {
        files.forget(segment)
        reader.at = 0
        index = files.index(segment)
      }
      for (;;) {
        const next = await reader.next(limit)
        if (next.kind !== 'frame') return index
        index.learn(next.frame)
      }
    } finally {
      await reader.close()
    }
  }

  async #controlAt(segment: Segment, at: number): Promise<Control> {
    const reader = await this.#parts.files.reader(segment, at)
    try {
      const next = await reader.next(await reader.bytes())
      if (next.kind !== 'frame') throw damaged(segment.path, at, 'the last frame is gone')
      return next.frame.control()
    } finally {
      await reader.close()
    }
  }
}
