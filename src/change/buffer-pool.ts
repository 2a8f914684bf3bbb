/**
 * Buffers that nobody looks at any more, for whoever needs one next: a stream of new ones would keep the garbage collector
 * busy. What comes back is overwritten, so that somebody who does look all the same finds that out.
 */
export class BufferPool {
  readonly #free: Buffer[] = []
  readonly #stepBytes: number
  readonly #freeMax: number

  /**
   * Sizes are rounded up to steps, so that needs of about one size can use the same buffers; what takes less than a step
   * is not worth keeping. At most `freeMax` are kept.
   */
  constructor({ stepBytes, freeMax }: { readonly stepBytes: number; readonly freeMax: number }) {
    this.#stepBytes = stepBytes
    this.#freeMax = freeMax
  }

  /** A buffer of at least so many bytes. */
  readonly take = (bytes: number): Buffer => {
    if (bytes < this.#stepBytes) return Buffer.allocUnsafeSlow(bytes)
    const at = this.#free.findIndex((buffer) => buffer.length >= bytes)
    const [found] = at === -1 ? [] : this.#free.splice(at, 1)
    return found ?? Buffer.allocUnsafeSlow(Math.ceil(bytes / this.#stepBytes) * this.#stepBytes)
  }

  /** Takes back what `take` gave, or any part of it. Need not be called. */
  give({ buffer }: Buffer): void {
    if (buffer.byteLength % this.#stepBytes !== 0 || buffer.byteLength === 0) return
    const whole = Buffer.from(buffer)
    whole.fill(overwritten)
    if (this.#free.push(whole) > this.#freeMax) this.#free.shift()
  }
}

/** No operation, no length and no text is made of it. */
const overwritten = 0xff
