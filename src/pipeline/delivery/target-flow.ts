/**
 * How much goes to one target at once, over all pipelines that write to it: their sinks pass through here, in turn. It
 * learns from the answers how much is good; what each node may have is kept where the node is chosen.
 */
import type { Operations, Outcome, Sink } from '../../sink/sink.ts'
import { Concurrency } from './concurrency.ts'
import type { Observe } from '../facts.ts'
import { failureOf } from '../retry-policy.ts'
import type { NodeLimits } from './node-limits.ts'
import { Turns } from './turns.ts'

interface TargetFlowParts {
  readonly target: string
  /** Writes under way at once. */
  readonly writesMax: number
  /** Fewer at once while the target has no room. */
  readonly isAdaptive: boolean
  /** Requests that take longer on average are a sign that it has none, ms. */
  readonly slowMs: number
  readonly nodes: NodeLimits
  readonly observe: Observe
}

export class TargetFlow {
  /** What the requests of these writes are to keep to. */
  readonly nodes: NodeLimits
  readonly #parts: TargetFlowParts
  readonly #concurrency: Concurrency
  readonly #turns: Turns
  #told: number

  constructor(parts: TargetFlowParts) {
    const { writesMax, slowMs, nodes } = parts
    this.nodes = nodes
    this.#parts = parts
    this.#concurrency = new Concurrency({ max: writesMax, slowMs })
    this.#turns = new Turns(() => this.#concurrency.limit)
    this.#told = this.#concurrency.limit
  }

  /** The sink, kept within the target's limits. */
  through(sink: Sink): Sink {
    return { write: (operations, signal) => this.#write(sink, operations, signal) }
  }

  async #write(sink: Sink, operations: Operations, signal: AbortSignal): Promise<readonly Outcome[]> {
    await this.#turns.enter(signal)
    try {
      const outcomes = await sink.write(operations, signal)
      const busy = outcomes.filter(({ kind }) => kind === 'busy').length
      const tookMs = this.nodes.took()
      this.#learn((known) => known.answered({ items: outcomes.length, busy, tookMs }))
      return outcomes
    } catch (error) {
      if (signal.aborted) throw error
      this.nodes.took()
      const { kind } = failureOf(error)
      if (kind === 'overload' || kind === 'transient') this.#learn((known) => known.refused())
      throw error
    } finally {
      this.#turns.leave()
    }
  }

  #learn(tell: (concurrency: Concurrency) => void): void {
    const { isAdaptive, target, observe } = this.#parts
    if (!isAdaptive) return
    tell(this.#concurrency)
    const { limit } = this.#concurrency
    if (limit === this.#told) return
    this.#told = limit
    observe({ kind: 'target-concurrency', target, requestsMax: limit })
  }
}
