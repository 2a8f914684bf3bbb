/**
 * Tells a group of people what has gone wrong, once for each incident, and once when it is over. Incidents follow from
 * facts; messages go to a webhook, in the background: nothing ever waits for it.
 *
 *   facts ──▶ incidents (opened after a while, or at once) ──▶ queue ──▶ webhook
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Fact, Observe } from '../pipeline/facts.ts'
import { troublesOf, type Trouble } from './troubles.ts'

interface AlertLimits {
  /** What may pass by itself is told when it has lasted so long, ms. */
  readonly afterMs: number
  /** A pipeline that is further behind is told of, seconds. */
  readonly lagSeconds: number
}

export interface AlertParts {
  readonly limits: AlertLimits
  /** Where people look further, in each message; undefined = nowhere. */
  readonly link: string | undefined
  readonly nowMs: () => number
  /** Resolves when the message has arrived; may throw. */
  readonly send: (message: AlertMessage, signal: AbortSignal) => Promise<void>
  /** Told when a message could not be sent. */
  readonly failed: (why: string) => void
}

export interface AlertMessage {
  readonly state: 'open' | 'over'
  /** What is the same in both messages of an incident. */
  readonly incident: string
  /** `PIPELINE@TARGET`, or a source. */
  readonly subject: string
  readonly cause: string
  readonly remedy: string | null
  readonly link: string | null
  readonly since: string
  /** All of it in a line, which chat services show. */
  readonly text: string
}

export interface Alerts {
  readonly observe: Observe
  /** Sends what is waiting, for a while, then gives up. */
  readonly close: () => Promise<void>
}

interface Incident {
  readonly trouble: Trouble
  readonly sinceMs: number
  seenAtMs: number
  isTold: boolean
}

/** Messages that wait; beyond that the oldest goes. */
const waitingMax = 100
const attemptWaitsMs = [1000, 2000, 5000, 10_000]
const closeMs = 3000

export function createAlerts(parts: AlertParts): Alerts {
  const incidents = new Map<string, Incident>()
  const waiting: AlertMessage[] = []
  const ending = new AbortController()
  let sending: Promise<void> | undefined

  const tell = (state: AlertMessage['state'], key: string, incident: Incident): void => {
    waiting.push(messageOf(state, key, incident, parts.link))
    if (waiting.length > waitingMax) waiting.shift()
    sending ??= sendAll().finally(() => (sending = undefined))
  }
  const sendAll = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      await sendOne(parts, next, ending.signal)
  }
  const end = (key: string): void => {
    const incident = incidents.get(key)
    if (incident === undefined) return
    incidents.delete(key)
    if (incident.isTold) tell('over', key, incident)
  }
  const look = (nowMs: number): void => {
    for (const [key, incident] of incidents) {
      const { trouble, seenAtMs, sinceMs } = incident
      if (trouble.endsAfterMs !== undefined && nowMs - seenAtMs > trouble.endsAfterMs) end(key)
      else if (!incident.isTold && (trouble.isCertain || nowMs - sinceMs >= parts.limits.afterMs)) {
        incident.isTold = true
        tell('open', key, incident)
      }
    }
  }
  return {
    observe(fact: Fact) {
      const nowMs = parts.nowMs()
      const { begun, over } = troublesOf(fact, parts.limits)
      for (const key of over) end(key)
      for (const trouble of begun) {
        const known = incidents.get(trouble.key)
        if (known === undefined)
          incidents.set(trouble.key, { trouble, sinceMs: nowMs, seenAtMs: nowMs, isTold: false })
        else known.seenAtMs = nowMs
      }
      if (begun.length > 0 || fact.kind === 'lag') look(nowMs)
    },
    async close() {
      const patience = setTimeout(() => ending.abort(), closeMs)
      await sending
      clearTimeout(patience)
    },
  }
}

async function sendOne(parts: AlertParts, message: AlertMessage, signal: AbortSignal): Promise<void> {
  for (const waitMs of [...attemptWaitsMs, undefined]) {
    try {
      await parts.send(message, signal)
      return
    } catch (error) {
      if (waitMs === undefined || signal.aborted) {
        parts.failed(
          `an alert could not be sent: ${error instanceof Error ? error.message : 'unknown error'}`,
        )
        return
      }
      await delay(waitMs, undefined, { signal }).catch(() => undefined)
    }
  }
}

function messageOf(
  state: AlertMessage['state'],
  key: string,
  { trouble, sinceMs }: Incident,
  link: string | undefined,
): AlertMessage {
  const { subject, cause, remedy } = trouble
  const words = [
    state === 'open' ? `millrace: ${subject}: ${cause}` : `millrace: ${subject}: over: ${cause}`,
    ...(state === 'open' && remedy !== undefined ? [`remedy: ${remedy}`] : []),
    ...(link === undefined ? [] : [link]),
  ]
  return {
    state,
    incident: key,
    subject,
    cause,
    remedy: remedy ?? null,
    link: link ?? null,
    since: new Date(sinceMs).toISOString(),
    text: words.join('\n'),
  }
}
