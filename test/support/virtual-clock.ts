/** Time that passes only when it is told to, and chance that a seed decides: for simulations and for tests of waits. */
import type { Clock } from '../../src/pipeline/clock.ts'
import { Random } from './random.ts'

interface Sleeper {
  readonly atMs: number
  readonly order: number
  readonly wake: () => void
}

export class VirtualClock implements Clock {
  readonly #random: Random
  #nowMs: number
  #order = 0
  /** The next to wake is the last. */
  readonly #sleepers: Sleeper[] = []

  constructor(seed = 1, startMs = Date.UTC(2026, 0, 1)) {
    this.#random = new Random(seed)
    this.#nowMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  elapsed(): number {
    return this.#nowMs
  }

  random(): number {
    return this.#random.next()
  }

  sleep(durationMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error)
    return new Promise((resolve, reject) => {
      const sleeper: Sleeper = {
        atMs: this.#nowMs + Math.max(0, Math.ceil(durationMs)),
        order: this.#order++,
        wake: () => {
          signal.removeEventListener('abort', abort)
          resolve()
        },
      }
      const abort = (): void => {
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', abort, { once: true })
      this.#add(sleeper)
    })
  }

  /** How many are asleep. */
  get sleeping(): number {
    return this.#sleepers.length
  }

  /** Lets so much time pass: wakes one sleeper after the other, and lets each do all that it can before the next. */
  async advance(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs
    await settled()
    for (let next = this.#sleepers.at(-1); next !== undefined; next = this.#sleepers.at(-1)) {
      if (next.atMs > untilMs) break
      this.#sleepers.pop()
      this.#nowMs = next.atMs
      next.wake()
      await settled()
    }
    this.#nowMs = untilMs
  }

  /** Lets time pass until the promise is settled. Throws when nobody is asleep any more, or after so much time. */
  async until<T>(work: Promise<T>, limitMs = 3_600_000): Promise<T> {
    const over = new AbortController()
    void Promise.allSettled([work]).then(() => over.abort())
    const limitAtMs = this.#nowMs + limitMs
    for (await settled(); !over.signal.aborted;) {
      const next = this.#sleepers.at(-1)
      if (next === undefined) throw new Error('nothing sleeps, and what is waited for has not happened')
      if (next.atMs > limitAtMs) throw new Error(`what is waited for has not happened within ${limitMs} ms`)
      await this.advance(next.atMs - this.#nowMs)
    }
    return await work
  }

  #add(sleeper: Sleeper): void {
    let [low, high] = [0, this.#sleepers.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (wakesBefore(sleeper, this.#sleepers[middle])) low = middle + 1
      else high = middle
    }
    this.#sleepers.splice(low, 0, sleeper)
  }
}

/** Resolves when every promise that can go on has gone on as far as it can. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function wakesBefore(sleeper: Sleeper, other: Sleeper | undefined): boolean {
  if (other === undefined) return true
  return sleeper.atMs < other.atMs || (sleeper.atMs === other.atMs && sleeper.order < other.order)
}
