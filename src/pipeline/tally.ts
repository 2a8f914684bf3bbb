/** The figures of one request. */
import type { Outcome } from '../sink/sink.ts'
import type { PendingWork } from './dedupe.ts'

export class Tally {
  readonly #nowMs: number
  readonly #latenciesMs: number[] = []
  readonly #counts = { indexed: 0, deleted: 0, stale: 0, busy: 0, rejected: 0, bytes: 0 }

  constructor(nowMs: number) {
    this.#nowMs = nowMs
  }

  add(work: PendingWork, outcome: Outcome): void {
    const counts = this.#counts
    counts.bytes += work.bytes
    if (outcome.kind === 'stale') counts.stale++
    else if (outcome.kind === 'busy') counts.busy++
    else if (outcome.kind === 'rejected') counts.rejected++
    else if (work.operation.op === 'index') counts.indexed++
    else counts.deleted++
    if (outcome.kind !== 'applied' && outcome.kind !== 'stale') return
    for (const committedAtMs of work.committedAtMs) {
      if (committedAtMs > 0) this.#latenciesMs.push(Math.max(0, this.#nowMs - committedAtMs))
    }
  }

  figures(): Readonly<Record<'indexed' | 'deleted' | 'stale' | 'busy' | 'rejected' | 'bytes', number>> & {
    readonly latenciesMs: readonly number[]
  } {
    return { ...this.#counts, latenciesMs: this.#latenciesMs }
  }
}
