/**
 * What goes to each node of a target at once and in a second, over all pipelines that write to it. What goes in a second
 * may be shared with other processes.
 *
 *   requests ──▶ the node with the fewest on their way ──▶ a place among these ──▶ its pace (requests, bytes) ──▶ node
 */
import type { Throttle } from '../../sink/sink.ts'
import type { Sharing } from '../building/sharing.ts'
import type { Clock } from '../clock.ts'
import { Turns } from './turns.ts'

interface NodeLimitsParts {
  readonly target: string
  /** 0 = no limit, as of those that follow. */
  readonly requestsPerSecond: number
  readonly bytesPerSecond: number
  /** Requests at once. */
  readonly connections: number
  readonly sharing: Sharing
  readonly clock: Clock
}

export class NodeLimits implements Throttle {
  readonly #parts: NodeLimitsParts
  readonly #turns = new Map<string, Turns>()
  #tookMs = 0

  constructor(parts: NodeLimitsParts) {
    this.#parts = parts
  }

  onTheWay(node: string): number {
    return this.#turns.get(node)?.taken ?? 0
  }

  async pass<Answer>(
    { node, bytes }: { readonly node: string; readonly bytes: number },
    signal: AbortSignal,
    send: () => Promise<Answer>,
  ): Promise<Answer> {
    const turns = this.#turnsOf(node)
    await turns.enter(signal)
    try {
      await this.#pace(node, bytes, signal)
      return await this.#timed(send)
    } finally {
      turns.leave()
    }
  }

  /** How long the requests took that have ended since this was last asked, all together, without what they waited here, ms. */
  took(): number {
    const tookMs = this.#tookMs
    this.#tookMs = 0
    return tookMs
  }

  async #timed<Answer>(send: () => Promise<Answer>): Promise<Answer> {
    const { clock } = this.#parts
    const startedAtMs = clock.elapsed()
    try {
      return await send()
    } finally {
      this.#tookMs += clock.elapsed() - startedAtMs
    }
  }

  #turnsOf(node: string): Turns {
    const known = this.#turns.get(node)
    if (known !== undefined) return known
    const { connections } = this.#parts
    const made = new Turns(() => (connections === 0 ? Infinity : connections))
    this.#turns.set(node, made)
    return made
  }

  async #pace(node: string, bytes: number, signal: AbortSignal): Promise<void> {
    const { target, sharing, requestsPerSecond, bytesPerSecond } = this.#parts
    const place = `target ${target} ${node}`
    await Promise.all([
      sharing.keepPace({ name: `${place} requests`, perSecond: requestsPerSecond }, 1, signal),
      sharing.keepPace({ name: `${place} bytes`, perSecond: bytesPerSecond }, bytes, signal),
    ])
  }
}
