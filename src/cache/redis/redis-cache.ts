/** Speed limits and answers that processes share in Redis or Valkey, 6 or newer. */
import { createHash, randomUUID } from 'node:crypto'
import { Redis, type RedisOptions } from 'ioredis'
import { Failure } from '../../change/failure.ts'
import type { Answer } from '../../upstream/upstream.ts'
import type { Cache, Found, Kept, Rate, Shelf } from '../cache.ts'
import { keep, leave, look, take } from './scripts.ts'

export interface RedisCacheSettings {
  readonly host: string
  readonly port: number
  readonly user: string | undefined
  readonly password: string | undefined
  readonly database: number
  readonly tls: RedisTls | undefined
  /** Before the name of every key. */
  readonly prefix: string
  /** How long one call may take, ms; 500 where it is not given. */
  readonly callMs?: number
  /** How long all keep to their own part of rates after one was away, ms: longer than others need to come back. */
  readonly settleMs?: number
  /** Hears the failure with which it is lost, or undefined when it is there. */
  readonly tell: (failure: Failure | undefined) => void
}

/** Certificates and keys as PEM text. */
interface RedisTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly verify: boolean
  readonly verifyName: boolean
}

/**
 * Connects at once, and again after an interruption, by itself. A call never waits for that: it throws a Failure of kind
 * `transient` or `unauthorised` while there is no connection, so that its caller goes on alone.
 */
export class RedisCache implements Cache {
  readonly #redis: Redis
  readonly #settings: RedisCacheSettings
  readonly #whoAsks = `?${randomUUID()}`
  #isShared = false
  /** Something was done without the others since they last heard of us. */
  #wasAlone = false
  #isClosed = false
  /** undefined = nothing yet. */
  #told: { readonly failure: Failure | undefined } | undefined

  constructor(settings: RedisCacheSettings) {
    this.#settings = settings
    this.#redis = clientOf(settings)
    this.#redis.on('error', (error) => this.#lost(error))
    this.#redis.on('close', () =>
      this.#lost(this.#told?.failure?.cause ?? new Error('the connection is closed')),
    )
    this.#redis.on('ready', () => void this.#join())
    // Its outcome is told by the events above.
    void Promise.allSettled([this.#redis.connect()])
  }

  async take({ name, perSecond }: Rate, amount: number, notBeforeMs: number): Promise<number | undefined> {
    const cost = Math.ceil((amount / perSecond) * 1_000_000)
    const delay = Math.ceil(notBeforeMs * 1000)
    const keys = [this.#key('rate', name), this.#key('settling')]
    const wait = Number(await this.#run(take, keys, [cost, delay]))
    return wait < 0 ? undefined : wait / 1000
  }

  async look(shelf: Shelf, questions: readonly string[], claimMs: number): Promise<readonly Found[]> {
    const keys = questions.map((question) => this.#answerKey(shelf, question))
    const found = await Promise.all(
      pieces(keys).map((piece) => this.#run(look, piece, [this.#whoAsks, Math.ceil(claimMs)])),
    )
    return found.flat().map((value) => foundIn(String(value)))
  }

  async keep(shelf: Shelf, answers: readonly Kept[]): Promise<void> {
    const order = this.#key('answers', shelf.name)
    const bounds = [Math.ceil(shelf.freshMs), shelf.entriesMax]
    for (const piece of pieces(answers)) {
      const keys = piece.map(({ question }) => this.#answerKey(shelf, question))
      const values = piece.map(({ answer }) => valueOf(answer))
      await this.#run(keep, [order, ...keys], [...bounds, ...values])
    }
  }

  async leave(shelf: Shelf, questions: readonly string[]): Promise<void> {
    for (const piece of pieces(questions)) {
      const keys = piece.map((question) => this.#answerKey(shelf, question))
      await this.#run(leave, keys, [this.#whoAsks])
    }
  }

  close(): Promise<void> {
    this.#isClosed = true
    this.#redis.disconnect()
    return Promise.resolve()
  }

  async #run(
    script: string,
    keys: readonly string[],
    values: readonly (string | number)[],
  ): Promise<unknown> {
    if (!this.#isShared) {
      this.#wasAlone = true
      throw this.#told?.failure ?? new Failure('transient', `${this.#place()}: not connected yet`)
    }
    try {
      const result = await this.#redis.eval(script, keys.length, ...keys, ...values)
      this.#tell(undefined)
      return result
    } catch (error) {
      this.#wasAlone = true
      // Who does not answer in time may hang: a new connection is used only when it answers again.
      if (!isAnswered(error)) this.#redis.disconnect(true)
      throw this.#lost(error)
    }
  }

  /** Whoever comes back makes all keep to their own part for a moment: others may still be away. */
  async #join(): Promise<void> {
    try {
      if (this.#wasAlone) {
        const { settleMs = settleMsPreset } = this.#settings
        await this.#redis.set(this.#key('settling'), '1', 'PX', settleMs)
      }
      this.#wasAlone = false
      this.#isShared = true
      this.#tell(undefined)
    } catch (error) {
      this.#lost(error)
      this.#redis.disconnect(true)
    }
  }

  #lost(error: unknown): Failure {
    const { message } = error as Error
    const isRefused = /^(NOAUTH|WRONGPASS|NOPERM)/.test(message)
    const failure = new Failure(isRefused ? 'unauthorised' : 'transient', `${this.#place()}: ${message}`, {
      remedy: isRefused
        ? 'correct user and password in cache.url'
        : 'see whether the server of cache.url runs and can be reached',
      cause: error,
    })
    if (!isAnswered(error)) {
      if (this.#isShared) this.#wasAlone = true
      this.#isShared = false
    }
    this.#tell(failure)
    return failure
  }

  #tell(failure: Failure | undefined): void {
    const known = this.#told
    this.#told = { failure }
    const isNews = known === undefined || (known.failure === undefined) !== (failure === undefined)
    if (isNews && !this.#isClosed) this.#settings.tell(failure)
  }

  #place(): string {
    const { host, port } = this.#settings
    return `the cache at ${host}:${port}`
  }

  #answerKey({ name }: Shelf, question: string): string {
    return this.#key('answer', name, createHash('sha256').update(question).digest('base64url'))
  }

  #key(...parts: readonly string[]): string {
    return [this.#settings.prefix, ...parts].join(':')
  }
}

const callMsPreset = 500
const connectMs = 1000
const reconnectMsMax = 1000
/** A process that had lost it is back after a pause, an attempt to connect and a call. */
const settleMsPreset = 2 * (reconnectMsMax + connectMs + callMsPreset)
/** Redis does nothing else while a script runs, so none works on more keys than this. */
const keysAtOnce = 200

function clientOf(settings: RedisCacheSettings): Redis {
  const { host, port, user, password, database, tls, callMs = callMsPreset } = settings
  return new Redis({
    host,
    port,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    db: database,
    ...(tls === undefined ? {} : { tls: encryptionOf(tls) }),
    connectionName: 'millrace',
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: callMs,
    connectTimeout: connectMs,
    retryStrategy: (attempt) => Math.min(100 * attempt, reconnectMsMax),
  })
}

function encryptionOf({ verify, verifyName, ...certificates }: RedisTls): RedisOptions['tls'] & object {
  return {
    ...certificates,
    rejectUnauthorized: verify,
    ...(verifyName ? {} : { checkServerIdentity: () => undefined }),
  }
}

/** Whether Redis itself told the error: the connection is sound. */
function isAnswered(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}

function valueOf(answer: Answer): string {
  return `=${answer ?? ''}`
}

function foundIn(value: string): Found {
  if (value === '!') return { kind: 'ours' }
  if (value === '?') return { kind: 'theirs' }
  // No JSON text is empty: that stands for what the upstream does not know.
  return { kind: 'fresh', answer: value === '=' ? undefined : value.slice(1) }
}

function pieces<T>(all: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(all.length / keysAtOnce) }, (_, at) =>
    all.slice(at * keysAtOnce, (at + 1) * keysAtOnce),
  )
}
