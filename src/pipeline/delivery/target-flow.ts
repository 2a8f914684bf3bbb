/**
 * What goes to one target at once and in a second, over all pipelines that write to it: their sinks pass through here.
 * What goes in a second may be shared with other processes.
 *
 *   lanes ──▶ in turn: a place among the requests under way ──▶ pace (requests, bytes) ──▶ sink
 */
import type { Operations, Outcome, Sink } from '../../sink/sink.ts'
import type { Clock } from '../clock.ts'
import { Concurrency } from './concurrency.ts'
import type { Observe } from '../facts.ts'
import { failureOf } from '../retry-policy.ts'
import type { Sharing } from '../building/sharing.ts'

export interface TargetLimits {
  /** 0 = no limit of its own. */
  readonly requestsPerSecond: number
  readonly bytesPerSecond: number
  /** Requests under way at once. */
  readonly requestsMax: number
  /** Fewer at once while the target has no room. */
  readonly isAdaptive: boolean
  /** Requests that take longer on average are a sign that it has none, ms. */
  readonly slowMs: number
}

export interface TargetFlowParts {
  readonly target: string
  readonly limits: TargetLimits
  readonly sharing: Sharing
  readonly clock: Clock
  readonly observe: Observe
}

export class TargetFlow {
  readonly #parts: TargetFlowParts
  readonly #concurrency: Concurrency
  readonly #waiting: (() => void)[] = []
  #underWay = 0
  #told: number

  constructor(parts: TargetFlowParts) {
    const { requestsMax, slowMs } = parts.limits
    this.#parts = parts
    this.#concurrency = new Concurrency({ max: requestsMax, slowMs })
    this.#told = this.#concurrency.limit
  }

  /** The sink, kept within the target's limits. */
  through(sink: Sink): Sink {
    return { write: (operations, signal) => this.#write(sink, operations, signal) }
  }

  async #write(sink: Sink, operations: Operations, signal: AbortSignal): Promise<readonly Outcome[]> {
    await this.#enter(signal)
    try {
      await this.#pace(operations, signal)
      const { clock } = this.#parts
      const startedAtMs = clock.elapsed()
      const outcomes = await sink.write(operations, signal)
      const busy = outcomes.filter(({ kind }) => kind === 'busy').length
      this.#learn((known) =>
        known.answered({ items: outcomes.length, busy, tookMs: clock.elapsed() - startedAtMs }),
      )
      return outcomes
    } catch (error) {
      if (signal.aborted) throw error
      const { kind } = failureOf(error)
      if (kind === 'overload' || kind === 'transient') this.#learn((known) => known.refused())
      throw error
    } finally {
      this.#underWay--
      this.#wake()
    }
  }

  #learn(tell: (concurrency: Concurrency) => void): void {
    const { limits, target, observe } = this.#parts
    if (!limits.isAdaptive) return
    tell(this.#concurrency)
    const { limit } = this.#concurrency
    if (limit === this.#told) return
    this.#told = limit
    observe({ kind: 'target-concurrency', target, requestsMax: limit })
  }

  /** Resolves when it is this one's turn, and counts it as under way. */
  async #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#waiting.length === 0 && this.#underWay < this.#concurrency.limit) {
      this.#underWay++
      return
    }
    const turn = Promise.withResolvers<void>()
    const go = (): void => turn.resolve()
    const leave = (): void => {
      const at = this.#waiting.indexOf(go)
      if (at < 0) return
      this.#waiting.splice(at, 1)
      turn.reject(signal.reason as Error)
    }
    this.#waiting.push(go)
    signal.addEventListener('abort', leave, { once: true })
    try {
      await turn.promise
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }

  #wake(): void {
    while (this.#underWay < this.#concurrency.limit) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#underWay++
      next()
    }
  }

  async #pace(operations: Operations, signal: AbortSignal): Promise<void> {
    const { target, sharing } = this.#parts
    const { requestsPerSecond, bytesPerSecond } = this.#parts.limits
    const requests = { name: `target ${target} requests`, perSecond: requestsPerSecond }
    const bytes = { name: `target ${target} bytes`, perSecond: bytesPerSecond }
    let size = 0
    if (bytesPerSecond > 0) for (const { body, id } of operations) size += (body?.bytesMax ?? 0) + id.length
    await Promise.all([sharing.keepPace(requests, 1, signal), sharing.keepPace(bytes, size, signal)])
  }
}
