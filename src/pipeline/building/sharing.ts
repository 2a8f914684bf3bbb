/**
 * What this process shares with others. A shared cache that is away is no failure: until it is back, this process keeps to
 * its own part of each rate, and to answers of its own.
 *
 *   rate 12/s, 3 processes      shared  A─B─C─A─B─C─   each takes the next moment that is free
 *                               away    A─────A─────   each takes every third, after all that it took before
 */
import type { Cache, Found, Kept, Rate, Shelf } from '../../cache/cache.ts'
import { Failure } from '../../change/failure.ts'
import type { Clock } from '../clock.ts'

export interface SharingParts {
  readonly shared: Cache
  /** Of this process alone. */
  readonly own: Cache
  /** At most so many processes share. */
  readonly processes: number
  readonly clock: Clock
}

export class Sharing {
  readonly #parts: SharingParts
  /** When this process may use a rate again, as far as it knows, ms. */
  readonly #freeAtMs = new Map<string, number>()

  constructor(parts: SharingParts) {
    this.#parts = parts
  }

  /** Takes so much of a rate, and waits until it may be used. 0 a second = without a limit. */
  async keepPace(rate: Rate, amount: number, signal: AbortSignal): Promise<void> {
    if (rate.perSecond === 0) return
    const waitMs = await this.#take(rate, amount, 0)
    if (waitMs > 0) await this.#parts.clock.sleep(waitMs, signal)
  }

  /** Nobody who shares the rate uses more of it before so many milliseconds have passed. */
  async holdBack(rate: Rate, durationMs: number): Promise<void> {
    await this.#take(rate, 0, durationMs)
  }

  /** As a cache does; throws nothing. */
  async look(shelf: Shelf, questions: readonly string[], claimMs: number): Promise<readonly Found[]> {
    const { shared, own } = this.#parts
    const found = await unlessAway(shared.look(shelf, questions, claimMs))
    return found ?? (await own.look(shelf, questions, claimMs))
  }

  /** As a cache does; throws nothing. What is kept is here too when the others cannot be reached. */
  async keep(shelf: Shelf, answers: readonly Kept[]): Promise<void> {
    const { shared, own } = this.#parts
    await own.keep(shelf, answers)
    if (shared !== own) await unlessAway(shared.keep(shelf, answers))
  }

  /** As a cache does; throws nothing. */
  async leave(shelf: Shelf, questions: readonly string[]): Promise<void> {
    const { shared, own } = this.#parts
    await own.leave(shelf, questions)
    if (shared !== own) await unlessAway(shared.leave(shelf, questions))
  }

  async close(): Promise<void> {
    await this.#parts.shared.close()
    await this.#parts.own.close()
  }

  async #take(rate: Rate, amount: number, notBeforeMs: number): Promise<number> {
    const { shared, processes } = this.#parts
    const delayMs = Math.max(notBeforeMs, this.#busyMs(rate))
    const waitMs = await unlessAway(shared.take(rate, amount, delayMs))
    if (waitMs !== undefined) return this.#occupy(rate, amount, waitMs)
    const part = { ...rate, perSecond: rate.perSecond / processes }
    return this.#occupy(part, amount, Math.max(notBeforeMs, this.#busyMs(rate)))
  }

  #busyMs({ name }: Rate): number {
    return Math.max(0, (this.#freeAtMs.get(name) ?? 0) - this.#parts.clock.elapsed())
  }

  #occupy({ name, perSecond }: Rate, amount: number, waitMs: number): number {
    const freeAtMs = this.#parts.clock.elapsed() + waitMs + (amount / perSecond) * 1000
    this.#freeAtMs.set(name, Math.max(this.#freeAtMs.get(name) ?? 0, freeAtMs))
    return waitMs
  }
}

/** undefined = it is away; who holds the connection tells so. */
async function unlessAway<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (error instanceof Failure) return undefined
    throw error
  }
}
