/** The alerts that the settings ask for. */
import type { Settings } from '../config/schema.ts'
import { createAlerts, type AlertMessage, type Alerts } from '../observe/alerts.ts'
import { systemClock } from '../system-clock.ts'

const sendTimeoutMs = 10_000

/** `note` is told what could not be sent. Without a webhook nothing is. */
export function alertsOf({ alerts }: Settings, note: (what: string) => void): Alerts {
  const { webhook, link, afterSeconds, lagSeconds } = alerts
  if (webhook === undefined) return { observe: () => undefined, close: () => Promise.resolve() }
  return createAlerts({
    limits: { afterMs: afterSeconds * 1000, lagSeconds },
    link,
    nowMs: () => systemClock.now(),
    send: (message, signal) => post(webhook, message, signal),
    failed: note,
  })
}

async function post(webhook: string, message: AlertMessage, signal: AbortSignal): Promise<void> {
  const response = await fetch(webhook, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(message),
    signal: AbortSignal.any([signal, AbortSignal.timeout(sendTimeoutMs)]),
  })
  await response.body?.cancel()
  if (!response.ok) throw new Error(`the webhook answered ${response.status}`)
}
