/**
 * A group's dead letters. The lanes put some aside and settle others while a sweep settles those of rows that are gone:
 * one after the other, so that none of them settles a letter that another has just replaced.
 */
import type { DeadLetter, DeadLetters } from '../../log/log.ts'
import { Failure } from '../../change/failure.ts'
import { Breaker, type BreakerLimits } from './breaker.ts'
import type { Observe } from '../facts.ts'

export interface LettersParts {
  readonly group: string
  readonly deadLetters: DeadLetters
  readonly observe: Observe
  readonly breaker: BreakerLimits
}

/** A document that was written. */
export interface Written {
  readonly id: string
  /**
   * In this version it was there already, maybe with other content: what a letter of this version says of it may still hold.
   */
  readonly notOf?: bigint
}

export class Letters {
  readonly #parts: LettersParts
  /** How many are open; undefined = not counted yet. */
  #open: number | undefined
  /** What was said of that last. */
  #told: number | undefined
  #last: Promise<unknown> = Promise.resolve()

  #breaker: Breaker

  constructor(parts: LettersParts) {
    this.#parts = parts
    this.#breaker = new Breaker(parts.breaker)
  }

  /** Counts them, and forgets what failed before. */
  begin(): Promise<void> {
    this.#breaker = new Breaker(this.#parts.breaker)
    return this.#inTurn(() => this.#count())
  }

  /** Whether it is known that none is open. */
  get areNone(): boolean {
    return this.#open === 0
  }

  /** So many documents were written. */
  passed(documents: number): void {
    this.#breaker.passed(documents)
  }

  /** Durable when resolved. Throws a Failure of kind `rejected` when too many documents fail alike. */
  layAside(letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return Promise.resolve()
    const { group, deadLetters, observe } = this.#parts
    this.#open = undefined
    return this.#inTurn(async () => {
      this.#open = undefined
      const before = await deadLetters.count(group)
      await deadLetters.put(group, letters)
      for (const { id, reason, fingerprint } of letters)
        observe({ kind: 'dead-letter', group, id, reason, fingerprint })
      await this.#count()
      // Those that had failed before do not fill the place.
      for (const { fingerprint } of letters.slice(0, (this.#open ?? 0) - before))
        this.#breaker.refused(fingerprint)
      this.#refuseTooMany()
    })
  }

  /** Somebody else may have laid some aside: they are counted before it is believed again that there are none. */
  doubt(): void {
    this.#open = undefined
  }

  /** Later versions of these were written. */
  settle(written: readonly Written[]): Promise<void> {
    if (written.length === 0) return Promise.resolve()
    return this.#inTurn(async () => {
      if (this.#open === 0) return
      const kept = await this.#holding(written)
      await this.#settle(written.flatMap(({ id }) => (kept.has(id) ? [] : id)))
    })
  }

  /** Settles those with a version below this one: their rows are gone. Answers the ids of the others. */
  settleBelow(version: bigint): Promise<ReadonlySet<string>> {
    const { group, deadLetters } = this.#parts
    return this.#inTurn(async () => {
      const gone: string[] = []
      const kept = new Set<string>()
      for await (const letter of deadLetters.list(group)) {
        if (BigInt(letter.version) < version) gone.push(letter.id)
        else kept.add(letter.id)
      }
      await this.#settle(gone)
      return kept
    })
  }

  #refuseTooMany(): void {
    const { open } = this.#breaker
    if (open === undefined) return
    const { fingerprint, refused, of } = open
    throw new Failure(
      'rejected',
      `the target refuses documents alike, ${Math.round(refused)} of the last ${Math.round(of)}: ${fingerprint}`,
      {
        remedy: `correct the mapping or the rows, then: millrace pipelines resume ${this.#parts.group}; what was put aside: millrace dead-letters redrive ${this.#parts.group} --all`,
      },
    )
  }

  /** The keys of their rows. */
  keys(): Promise<readonly string[]> {
    const { group, deadLetters } = this.#parts
    return this.#inTurn(async () => {
      const keys: string[] = []
      for await (const { key } of deadLetters.list(group)) keys.push(key)
      return keys
    })
  }

  /** Those whose letters still hold. */
  async #holding(written: readonly Written[]): Promise<ReadonlySet<string>> {
    const doubted = new Map(written.flatMap(({ id, notOf }) => (notOf === undefined ? [] : [[id, notOf]])))
    const kept = new Set<string>()
    if (doubted.size === 0) return kept
    for await (const { id, version } of this.#parts.deadLetters.list(this.#parts.group)) {
      const notOf = doubted.get(id)
      if (notOf !== undefined && BigInt(version) >= notOf) kept.add(id)
    }
    return kept
  }

  async #settle(ids: readonly string[]): Promise<void> {
    if (this.#open === 0 || ids.length === 0) return
    await this.#parts.deadLetters.settle(this.#parts.group, ids)
    await this.#count()
  }

  async #count(): Promise<void> {
    const { group, deadLetters, observe } = this.#parts
    const open = await deadLetters.count(group)
    if (open !== this.#told) observe({ kind: 'dead-letters', group, open })
    this.#open = this.#told = open
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => undefined)
    return done
  }
}
