/**
 * A refresh: documents are made anew although no row changed, because an upstream knows something else now. It is a load
 * without a sweep, slow where that is asked for, before which all answers that are kept count as old.
 */
import { Failure } from '../../change/failure.ts'
import type { Captured } from '../capture/captured.ts'
import type { Clock } from '../clock.ts'

export interface Refreshed {
  readonly group: string
  readonly table: string
  readonly rowsEstimate: number
  /** undefined = as fast as other loads. */
  readonly rowsPerSecond: number | undefined
}

/**
 * Durably begun when it resolves. Throws a Failure: `conflict` while the group's table is being read anyway, `transient`
 * while nothing is captured.
 */
export async function refresh(
  { capture, clock }: { readonly capture: Captured; readonly clock: Pick<Clock, 'now'> },
  { group, table, rowsEstimate, rowsPerSecond }: Refreshed,
): Promise<void> {
  const before = capture.loadState(group)
  const startedAtMs = clock.now()
  const generation = (before?.generation ?? 0) + 1
  if (before !== undefined && before.phase !== 'done') throw underWay(group)
  await capture.demandLoad(group, {
    table,
    generation,
    sweeps: false,
    rowsEstimate,
    reason: 'upstreams are asked anew',
    startedAtMs,
    renewedAtMs: startedAtMs,
    ...(rowsPerSecond === undefined ? {} : { rowsPerSecond }),
  })
  // Another demand came first, such as that of a barrier.
  if (capture.loadState(group)?.renewedAtMs !== startedAtMs) throw underWay(group)
}

function underWay(group: string): Failure {
  return new Failure('conflict', `the table of ${group} is being read already`, {
    remedy: 'begin the refresh when that has ended: millrace status shows it',
  })
}
