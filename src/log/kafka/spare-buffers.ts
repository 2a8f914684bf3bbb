/** Buffers that came back and are written to again: new ones of this size cost more than what is done with them. */

/** Of what batches come to, as a rule. */
const usualBytes = 256 * 1024
/** No larger ones are kept, which a huge row has blown up. */
const bytesMax = 4 * usualBytes
const sparesMax = 32

export class SpareBuffers {
  readonly #spares: Buffer[] = []
  readonly #made = new WeakSet<ArrayBufferLike>()

  /** A buffer of at least so many bytes, whatever stands in it. */
  take(bytes: number): Buffer {
    const last = this.#spares.at(-1)
    if (last !== undefined && last.length >= bytes) return this.#spares.pop() ?? last
    const made = Buffer.allocUnsafeSlow(Math.max(bytes, usualBytes))
    this.#made.add(made.buffer)
    return made
  }

  /** Takes back what `take` gave, or a part of it, at which nobody looks any more; what came from elsewhere stays there. */
  give({ buffer }: Buffer): void {
    const isKept = this.#made.has(buffer) && buffer.byteLength <= bytesMax && this.#spares.length < sparesMax
    if (isKept) this.#spares.push(Buffer.from(buffer))
  }
}
