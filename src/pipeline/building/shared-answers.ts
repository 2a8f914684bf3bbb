/** Answers that are kept and shared: of all who want one at once, one asks, also where they are different processes. */
import type { Kept, Shelf } from '../../cache/cache.ts'
import type { Failure } from '../../change/failure.ts'
import type { Answer, Question } from '../../upstream/upstream.ts'
import type { Clock } from '../clock.ts'
import type { Sharing } from './sharing.ts'

/** What came of a question. */
export type Reply =
  | { readonly failure: undefined; readonly answer: Answer }
  | { readonly failure: Failure; readonly answer: undefined }

export interface SharedAnswersParts {
  readonly shelf: Shelf
  readonly sharing: Pick<Sharing, 'look' | 'keep' | 'leave'>
  readonly clock: Clock
  /** How many questions are asked at once. */
  readonly questionsMax: number
  /** Asks for what nobody knows: a reply for each, in order. Rejects only with the signal's reason. */
  readonly ask: (questions: readonly Question[], signal: AbortSignal) => Promise<readonly Reply[]>
  /** Told how many questions had a fresh answer. */
  readonly spared: (questions: number) => void
}

/** By the question's name. */
type Replies = ReadonlyMap<string, Promise<Reply>>

export class SharedAnswers {
  readonly #parts: SharedAnswersParts

  constructor(parts: SharedAnswersParts) {
    this.#parts = parts
  }

  /** Questions by name; the replies come as they come. */
  async of(questions: ReadonlyMap<string, Question>, signal: AbortSignal): Promise<Replies> {
    const { shelf, sharing } = this.#parts
    if (shelf.freshMs === 0) return this.#asked(questions, signal)
    const names = [...questions.keys()]
    const found = await sharing.look(shelf, names, claimMs)
    const replies = new Map<string, Promise<Reply>>()
    const ours = new Map<string, Question>()
    const theirs = new Map<string, Question>()
    for (const [at, [name, question]] of [...questions].entries()) {
      const one = found[at]
      if (one?.kind === 'fresh') replies.set(name, Promise.resolve(answered(one.answer)))
      else (one?.kind === 'theirs' ? theirs : ours).set(name, question)
    }
    if (replies.size > 0) this.#parts.spared(replies.size)
    for (const [name, reply] of this.#asked(ours, signal)) replies.set(name, reply)
    for (const [name, reply] of this.#awaited(theirs, signal)) replies.set(name, reply)
    return replies
  }

  #asked(questions: ReadonlyMap<string, Question>, signal: AbortSignal): Replies {
    const { questionsMax } = this.#parts
    const replies = new Map<string, Promise<Reply>>()
    const all = [...questions]
    for (let from = 0; from < all.length; from += questionsMax) {
      const piece = all.slice(from, from + questionsMax)
      const asked = this.#ask(piece, signal)
      for (const [at, [name]] of piece.entries())
        replies.set(
          name,
          asked.then((of) => of[at] ?? answered(undefined)),
        )
    }
    return replies
  }

  /** What others asked: looked at again, until it is there or they have given up. */
  #awaited(questions: ReadonlyMap<string, Question>, signal: AbortSignal): Replies {
    if (questions.size === 0) return new Map()
    const later = this.#later(questions, signal)
    const replyOf = async (name: string): Promise<Reply> =>
      (await (await later).get(name)) ?? answered(undefined)
    return new Map([...questions.keys()].map((name) => [name, replyOf(name)]))
  }

  async #later(questions: ReadonlyMap<string, Question>, signal: AbortSignal): Promise<Replies> {
    await this.#parts.clock.sleep(lookAgainMs, signal)
    return await this.of(questions, signal)
  }

  async #ask(
    piece: readonly (readonly [string, Question])[],
    signal: AbortSignal,
  ): Promise<readonly Reply[]> {
    let replies: readonly Reply[] = []
    try {
      const questions = piece.map(([, question]) => question)
      return (replies = await this.#parts.ask(questions, signal))
    } finally {
      const names = piece.map(([name]) => name)
      await this.#settle(names, replies)
    }
  }

  async #settle(names: readonly string[], replies: readonly Reply[]): Promise<void> {
    const { shelf, sharing } = this.#parts
    if (shelf.freshMs === 0) return
    const kept: Kept[] = []
    const left: string[] = []
    for (const [at, question] of names.entries()) {
      const reply = replies[at]
      if (reply?.failure === undefined && reply !== undefined) kept.push({ question, answer: reply.answer })
      else left.push(question)
    }
    if (kept.length > 0) await sharing.keep(shelf, kept)
    if (left.length > 0) await sharing.leave(shelf, left)
  }
}

export function answered(answer: Answer): Reply {
  return { failure: undefined, answer }
}

/** Who has died is waited for no longer. */
const claimMs = 10_000
const lookAgainMs = 50
