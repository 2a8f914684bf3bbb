/** The end of a load: when the group has passed the last row that was read, what the table lacks is swept. */
import type { Offset } from '../../change/change.ts'
import type { Captured } from '../capture/captured.ts'
import type { Clock } from '../clock.ts'
import type { Observe } from '../facts.ts'
import type { LoadState } from '../capture/load-state.ts'

export interface LoadEndingParts {
  readonly group: string
  readonly capture: Pick<Captured, 'loadState' | 'movements' | 'moved' | 'endLoad'>
  readonly clock: Clock
  readonly observe: Observe
  /** Resolves when the group has finished everything before the offset. */
  readonly passed: (offset: Offset, signal: AbortSignal) => Promise<void>
  /** Deletes what the table lacks: documents below the version; the numbers scanned and deleted. */
  readonly sweep: (below: bigint, signal: AbortSignal) => Promise<{ scanned: number; deleted: number }>
}

/** Ends every load that is read; runs until the signal aborts. */
export async function endLoads(parts: LoadEndingParts, signal: AbortSignal): Promise<void> {
  const { capture, group } = parts
  for (;;) {
    const seen = capture.movements
    const state = capture.loadState(group)
    if (state?.phase === 'delivering') await endLoad(parts, state, signal)
    else await capture.moved(seen, signal)
  }
}

/** May be repeated after a crash. */
export async function endLoad(
  { capture, group, observe, clock, passed, sweep }: LoadEndingParts,
  state: LoadState,
  signal: AbortSignal,
): Promise<void> {
  await passed(state.until ?? 0, signal)
  if (state.sweepBelow !== null) {
    const swept = await sweep(BigInt(state.sweepBelow), signal)
    observe({ kind: 'swept', group, ...swept })
  }
  await capture.endLoad(group, state.generation)
  const seconds = (clock.now() - state.startedAtMs) / 1000
  observe({ kind: 'load-finished', group, rowsDone: state.rowsDone, seconds })
}
