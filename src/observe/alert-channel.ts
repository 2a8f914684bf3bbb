/** What goes to one group of people: in order, in the background, a few attempts for each message. Nothing ever waits for it. */
import { messageOf } from '../change/failure.ts'
import { setTimeout as delay } from 'node:timers/promises'

export interface AlertMessage {
  readonly state: 'open' | 'over'
  /** What is the same in both messages of an incident. */
  readonly incident: string
  /** `PIPELINE@TARGET`, a source, or what processes share. */
  readonly subject: string
  readonly cause: string
  readonly remedy: string | null
  readonly link: string | null
  readonly since: string
  /** All of it, for people. */
  readonly text: string
}

interface AlertChannelParts {
  /** Whether these people are told of a group of the log, a source, or whatever else a message is about. */
  readonly hears: (subject: string) => boolean
  /** Resolves when the message has arrived; may throw. */
  readonly send: (message: AlertMessage, signal: AbortSignal) => Promise<void>
  /** Told when a message could not be sent. */
  readonly failed: (why: string) => void
}

/** Messages that wait; beyond that the oldest goes. */
const waitingMax = 100
const attemptWaitsMs = [1000, 2000, 5000, 10_000]
const closeMs = 3000

export class AlertChannel {
  readonly #parts: AlertChannelParts
  readonly #waiting: AlertMessage[] = []
  readonly #ending = new AbortController()
  #sending: Promise<void> | undefined

  constructor(parts: AlertChannelParts) {
    this.#parts = parts
  }

  tell(message: AlertMessage): void {
    if (!this.#parts.hears(message.subject)) return
    this.#waiting.push(message)
    if (this.#waiting.length > waitingMax) this.#waiting.shift()
    this.#sending ??= this.#sendAll().finally(() => (this.#sending = undefined))
  }

  /** Sends what is waiting, for a while, then gives up. */
  async close(): Promise<void> {
    const patience = setTimeout(() => this.#ending.abort(), closeMs)
    await this.#sending
    clearTimeout(patience)
  }

  async #sendAll(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift())
      await this.#sendOne(next)
  }

  async #sendOne(message: AlertMessage): Promise<void> {
    const { send, failed } = this.#parts
    const { signal } = this.#ending
    for (const waitMs of [...attemptWaitsMs, undefined]) {
      try {
        return await send(message, signal)
      } catch (error) {
        if (waitMs === undefined || signal.aborted)
          return failed(`an alert could not be sent: ${messageOf(error)}`)
        await delay(waitMs, undefined, { signal }).catch(() => undefined)
      }
    }
  }
}
