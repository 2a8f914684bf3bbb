/** The last frames that are safe, in memory: who reads at the end of the log needs no file for them. */
import type { BufferPool } from '../../change/buffer-pool.ts'
import type { Frame } from './record.ts'
import type { Segment } from './segment.ts'

const bytesMax = 4 * 2 ** 20
const framesMax = 1000

export class RecentFrames {
  /** Oldest first. */
  readonly #frames = new Map<string, { readonly frame: Frame; isLent: boolean }>()
  #bytes = 0
  readonly #pool: BufferPool

  /** `pool`: takes the memory of frames that nobody asked for. */
  constructor(pool: BufferPool) {
    this.#pool = pool
  }

  /** Of a frame that is safe in its file. */
  keep(segment: Segment, frame: Frame): void {
    this.#frames.set(placeOf(segment, frame.at), { frame, isLent: false })
    this.#bytes += frame.end - frame.at
    for (const [place, { frame: oldest, isLent }] of this.#frames) {
      if (this.#bytes <= bytesMax && this.#frames.size <= framesMax) break
      this.#frames.delete(place)
      this.#bytes -= oldest.end - oldest.at
      if (!isLent) this.#pool.give(oldest.payload)
    }
  }

  /** The frame that begins at that byte of the segment; undefined = it is to be read from the file. */
  frameAt(segment: Segment, at: number): Frame | undefined {
    const found = this.#frames.get(placeOf(segment, at))
    if (found === undefined) return undefined
    found.isLent = true
    return found.frame
  }
}

function placeOf(segment: Segment, at: number): string {
  return `${segment.ordinal}/${at}`
}
