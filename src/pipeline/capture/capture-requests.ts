/**
 * What other processes ask of a source's capture, through the store: a few places, each used again, so that nothing piles up.
 * A request may be carried out again when its leader dies before it answers; each can be, without harm.
 *
 *   free ──put──▶ asked ──the leader──▶ answered ──put──▶ asked ...
 */
import type { Key, Offset } from '../../change/change.ts'
import { Failure, type FailureKind } from '../../change/failure.ts'
import type { Store, Stored } from '../../store/store.ts'
import type { LoadDemand } from './captured.ts'
import type { Clock } from '../clock.ts'
import { decide, failureOf } from '../retry-policy.ts'

export type CaptureRequest =
  | { readonly kind: 'raise-epoch'; readonly epoch: number }
  | { readonly kind: 'demand-load'; readonly group: string; readonly demand: LoadDemand }
  /** From now on changes of the pipeline's other tables lead to its documents. */
  | { readonly kind: 'derive'; readonly pipeline: string }
  | { readonly kind: 'end-load'; readonly group: string; readonly generation: number }
  | {
      readonly kind: 'touch'
      readonly table: string
      readonly keys: readonly Key[]
      readonly addressee: string | undefined
    }

/** The control record has it once this many sequence numbers are given; whoever has passed the offset has delivered it. */
export interface CaptureAnswer {
  readonly seq: number
  readonly until: Offset
}

type Reply =
  | { readonly kind: 'done'; readonly answer: CaptureAnswer }
  | {
      readonly kind: 'failed'
      readonly failure: FailureKind
      readonly message: string
      readonly remedy?: string
    }

interface Exchange {
  /** Tells one request of a place from the next. */
  readonly id: string
  readonly request: CaptureRequest
  readonly reply: Reply | null
}

export interface CaptureRequestsParts {
  readonly source: string
  readonly store: Pick<Store, 'get' | 'put' | 'list'>
  readonly clock: Clock
}

const askEveryMs = 50
const serveEveryMs = 100
/** Nobody leads for so long: whoever asked tries again later. */
const patienceMs = 30_000
const listMax = 1000

export class CaptureRequests {
  readonly #parts: CaptureRequestsParts

  constructor(parts: CaptureRequestsParts) {
    this.#parts = parts
  }

  /** At one place one thing is asked at a time. Throws the leader's Failure, or one of kind `transient` when none answers. */
  async ask(place: string, request: CaptureRequest, signal: AbortSignal): Promise<CaptureAnswer> {
    const { clock, source } = this.#parts
    const id = `${clock.now()}-${Math.floor(clock.random() * 2 ** 48)}`
    const endAtMs = clock.elapsed() + patienceMs
    let isPut = false
    while (clock.elapsed() < endAtMs) {
      signal.throwIfAborted()
      const { reply, isFree, isOurs, put } = await this.#look(place, id)
      if (isOurs && reply !== undefined) return answerOf(reply)
      if (isPut && !isOurs) break
      if (isFree) isPut = await put({ id, request, reply: null })
      await clock.sleep(askEveryMs, signal)
    }
    throw new Failure('transient', `no process that captures ${source} answers`, {
      remedy: 'start one: millrace run --roles capture',
    })
  }

  async #look(
    place: string,
    id: string,
  ): Promise<{
    readonly reply: Reply | undefined
    readonly isFree: boolean
    readonly isOurs: boolean
    readonly put: (exchange: Exchange) => Promise<boolean>
  }> {
    const name = this.#name(place)
    const stored = await this.#parts.store.get(name)
    const found = stored === undefined ? undefined : exchangeOf(stored)
    return {
      reply: found?.reply ?? undefined,
      isFree: found === undefined || found.reply !== null,
      isOurs: found?.id === id,
      put: (exchange) => this.#put(name, exchange, stored?.revision ?? 0),
    }
  }

  /** For the leader: carries out what is asked until the signal aborts. */
  async serve(
    carryOut: (request: CaptureRequest, signal: AbortSignal) => Promise<CaptureAnswer>,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, clock } = this.#parts
    while (!signal.aborted) {
      for (const stored of await store.list(this.#name(''), undefined, listMax)) {
        const exchange = exchangeOf(stored)
        if (exchange.reply !== null || signal.aborted) continue
        const reply = await replyOf(() => carryOut(exchange.request, signal))
        if (reply !== undefined) await this.#put(stored.name, { ...exchange, reply }, stored.revision)
      }
      await clock.sleep(serveEveryMs, signal)
    }
  }

  async #put(name: string, exchange: Exchange, revision: number): Promise<boolean> {
    return (await this.#parts.store.put(name, JSON.stringify(exchange), revision)) !== undefined
  }

  #name(place: string): string {
    return `capture-request:${this.#parts.source}:${place}`
  }
}

function exchangeOf({ value }: Stored): Exchange {
  return JSON.parse(value) as Exchange
}

/** What passes by itself is tried again by this leader, or the next one: whoever asked goes on waiting. */
async function replyOf(work: () => Promise<CaptureAnswer>): Promise<Reply | undefined> {
  try {
    return { kind: 'done', answer: await work() }
  } catch (error) {
    const failure = failureOf(error)
    if (decide(failure, 1).kind === 'retry') return undefined
    const { kind, message, remedy } = failure
    return { kind: 'failed', failure: kind, message, ...(remedy === undefined ? {} : { remedy }) }
  }
}

function answerOf(reply: Reply): CaptureAnswer {
  if (reply.kind === 'done') return reply.answer
  const { failure, message, remedy } = reply
  throw new Failure(failure, message, remedy === undefined ? {} : { remedy })
}
