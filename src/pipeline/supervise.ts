/** Keeps a part running: again after a wait while its failures pass by themselves; a person is needed for the others. */
import type { Clock } from './clock.ts'
import type { Observe } from './facts.ts'
import { decide, failureOf } from './retry-policy.ts'

export interface SuperviseParts {
  /** For people: `capture of main`. */
  readonly part: string
  readonly clock: Clock
  readonly observe: Observe
}

/** A part that ran so long has recovered: the next failure is a first one. */
const recoveredAfterMs = 60_000

/** Returns when the signal aborts or `run` returns; throws a Failure that waiting does not mend. */
export async function supervise(
  { part, clock, observe }: SuperviseParts,
  run: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; !signal.aborted; attempt++) {
    const startedAtMs = clock.elapsed()
    try {
      return await run(signal)
    } catch (error) {
      if (signal.aborted) return
      const failure = failureOf(error)
      if (clock.elapsed() - startedAtMs > recoveredAfterMs) attempt = 1
      const decision = decide(failure, attempt)
      if (decision.kind === 'stop') throw failure
      observe({ kind: 'restarting', part, failure, attempt, waitMs: decision.waitMs })
      await clock.sleep(decision.waitMs, signal).catch(() => undefined)
    }
  }
}
