/**
 * The one door to an upstream, for all pipelines that ask it: what was answered lately is not asked again, equal questions
 * under way are asked once, and its rate, concurrency and patience are kept; one that fails again and again is left alone
 * for a while.
 */
import { Failure } from '../../change/failure.ts'
import type { Rate } from '../../cache/cache.ts'
import type { Answer, Question, Upstream } from '../../upstream/upstream.ts'
import type { Clock } from '../clock.ts'
import type { Observe } from '../facts.ts'
import { decide, failureOf } from '../retry-policy.ts'
import { answered, SharedAnswers, type Reply } from './shared-answers.ts'
import type { Sharing } from './sharing.ts'
import { Signal } from '../../change/signal.ts'

export interface InquiryLimits {
  /** 0 = without a limit. */
  readonly requestsPerSecond: number
  /** Requests under way at once. */
  readonly concurrency: number
  /** How often a request is tried again. */
  readonly retries: number
  /** After so many failed requests in a row the upstream is left alone ... */
  readonly breakerFailures: number
  /** ... for so long. */
  readonly breakerMs: number
  /** How long an answer is fresh; 0 = nothing is kept. */
  readonly cacheMs: number
  readonly cacheEntries: number
}

export interface InquiryParts {
  readonly name: string
  /** Where answers are kept: another one for every way of asking. */
  readonly shelf: string
  readonly upstream: Upstream
  readonly limits: InquiryLimits
  readonly sharing: Sharing
  readonly clock: Clock
  readonly observe: Observe
}

export class Inquiries {
  readonly #parts: InquiryParts
  readonly #answers: SharedAnswers
  readonly #underWay = new Map<string, Promise<Reply>>()
  readonly #freed = new Signal()
  /** Part of the name under which answers are kept. */
  #renewedAtMs = 0
  #running = 0
  #failures = 0
  #openUntilMs = 0
  /** So long it asked us to stay away. */
  #quietUntilMs = 0
  #lastFailure: Failure | undefined

  constructor(parts: InquiryParts) {
    const { shelf: name, limits, sharing, clock } = parts
    this.#parts = parts
    this.#answers = new SharedAnswers({
      shelf: { name, freshMs: limits.cacheMs, entriesMax: limits.cacheEntries },
      sharing,
      clock,
      questionsMax: parts.upstream.questionsMax,
      ask: (questions, signal) => this.#request(questions, signal),
      spared: (cached) => this.#spared({ cached, shared: 0 }),
    })
  }

  /** One reply for each question, in order. Throws only the signal's reason. */
  async ask(questions: readonly Question[], signal: AbortSignal): Promise<readonly Reply[]> {
    const names = questions.map((question) => `${this.#renewedAtMs}${JSON.stringify(question)}`)
    const missing = new Map<string, Question>()
    for (const [at, question] of questions.entries()) {
      const name = names[at] ?? ''
      if (!this.#underWay.has(name)) missing.set(name, question)
    }
    const shared = questions.length - missing.size
    if (shared > 0) this.#spared({ cached: 0, shared })
    this.#begin(missing, signal)
    const replies = names.map(async (name) => await this.#underWay.get(name))
    const settled = await Promise.allSettled(replies)
    signal.throwIfAborted()
    // Another pipeline that asked the same has ended meanwhile: its question dies with it, ours does not.
    if (settled.some(({ status }) => status === 'rejected')) return await this.ask(questions, signal)
    return (await Promise.all(replies)).map((reply) => reply ?? answered(undefined))
  }

  /** What was answered before this time, ms since 1970, is not used any more, wherever it is kept. */
  renew(atMs: number): void {
    this.#renewedAtMs = Math.max(this.#renewedAtMs, atMs)
  }

  /** Whether it failed so often that it is not asked for a while. */
  get isLeftAlone(): boolean {
    return this.#parts.clock.elapsed() < this.#openUntilMs
  }

  async close(): Promise<void> {
    await this.#parts.upstream.close()
  }

  #begin(missing: ReadonlyMap<string, Question>, signal: AbortSignal): void {
    if (missing.size === 0) return
    const replies = this.#answers.of(missing, signal)
    for (const name of missing.keys()) {
      const reply = replies.then(async (all) => (await all.get(name)) ?? answered(undefined))
      this.#underWay.set(name, reply)
      void this.#forgetWhenDone(name, reply)
    }
  }

  async #forgetWhenDone(name: string, reply: Promise<Reply>): Promise<void> {
    await Promise.allSettled([reply])
    this.#underWay.delete(name)
  }

  /** Where one of many questions can never be answered, the others are asked without it. */
  async #request(questions: readonly Question[], signal: AbortSignal): Promise<readonly Reply[]> {
    try {
      return (await this.#tryAgain(questions, signal)).map(answered)
    } catch (error) {
      signal.throwIfAborted()
      const failure = failureOf(error)
      if (failure.kind !== 'rejected' || questions.length === 1)
        return questions.map(() => ({ failure, answer: undefined }))
      const middle = Math.ceil(questions.length / 2)
      const halves = [questions.slice(0, middle), questions.slice(middle)]
      return (await Promise.all(halves.map((half) => this.#request(half, signal)))).flat()
    }
  }

  async #tryAgain(questions: readonly Question[], signal: AbortSignal): Promise<readonly Answer[]> {
    const { limits, clock } = this.#parts
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(questions, signal)
      } catch (error) {
        signal.throwIfAborted()
        const failure = failureOf(error)
        const decision = decide(failure, attempt)
        if (decision.kind === 'stop' || attempt > limits.retries || this.isLeftAlone) throw failure
        await clock.sleep(failure.retryAfterMs ?? decision.waitMs, signal)
      }
    }
  }

  async #once(questions: readonly Question[], signal: AbortSignal): Promise<readonly Answer[]> {
    const { upstream, clock } = this.#parts
    await this.#turn(signal)
    const startedAtMs = clock.elapsed()
    try {
      if (this.isLeftAlone) throw this.#leftAlone()
      const answers = await upstream.ask(questions, signal)
      this.#tell(questions.length, clock.elapsed() - startedAtMs, undefined)
      this.#succeeded()
      return answers
    } catch (error) {
      signal.throwIfAborted()
      const failure = failureOf(error)
      this.#tell(questions.length, clock.elapsed() - startedAtMs, failure)
      // That it cannot answer this very question says nothing against it.
      if (failure.kind !== 'rejected') this.#failed(failure)
      if (failure.retryAfterMs !== undefined)
        await this.#parts.sharing.holdBack(this.#rate, failure.retryAfterMs)
      throw failure
    } finally {
      this.#running--
      this.#freed.notify()
    }
  }

  /** Waits for a place among those under way, until it may be asked again, and for the rate. */
  async #turn(signal: AbortSignal): Promise<void> {
    const { limits, sharing, clock } = this.#parts
    for (let seen = this.#freed.count; this.#running >= limits.concurrency;)
      seen = await this.#freed.next(seen, signal)
    this.#running++
    try {
      // Who asks while it is left alone is not kept waiting.
      while (!this.isLeftAlone) {
        await sharing.keepPace(this.#rate, limits.requestsPerSecond === 0 ? 0 : 1, signal)
        if (this.#quietMs <= 0) break
        await clock.sleep(this.#quietMs, signal)
      }
    } catch (error) {
      this.#running--
      this.#freed.notify()
      throw error
    }
  }

  /** Where there is no limit nothing is taken of it, but it can be held back. */
  get #rate(): Rate {
    const { name, limits } = this.#parts
    return { name: `upstream ${name}`, perSecond: limits.requestsPerSecond || 1 }
  }

  get #quietMs(): number {
    return this.#quietUntilMs - this.#parts.clock.elapsed()
  }

  #leftAlone(): Failure {
    const { name } = this.#parts
    const last = this.#lastFailure?.message ?? 'it failed'
    return new Failure('transient', `the upstream ${name} is left alone for a while: ${last}`)
  }

  #succeeded(): void {
    if (this.#openUntilMs > 0)
      this.#parts.observe({ kind: 'upstream-state', upstream: this.#parts.name, failure: undefined })
    this.#failures = this.#openUntilMs = 0
  }

  #failed(failure: Failure): void {
    const { limits, clock, observe, name } = this.#parts
    const { retryAfterMs = 0 } = failure
    this.#quietUntilMs = Math.max(this.#quietUntilMs, clock.elapsed() + retryAfterMs)
    this.#failures++
    if (this.#failures < limits.breakerFailures || this.isLeftAlone) return
    this.#openUntilMs = clock.elapsed() + limits.breakerMs
    this.#lastFailure = failure
    observe({ kind: 'upstream-state', upstream: name, failure })
  }

  #spared(counts: { readonly cached: number; readonly shared: number }): void {
    this.#parts.observe({ kind: 'upstream-spared', upstream: this.#parts.name, ...counts })
  }

  #tell(questions: number, tookMs: number, failure: Failure | undefined): void {
    const { observe, name } = this.#parts
    observe({ kind: 'upstream-asked', upstream: name, questions, tookMs, failure })
  }
}
