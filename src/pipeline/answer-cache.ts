/** Answers that are still fresh: bounded in number, the one that was not asked for the longest time goes first. */
import type { Answer } from '../upstream/upstream.ts'

export interface CacheLimits {
  /** How long an answer is fresh; 0 = nothing is kept. */
  readonly cacheMs: number
  readonly cacheEntries: number
}

interface Kept {
  readonly answer: Answer
  readonly untilMs: number
}

export class AnswerCache {
  readonly #limits: CacheLimits
  readonly #kept = new Map<string, Kept>()

  constructor(limits: CacheLimits) {
    this.#limits = limits
  }

  /** undefined = there is none that is fresh. */
  get(question: string, nowMs: number): { readonly answer: Answer } | undefined {
    const kept = this.#kept.get(question)
    if (kept === undefined) return undefined
    this.#kept.delete(question)
    if (kept.untilMs <= nowMs) return undefined
    this.#kept.set(question, kept)
    return kept
  }

  put(question: string, answer: Answer, nowMs: number): void {
    const { cacheMs, cacheEntries } = this.#limits
    if (cacheMs === 0) return
    this.#kept.delete(question)
    this.#kept.set(question, { answer, untilMs: nowMs + cacheMs })
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= cacheEntries) break
      this.#kept.delete(oldest)
    }
  }
}
