/** Lets at most so many in at once, in the order in which they came; how many that is may change meanwhile. */
export class Turns {
  readonly #max: () => number
  readonly #waiting: (() => void)[] = []
  #inside = 0

  /** `max` is asked whenever one comes or leaves; at least 1. */
  constructor(max: () => number) {
    this.#max = max
  }

  /** How many are in, or wait for it. */
  get taken(): number {
    return this.#inside + this.#waiting.length
  }

  /** Resolves when it is this one's turn; whoever came in calls `leave` once. */
  async enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#waiting.length === 0 && this.#inside < this.#max()) {
      this.#inside++
      return
    }
    const turn = Promise.withResolvers<void>()
    const go = (): void => turn.resolve()
    const giveUp = (): void => {
      const at = this.#waiting.indexOf(go)
      if (at < 0) return
      this.#waiting.splice(at, 1)
      turn.reject(signal.reason as Error)
    }
    this.#waiting.push(go)
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      await turn.promise
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  leave(): void {
    this.#inside--
    while (this.#inside < this.#max()) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#inside++
      next()
    }
  }
}
