/** The real clock and the real chance. */
import { setTimeout } from 'node:timers/promises'
import type { Clock } from './pipeline/clock.ts'

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  sleep: (durationMs, signal) => setTimeout(durationMs, undefined, { signal }),
  random: () => Math.random(),
}
