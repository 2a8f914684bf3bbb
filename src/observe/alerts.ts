/**
 * Tells people what has gone wrong, once for each incident, and once when it is over. Incidents follow from facts.
 *
 *   facts ──▶ incidents (opened after a while, or at once) ──▶ channels, each with a queue of its own
 */
import type { Fact, Observe } from '../pipeline/facts.ts'
import type { AlertChannel, AlertMessage } from './alert-channel.ts'
import { troublesOf, type Trouble } from './troubles.ts'

interface AlertLimits {
  /** What may pass by itself is told when it has lasted so long, ms. */
  readonly afterMs: number
  /** A pipeline that is further behind is told of, seconds. */
  readonly lagSeconds: number
}

interface AlertParts {
  readonly limits: AlertLimits
  /** Where people look further, in each message; undefined = nowhere. */
  readonly link: string | undefined
  readonly nowMs: () => number
  readonly channels: readonly AlertChannel[]
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

export function createAlerts(parts: AlertParts): Alerts {
  const incidents = new Map<string, Incident>()
  const tell = (state: AlertMessage['state'], key: string, incident: Incident): void => {
    const message = messageOf(state, key, incident, parts.link)
    for (const channel of parts.channels) channel.tell(message)
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
      await Promise.all(parts.channels.map((channel) => channel.close()))
    },
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
