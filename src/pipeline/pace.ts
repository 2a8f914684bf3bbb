import type { Clock } from './clock.ts'

/** A speed limit: what is asked for is spread evenly, without bursts. */
export class Pace {
  /** In what is counted; 0 = no limit. */
  readonly perSecond: number
  #freeAtMs = 0

  constructor(perSecond: number) {
    this.perSecond = perSecond
  }

  /** Takes so much, and answers how long to wait before it is used, ms. */
  take(amount: number, nowMs: number): number {
    if (this.perSecond === 0) return 0
    const fromMs = Math.max(this.#freeAtMs, nowMs)
    this.#freeAtMs = fromMs + (amount / this.perSecond) * 1000
    return fromMs - nowMs
  }
}

/** Takes so much and waits until it may be used. */
export async function keepPace(pace: Pace, amount: number, clock: Clock, signal: AbortSignal): Promise<void> {
  const waitMs = pace.take(amount, clock.elapsed())
  if (waitMs > 0) await clock.sleep(waitMs, signal)
}
