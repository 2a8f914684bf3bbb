/** The alerts that the settings ask for, and who is told of what. */
import type { Configuration } from '../config/load.ts'
import { groupOf } from '../config/pipeline.ts'
import type { Settings } from '../config/schema.ts'
import { AlertChannel, type AlertMessage } from '../observe/alert-channel.ts'
import { createAlerts, type Alerts } from '../observe/alerts.ts'
import { systemClock } from '../system-clock.ts'

type ChannelSettings = Settings['alerts']['channels'][string]

const sendTimeoutMs = 10_000

/** `note` is told what could not be sent. Without a channel nothing is. */
export function alertsOf(configuration: Configuration, note: (what: string) => void): Alerts {
  const { link, afterSeconds, lagSeconds, channels } = configuration.settings.alerts
  return createAlerts({
    limits: { afterMs: afterSeconds * 1000, lagSeconds },
    link,
    nowMs: () => systemClock.now(),
    channels: Object.entries(channels).map(
      ([name, channel]) =>
        new AlertChannel({
          hears: hearingOf(configuration, name),
          send: (message, signal) => post(channel, message, signal),
          failed: (why) => note(`${name}: ${why}`),
        }),
    ),
  })
}

/** Of a source those are told who are told of one of its pipelines; of what is nobody's own, all. */
function hearingOf({ pipelines }: Configuration, channel: string): (subject: string) => boolean {
  const known = subjectsOf(pipelines)
  const heard = subjectsOf(pipelines.filter(({ policy }) => policy.alerts.includes(channel)))
  return (subject) => heard.has(subject) || !known.has(subject)
}

function subjectsOf(pipelines: Configuration['pipelines']): ReadonlySet<string> {
  return new Set(pipelines.flatMap((pipeline) => [groupOf(pipeline), pipeline.source]))
}

async function post(
  { webhook, format }: ChannelSettings,
  message: AlertMessage,
  signal: AbortSignal,
): Promise<void> {
  const response = await fetch(webhook, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(format === 'slack' ? { text: escaped(message.text) } : message),
    signal: AbortSignal.any([signal, AbortSignal.timeout(sendTimeoutMs)]),
  })
  await response.body?.cancel()
  if (!response.ok) throw new Error(`the webhook answered ${response.status}`)
}

/** Slack takes these for markup. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
