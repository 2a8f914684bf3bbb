/** How the log stands of the process that writes it: known without looking. */
import type { Offset } from '../../change/change.ts'
import type { Control } from '../log.ts'
import type { GroupState } from './group-file.ts'
import type { Groups } from './groups.ts'
import type { Frame } from './record.ts'
import type { Standing } from './standing.ts'
import type { Segment, WrittenSegment } from './segment.ts'
import type { Writer } from './writer.ts'

export class OwnStanding implements Standing {
  readonly seesUnfinished = false
  readonly #writer: Writer
  readonly #groups: Groups

  constructor(writer: Writer, groups: Groups) {
    this.#writer = writer
    this.#groups = groups
  }

  get generation(): number {
    return this.#writer.generation
  }

  grown(seen: number, signal: AbortSignal): Promise<void> {
    return this.#writer.grown(seen, signal)
  }

  segments(): Promise<readonly Segment[]> {
    return Promise.resolve(this.#writer.written)
  }

  limit(segment: Segment): number | 'dropped' {
    return this.#writer.limit(segment) ?? 'dropped'
  }

  recent(segment: Segment, at: number): Frame | undefined {
    return this.#writer.recent.frameAt(segment, at)
  }

  control(): Promise<Control | undefined> {
    return Promise.resolve(this.#writer.control)
  }

  next(): Promise<Offset> {
    return Promise.resolve(this.#writer.next)
  }

  measured(): Promise<readonly WrittenSegment[]> {
    return Promise.resolve(this.#writer.written)
  }

  group(name: string): Promise<GroupState | undefined> {
    return Promise.resolve(this.#groups.current(name))
  }

  groups(): Promise<readonly GroupState[]> {
    return Promise.resolve(this.#groups.durable())
  }
}
