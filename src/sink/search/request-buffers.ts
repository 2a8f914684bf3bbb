/** Buffers of requests that were answered, for the next ones: a stream of new ones would keep the garbage collector busy. */
export class RequestBuffers {
  readonly #free: Buffer[] = []

  /** A buffer of at least so many bytes, to be given back when nobody reads it any more. */
  readonly take = (bytes: number): Buffer => {
    const at = this.#free.findIndex((buffer) => buffer.length >= bytes)
    const [found] = at === -1 ? [] : this.#free.splice(at, 1)
    return found ?? Buffer.allocUnsafeSlow(Math.ceil(bytes / stepBytes) * stepBytes)
  }

  /** Takes back what `take` gave, or a part of it that begins where it began. */
  give({ buffer }: Buffer): void {
    if (this.#free.push(Buffer.from(buffer)) > freeMax) this.#free.shift()
  }
}

/** Sizes are rounded up to this, so that requests of about one size can use the same buffers. */
const stepBytes = 256 * 1024
const freeMax = 4
