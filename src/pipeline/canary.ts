/**
 * A row that is changed again and again, and must be found by a search: the whole way is measured, and a stage that stands
 * still is seen within seconds, whatever it says of itself.
 *
 *   UPDATE row ──▶ binlog ──▶ log ──▶ lane ──▶ target ──▶ refresh ──▶ found by a search: so many seconds
 */
import { Failure } from '../change/failure.ts'
import type { Clock } from './clock.ts'
import type { Observe } from './facts.ts'

export interface CanaryParts {
  readonly group: string
  /** The row is changed so often, ms. */
  readonly everyMs: number
  /** A search must find the change within so long, ms. */
  readonly withinMs: number
  readonly clock: Clock
  readonly observe: Observe
  /** Sets the row's column to this; resolves when that is committed. */
  readonly change: (value: number) => Promise<void>
  /** What a search finds in the row's document; undefined = nothing. */
  readonly found: () => Promise<number | undefined>
}

/** Runs until the signal aborts. */
export async function watchCanary(parts: CanaryParts, signal: AbortSignal): Promise<void> {
  const { clock, everyMs } = parts
  while (!signal.aborted) {
    const changedAtMs = clock.now()
    await follow(parts, changedAtMs, signal)
    await clock.sleep(Math.max(lookEveryMs, changedAtMs + everyMs - clock.now()), signal)
  }
}

/** Resolves when a search has found the change. */
async function follow(parts: CanaryParts, changedAtMs: number, signal: AbortSignal): Promise<void> {
  const { group, withinMs, clock, observe } = parts
  let isChanged = false
  for (let missedAtMs = changedAtMs + withinMs; ;) {
    const failure = await tryTo(async () => {
      if (!isChanged) await parts.change(changedAtMs)
      isChanged = true
      return ((await parts.found()) ?? 0) >= changedAtMs
    })
    const seconds = (clock.now() - changedAtMs) / 1000
    if (failure === 'found')
      return observe({ kind: 'canary', group, isFound: true, seconds, failure: undefined })
    if (clock.now() >= missedAtMs) {
      observe({ kind: 'canary', group, isFound: false, seconds, failure })
      missedAtMs += withinMs
    }
    // Each look is a request: a change that takes long is not looked for as often as one that is just late.
    await clock.sleep(Math.max(lookEveryMs, (clock.now() - changedAtMs) * lookShare), signal)
  }
}

/** undefined = not found yet; a Failure says why that is not known. */
async function tryTo(look: () => Promise<boolean>): Promise<'found' | Failure | undefined> {
  try {
    return (await look()) ? 'found' : undefined
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
}

const lookEveryMs = 50
const lookShare = 0.05
