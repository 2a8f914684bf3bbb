/** Something changed: whoever waits looks again. */
export class Bell {
  #waiting: PromiseWithResolvers<void> | undefined
  /** How often it rang. */
  count = 0

  ring(): void {
    this.count++
    this.#waiting?.resolve()
    this.#waiting = undefined
  }

  /** Resolves when it has rung more than `seen` times, when the signal aborts, or after `waitMs`. */
  async rung(seen: number, signal: AbortSignal, waitMs = maxWaitMs): Promise<void> {
    if (this.count > seen || signal.aborted) return
    this.#waiting ??= Promise.withResolvers()
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, waitMs)
    const abort = (): void => resolve()
    signal.addEventListener('abort', abort)
    try {
      await Promise.race([this.#waiting.promise, promise])
    } finally {
      clearTimeout(timer)
      // The signal outlives many waits.
      signal.removeEventListener('abort', abort)
    }
  }
}

const maxWaitMs = 60_000
