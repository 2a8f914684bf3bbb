/** Whether a pipeline is to run: what a person decides while it does. */
import { Signal } from '../change/signal.ts'

export class Lever {
  readonly #moved = new Signal()
  #off = new AbortController()
  #isPaused: boolean

  constructor(isPaused: boolean) {
    this.#isPaused = isPaused
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** How often it was moved; taken before looking, and given to `next`. */
  get moves(): number {
    return this.#moved.count
  }

  /** Aborts when the present run is to end: for a pause, or to begin anew. */
  get off(): AbortSignal {
    return this.#off.signal
  }

  pause(): void {
    this.#move(true)
  }

  /** Runs, from its beginning if it was running. */
  start(): void {
    this.#move(false)
  }

  /** Resolves when it was moved since `seen`. */
  async next(seen: number, signal: AbortSignal): Promise<void> {
    await this.#moved.next(seen, signal)
  }

  #move(isPaused: boolean): void {
    this.#isPaused = isPaused
    const off = this.#off
    this.#off = new AbortController()
    off.abort(new Error(isPaused ? 'paused' : 'begun anew'))
    this.#moved.notify()
  }
}
