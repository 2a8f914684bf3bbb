/** What is shared within one process. An answer that was not asked for the longest time goes first. */
import type { Answer } from '../../upstream/upstream.ts'
import type { Cache, Found, Kept, Rate, Shelf } from '../cache.ts'

interface Contents {
  readonly answers: Map<string, { readonly answer: Answer; readonly untilMs: number }>
  /** Questions that somebody is asking, and until when that holds, ms. */
  readonly claims: Map<string, number>
}

export class MemoryCache implements Cache {
  readonly #now: () => number
  readonly #freeAtMs = new Map<string, number>()
  readonly #shelves = new Map<string, Contents>()

  /** `now` in ms. */
  constructor(now: () => number) {
    this.#now = now
  }

  take({ name, perSecond }: Rate, amount: number, notBeforeMs: number): Promise<number> {
    const nowMs = this.#now()
    const fromMs = Math.max(this.#freeAtMs.get(name) ?? 0, nowMs + notBeforeMs)
    this.#freeAtMs.set(name, fromMs + (amount / perSecond) * 1000)
    return Promise.resolve(fromMs - nowMs)
  }

  look({ name }: Shelf, questions: readonly string[], claimMs: number): Promise<readonly Found[]> {
    const contents = this.#contentsOf(name)
    const nowMs = this.#now()
    return Promise.resolve(questions.map((question) => find(contents, question, nowMs, claimMs)))
  }

  keep({ name, freshMs, entriesMax }: Shelf, kept: readonly Kept[]): Promise<void> {
    const { answers, claims } = this.#contentsOf(name)
    const untilMs = this.#now() + freshMs
    for (const { question, answer } of kept) {
      claims.delete(question)
      answers.delete(question)
      answers.set(question, { answer, untilMs })
    }
    for (const oldest of answers.keys()) {
      if (answers.size <= entriesMax) break
      answers.delete(oldest)
    }
    return Promise.resolve()
  }

  leave({ name }: Shelf, questions: readonly string[]): Promise<void> {
    const { claims } = this.#contentsOf(name)
    for (const question of questions) claims.delete(question)
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #contentsOf(shelf: string): Contents {
    const known = this.#shelves.get(shelf)
    if (known !== undefined) return known
    const made: Contents = { answers: new Map(), claims: new Map() }
    this.#shelves.set(shelf, made)
    return made
  }
}

function find({ answers, claims }: Contents, question: string, nowMs: number, claimMs: number): Found {
  const entry = answers.get(question)
  if (entry !== undefined) {
    answers.delete(question)
    if (entry.untilMs > nowMs) {
      answers.set(question, entry)
      return { kind: 'fresh', answer: entry.answer }
    }
  }
  if ((claims.get(question) ?? 0) > nowMs) return { kind: 'theirs' }
  claims.set(question, nowMs + claimMs)
  return { kind: 'ours' }
}
