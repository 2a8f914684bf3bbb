/** The last frames that are safe, in memory: who reads at the end of the log needs no file for them. */
import type { Frame } from './record.ts'
import type { Segment } from './segment.ts'

const bytesMax = 4 * 2 ** 20
const framesMax = 1000

export class RecentFrames {
  /** Oldest first. */
  readonly #frames = new Map<string, Frame>()
  #bytes = 0

  /** Of a frame that is safe in its file; from now on held by this. */
  keep(segment: Segment, frame: Frame): void {
    this.#frames.set(placeOf(segment, frame.at), frame)
    this.#bytes += frame.end - frame.at
    for (const [place, oldest] of this.#frames) {
      if (this.#bytes <= bytesMax && this.#frames.size <= framesMax) break
      this.#frames.delete(place)
      this.#bytes -= oldest.end - oldest.at
      oldest.holders?.drop()
    }
  }

  /** The frame that begins at that byte of the segment, held by the caller, too; undefined = it is to be read from the file. */
  frameAt(segment: Segment, at: number): Frame | undefined {
    const found = this.#frames.get(placeOf(segment, at))
    found?.holders?.add()
    return found
  }
}

function placeOf(segment: Segment, at: number): string {
  return `${segment.ordinal}/${at}`
}
