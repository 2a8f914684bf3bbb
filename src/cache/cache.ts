/** What processes share so that together they ask others for no more than one may: speed limits, and answers that are fresh. */
import type { Answer } from '../upstream/upstream.ts'

/** A speed limit; those who give the same name keep to it together. */
export interface Rate {
  readonly name: string
  /** In what is counted; above 0. */
  readonly perSecond: number
}

/** Where answers are kept; those who give the same name share them. */
export interface Shelf {
  readonly name: string
  /** How long an answer is fresh, ms. */
  readonly freshMs: number
  /** At most so many are kept. */
  readonly entriesMax: number
}

export interface Kept {
  readonly question: string
  readonly answer: Answer
}

/** What is known of a question: its answer; nothing, so that we ask; or that another is asking. */
export type Found =
  | { readonly kind: 'fresh'; readonly answer: Answer }
  | { readonly kind: 'ours' }
  | { readonly kind: 'theirs' }

/** Calls may be made at any time before `close`; each throws a Failure where the cache cannot be reached. */
export interface Cache {
  /**
   * Takes so much of a rate, and answers how long to wait before it is used, ms, no less than `notBeforeMs`. undefined =
   * not for the moment: some may still keep to limits of their own, and so must all.
   */
  take(rate: Rate, amount: number, notBeforeMs: number): Promise<number | undefined>
  /**
   * One for each question, in order. Who hears `ours` asks, and says so by `keep` or `leave`: others hear `theirs` until
   * then, and no longer than `claimMs`.
   */
  look(shelf: Shelf, questions: readonly string[], claimMs: number): Promise<readonly Found[]>
  keep(shelf: Shelf, answers: readonly Kept[]): Promise<void>
  /** These questions get no answer from us: another may ask them. */
  leave(shelf: Shelf, questions: readonly string[]): Promise<void>
  close(): Promise<void>
}
