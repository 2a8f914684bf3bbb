/**
 * Which transactions of a journal each server had. Servers lead one after the other; each may have taken the last
 * transactions with it, whose places in the journal nobody uses again.
 *
 *   place `7+2@1`: on the second server, 7 transactions less those that the first one lost, and 2 row events of the next
 */
import type { Position } from '../../src/change/change.ts'
import { Divergence, Failure } from '../../src/change/failure.ts'

export interface Place {
  readonly executed: number
  /** Row events of the next transaction that have been given. */
  readonly inside: number
  /** Which server led. */
  readonly reign: number
}

interface Loss {
  readonly from: number
  readonly to: number
}

export class MemoryHistory {
  /** The server of reign n was lost with the n-th. */
  readonly #losses: Loss[] = []

  get reign(): number {
    return this.#losses.length
  }

  lose(from: number, to: number): void {
    this.#losses.push({ from, to })
  }

  isLost(ordinal: number): boolean {
    return this.#losses.some(({ from, to }) => ordinal >= from && ordinal < to)
  }

  /** Throws a Divergence where something of the place was lost since. */
  assertKept(place: Place): void {
    const lost = this.#lostSince(place)
    if (lost === undefined) return
    throw new Divergence(`the server lacks what came after ${lost} transactions`, {
      resume: positionOf({ executed: lost, inside: 0, reign: this.reign }),
      undone: `${lost} and later`,
      undoes: (position) => this.#lostSince(placeOf(position)) !== undefined,
    })
  }

  covers(a: Place, b: Place): boolean {
    const between = this.#losses.slice(b.reign, a.reign)
    if (between.some(({ from }) => endOf(b) > from)) return false
    return a.executed > b.executed || (a.executed === b.executed && a.inside >= b.inside)
  }

  /** Before the first transaction of the place that was lost since. */
  #lostSince(place: Place): number | undefined {
    const lost = this.#losses.slice(place.reign).filter(({ from }) => endOf(place) > from)
    return lost.length === 0 ? undefined : Math.min(...lost.map(({ from }) => from))
  }
}

/** Of the transactions that something was given of. */
function endOf({ executed, inside }: Place): number {
  return inside > 0 ? executed + 1 : executed
}

export function placeOf(position: Position): Place {
  const match = /^(\d+)(?:\+(\d+))?(?:@(\d+))?$/.exec(position)
  if (match === null) throw new Failure('configuration', `${position} is no position`)
  return { executed: Number(match[1]), inside: Number(match[2] ?? 0), reign: Number(match[3] ?? 0) }
}

export function positionOf({ executed, inside, reign }: Place): Position {
  const part = inside === 0 ? '' : `+${inside}`
  return `${executed}${part}${reign === 0 ? '' : `@${reign}`}` as Position
}
