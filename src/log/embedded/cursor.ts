/** Walks over the frames of a log in order, from segment to segment, up to what is safely written. */
import type { Offset, Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { assertFollows, damaged, type FrameReader, type Next } from './frames.ts'
import type { Frame } from './record.ts'
import type { Segment, SegmentFiles, SegmentIndex } from './segment.ts'

/** How far the log reaches: known to the process that writes it, looked up by every other one. */
export interface Extent {
  /** Oldest first. */
  segments(): Promise<readonly Segment[]>
  /** How many bytes of the segment may be read; `unknown` = all that the file has, `dropped` = it is kept no longer. */
  limit(segment: Segment): number | 'unknown' | 'dropped'
  /** The frame at that byte, where it is still in memory; it is as safe as what `limit` allows. */
  recent(segment: Segment, at: number): Frame | undefined
  /** Another number whenever there may be more to read. */
  readonly generation: number
  /** Resolves when the generation is no longer the one seen, or when the signal aborts. */
  grown(seen: number, signal: AbortSignal): Promise<void>
  /** Whether the last frame may be seen while it is being written. */
  readonly seesUnfinished: boolean
}

interface Place {
  readonly segment: Segment
  readonly index: SegmentIndex
  /** Where the next frame begins. */
  at: number
  /** Everything before this byte may be read. */
  limit: number
  /** undefined until something has to be read from the file. */
  reader: FrameReader | undefined
}

export class LogCursor {
  readonly #files: SegmentFiles
  readonly #extent: Extent
  readonly #from: Offset
  /** The offset that the next frame begins with. */
  #expected: Offset
  #place: Place | undefined
  /** Where a frame was broken at the last look: what is broken at two looks was not just being written. */
  #brokenAt: number | undefined

  /** Begins with the frame that holds the offset; throws `lost` where it is kept no longer. */
  constructor(files: SegmentFiles, extent: Extent, from: Offset) {
    this.#files = files
    this.#extent = extent
    this.#from = from
    this.#expected = from
  }

  /** The tables of the segment that the last frame came from, by the number of their definition. */
  get tables(): readonly Table[] {
    return this.#place?.index.tables ?? []
  }

  /** The next frame; undefined = no more for now. */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      const place = this.#place ?? (await this.#begin())
      if (place === undefined) return undefined
      const next = await this.#look(place)
      if (next.kind === 'frame') {
        this.#take(place, next.frame)
        if (next.frame.next > this.#from) return next.frame
        continue
      }
      if (await this.#hasGrown(place)) continue
      if (next.kind === 'broken') return this.#broken(place, next)
      if (!(await this.#goOn(place))) return undefined
    }
  }

  /** All frames that there are by now. */
  async *frames(): AsyncGenerator<Frame> {
    for (let frame = await this.next(); frame !== undefined; frame = await this.next()) yield frame
  }

  async close(): Promise<void> {
    await this.#place?.reader?.close()
    this.#place = undefined
  }

  async #look(place: Place): Promise<Next> {
    if (place.at >= place.limit) return { kind: 'end' }
    const recent = this.#extent.recent(place.segment, place.at)
    if (recent !== undefined) return { kind: 'frame', frame: recent }
    const reader = await this.#readerOf(place)
    reader.goTo(place.at)
    return reader.next(place.limit)
  }

  async #readerOf(place: Place): Promise<FrameReader> {
    return (place.reader ??= await this.#files.reader(place.segment, place.at))
  }

  #take(place: Place, frame: Frame): void {
    assertFollows(place.segment.path, frame, this.#expected)
    place.index.learn(frame)
    this.#expected = frame.next
    place.at = frame.end
    this.#brokenAt = undefined
  }

  async #begin(): Promise<Place | undefined> {
    const segments = await this.#extent.segments()
    const oldest = segments[0]
    if (oldest === undefined) return undefined
    const segment = segments.findLast((candidate) => candidate.first <= this.#from)
    if (segment === undefined)
      throw lost(`offset ${this.#from} is kept no longer: ${oldest.path} begins with ${oldest.first}`)
    const mark = this.#files.index(segment).markBefore(this.#from)
    this.#expected = mark.offset
    return this.#enter(segment, mark.at)
  }

  async #enter(segment: Segment, at: number): Promise<Place> {
    await this.#place?.reader?.close()
    const index = this.#files.index(segment)
    this.#place = { segment, index, at, limit: at, reader: undefined }
    this.#place.limit = await this.#limitOf(this.#place)
    return this.#place
  }

  /** Of a segment that is dropped nothing more may be read than before. */
  async #limitOf(place: Place): Promise<number> {
    const limit = this.#extent.limit(place.segment)
    if (limit === 'dropped') return place.limit
    return limit === 'unknown' ? (await this.#readerOf(place)).bytes() : limit
  }

  async #hasGrown(place: Place): Promise<boolean> {
    const limit = await this.#limitOf(place)
    if (limit < place.at) {
      this.#files.forget(place.segment)
      throw new Failure('transient', `${place.segment.path} was mended behind its reader`, {
        remedy: 'read again',
      })
    }
    if (limit === place.limit) return false
    place.limit = limit
    place.reader?.again()
    return true
  }

  async #broken(place: Place, next: Next & { kind: 'broken' }): Promise<undefined> {
    const isLast = (await this.#extent.segments()).at(-1)?.ordinal === place.segment.ordinal
    const seenBefore = this.#brokenAt === next.at
    this.#brokenAt = next.at
    const reader = await this.#readerOf(place)
    reader.again()
    if (!this.#extent.seesUnfinished || !isLast) throw damaged(place.segment.path, next.at, next.why)
    if (seenBefore && !(await reader.isUnfinished())) throw damaged(place.segment.path, next.at, next.why)
    return undefined
  }

  /** To the next segment; false = there is none yet. */
  async #goOn(place: Place): Promise<boolean> {
    const segments = await this.#extent.segments()
    const following = segments.find((candidate) => candidate.ordinal === place.segment.ordinal + 1)
    if (following === undefined) {
      const oldest = segments[0]
      if (oldest !== undefined && oldest.ordinal > place.segment.ordinal)
        throw lost(`${place.segment.path} and what follows it is kept no longer`)
      return false
    }
    // Frames may have been written to this segment between the look at its size and the roll.
    if (await this.#hasGrown(place)) return true
    if (following.first !== this.#expected && this.#extent.limit(place.segment) === 'dropped')
      throw lost(`the rest of ${place.segment.path} is kept no longer`)
    if (following.first !== this.#expected)
      throw damaged(following.path, 0, `the segment before it ends with offset ${this.#expected}`)
    await this.#enter(following, 0)
    return true
  }
}

export function lost(message: string): Failure {
  return new Failure('lost', message, { remedy: 'load the index again from the source' })
}
