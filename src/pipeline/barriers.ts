/**
 * What a group does at a barrier. Each lane comes to it with everything before it finished. Where the barrier's statement
 * left no rows, the lane deletes every document that is older than the barrier, and goes on: nothing is read.
 *
 *   lane 0   ... finished ─┐ pass (refresh, scan, delete with the barrier's version) ── what comes after
 *   lane 1   ........ finished ─┐ waits ─ pass ── what comes after       lanes that came meanwhile share one pass
 *   lane 2   ....... finished ──┘
 *
 * A pass deletes documents of lanes that are not there yet, too: their rows are gone as well, and what they still write
 * below the barrier is found stale, or by the pass that they come to themselves.
 */
import type { Barrier } from '../change/change.ts'
import type { NumberedBarrier } from '../log/log.ts'
import type { Observe } from './facts.ts'
import { sweep, type SweepParts } from './sweep.ts'

export interface BarriersParts extends SweepParts {
  readonly group: string
  /** `schema.table`, whose rows are the group's documents. */
  readonly table: string
  readonly observe: Observe
}

/** Whether the lanes of a group with documents of this table deal with a barrier; otherwise its table is read again. */
export function isDealtWith(barrier: Barrier, table: string): boolean {
  return barrier.effect?.kind === 'emptied' && barrier.table === table
}

export class Barriers {
  readonly #parts: BarriersParts
  #last: Promise<void> = Promise.resolve()
  /** By version: the pass that has not begun. */
  readonly #waiting = new Map<bigint, Promise<void>>()

  constructor(parts: BarriersParts) {
    this.#parts = parts
  }

  /** A lane has finished everything before the barrier; it may go on when this resolves. Throws a Failure as a Sink does. */
  async pass(barrier: NumberedBarrier, signal: AbortSignal): Promise<void> {
    if (isDealtWith(barrier, this.#parts.table)) await this.#emptied(barrier, signal)
  }

  #emptied(barrier: NumberedBarrier, signal: AbortSignal): Promise<void> {
    const waiting = this.#waiting.get(barrier.version)
    if (waiting !== undefined) return waiting
    const pass = this.#last
      .catch(() => undefined)
      .then(() => {
        this.#waiting.delete(barrier.version)
        return this.#empty(barrier, signal)
      })
    this.#waiting.set(barrier.version, pass)
    this.#last = pass
    return pass
  }

  async #empty({ version, table, statement }: NumberedBarrier, signal: AbortSignal): Promise<void> {
    const { group, observe } = this.#parts
    const { scanned, deleted } = await sweep(
      this.#parts,
      { below: version + 1n, keepsRefused: false },
      signal,
    )
    observe({ kind: 'emptied', group, table, statement, scanned, deleted })
  }
}
