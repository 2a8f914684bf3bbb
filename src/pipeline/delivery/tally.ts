/** The figures of one request. */
import type { Outcome } from '../../sink/sink.ts'
import type { PendingWork } from './pending-work.ts'

/** Of a large request, about so many works tell their latency: more would cost without telling more. */
const latenciesMax = 100

export class Tally {
  readonly #nowMs: number
  /** Each so manieth work tells its latency. */
  readonly #every: number
  #works = 0
  readonly #latenciesMs: number[] = []
  readonly #counts = { indexed: 0, deleted: 0, stale: 0, busy: 0, rejected: 0, bytes: 0 }

  /** `works`: how many will be added. */
  constructor(nowMs: number, works: number) {
    this.#nowMs = nowMs
    this.#every = Math.ceil(works / latenciesMax)
  }

  add(work: PendingWork, outcome: Outcome): void {
    const counts = this.#counts
    counts.bytes += work.bytes
    if (outcome.kind === 'stale') counts.stale++
    else if (outcome.kind === 'busy' || outcome.kind === 'unknown') counts.busy++
    else if (outcome.kind === 'rejected') counts.rejected++
    else if (work.isDelete) counts.deleted++
    else counts.indexed++
    if (outcome.kind !== 'applied' && outcome.kind !== 'stale') return
    if (this.#works++ % this.#every !== 0) return
    this.#sample(work)
  }

  #sample(work: PendingWork): void {
    for (const committedAtMs of work.committedAtMs())
      if (committedAtMs > 0) this.#latenciesMs.push(Math.max(0, this.#nowMs - committedAtMs))
  }

  figures(): Readonly<Record<'indexed' | 'deleted' | 'stale' | 'busy' | 'rejected' | 'bytes', number>> & {
    readonly latenciesMs: readonly number[]
  } {
    return { ...this.#counts, latenciesMs: this.#latenciesMs }
  }
}
