/**
 * One lane's finished work, in any order, to the offset that is safe to commit: everything before it is finished.
 *
 *   started   3 5 6 9        finished 3 6        safe = 5
 */
import assert from 'node:assert/strict'
import type { Offset } from '../../change/change.ts'

export class AckTracker {
  #started: Offset[] = []
  #head = 0
  readonly #finished = new Set<Offset>()
  /** Of work that has several parts, how many are not done. */
  readonly #parts = new Map<Offset, number>()
  #seen: Offset

  constructor(committed: Offset) {
    this.#seen = committed
  }

  /** Work at this offset has begun, in so many parts; offsets ascend. */
  start(offset: Offset, parts: number): void {
    assert(offset >= this.#seen, 'offsets ascend')
    assert(parts > 0, 'work has parts')
    if (parts > 1) this.#parts.set(offset, parts)
    this.#started.push(offset)
    this.#seen = offset + 1
  }

  /** Nothing more lies before `next`. */
  pass(next: Offset): void {
    if (next > this.#seen) this.#seen = next
  }

  /** A part of the work at this offset is done, for good. */
  finish(offset: Offset): void {
    const parts = this.#parts.get(offset) ?? 1
    if (parts > 2) this.#parts.set(offset, parts - 1)
    else if (parts === 2) this.#parts.delete(offset)
    if (parts === 1) this.#finishWhole(offset)
  }

  #finishWhole(offset: Offset): void {
    if (this.#started[this.#head] !== offset) {
      this.#finished.add(offset)
      return
    }
    this.#head++
    this.#skipFinished()
  }

  /** Everything before this offset is finished. */
  get safe(): Offset {
    return this.#started[this.#head] ?? this.#seen
  }

  get unfinished(): number {
    return this.#started.length - this.#head - this.#finished.size
  }

  #skipFinished(): void {
    for (;;) {
      const next = this.#started[this.#head]
      if (next === undefined || !this.#finished.delete(next)) break
      this.#head++
    }
    if (this.#head > 4096 && this.#head * 2 > this.#started.length) {
      this.#started = this.#started.slice(this.#head)
      this.#head = 0
    }
  }
}
