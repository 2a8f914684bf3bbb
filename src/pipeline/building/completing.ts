/** Documents that lack what an upstream did not give, or were put aside for want of it, are made anew from time to time. */
import type { Key } from '../../change/change.ts'
import { bytesOf } from '../../change/row.ts'
import { Failure } from '../../change/failure.ts'
import type { DeadLetters } from '../../log/log.ts'
import type { Clock } from '../clock.ts'
import { upstreamOf } from './enriching.ts'

export interface CompletingParts {
  readonly group: string
  readonly upstream: string
  readonly everyMs: number
  readonly deadLetters: Pick<DeadLetters, 'list'>
  /** Whether the upstream failed so often that asking it is of no use now. */
  readonly isLeftAlone: () => boolean
  /** Has the rows with these keys delivered again. */
  readonly touch: (keys: readonly Key[], signal: AbortSignal) => Promise<void>
  readonly clock: Clock
}

/** In one round: the others have their turn in the next. */
const keysMax = 5000

/** Runs until the signal aborts. What fails now is tried in the next round: the letters stay. */
export async function completing(parts: CompletingParts, signal: AbortSignal): Promise<void> {
  const { everyMs, isLeftAlone, touch, clock } = parts
  for (;;) {
    await clock.sleep(everyMs, signal)
    if (isLeftAlone()) continue
    const keys = await lackingKeys(parts)
    try {
      if (keys.length > 0) await touch(keys, signal)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
    }
  }
}

async function lackingKeys({ group, upstream, deadLetters }: CompletingParts): Promise<readonly Key[]> {
  const keys: Key[] = []
  for await (const { fingerprint, key } of deadLetters.list(group)) {
    if (upstreamOf(fingerprint) !== upstream) continue
    // A letter has its key as text.
    keys.push(bytesOf(key) as Key)
    if (keys.length === keysMax) break
  }
  return keys
}
