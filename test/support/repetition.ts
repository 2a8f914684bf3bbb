/** Does something again and again, from `start` to `stop`. */
export class Repetition {
  readonly #work: () => Promise<void>
  readonly #pauseMs: number
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined

  constructor(work: () => Promise<void>, pauseMs: number) {
    this.#work = work
    this.#pauseMs = pauseMs
  }

  /** Idempotent. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Resolves when it is done for the last time; throws what it threw. Idempotent. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#work()
      await new Promise((resolve) => setTimeout(resolve, this.#pauseMs))
    }
  }
}
