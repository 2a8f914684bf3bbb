/** Something happened: those who wait for it look again. Nothing is missed between looking and waiting. */
export class Signal {
  #count = 0
  #waiting = new Set<() => void>()

  /** How often it has happened; taken before looking, and given to `next`. */
  get count(): number {
    return this.#count
  }

  notify(): void {
    this.#count++
    const waiting = this.#waiting
    this.#waiting = new Set()
    for (const wake of waiting) wake()
  }

  /** Resolves with the count when it has happened since `seen`; rejects with the signal's reason when that aborts. */
  next(seen: number, signal: AbortSignal): Promise<number> {
    if (signal.aborted) return Promise.reject(signal.reason as Error)
    if (this.#count > seen) return Promise.resolve(this.#count)
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        signal.removeEventListener('abort', abort)
        resolve(this.#count)
      }
      const abort = (): void => {
        this.#waiting.delete(wake)
        reject(signal.reason as Error)
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', abort, { once: true })
    })
  }
}
