/**
 * Several processes over one log: in one of them the source is captured, the others stand by; any of them delivers.
 *
 *   capture   lease capture:SOURCE ─▶ the feed, the loads' reading, what others ask of capture
 *   deliver   RemoteCapture         ─▶ pipelines; of each group one process prepares its index, one ends its loads
 */
import type { Offset } from '../change/change.ts'
import type { Group, LogAdmin } from '../log/log.ts'
import type { Store } from '../store/store.ts'
import type { CaptureAnswer, CaptureRequest, CaptureRequests } from './capture/capture-requests.ts'
import type { Clock } from './clock.ts'
import type { Observe } from './facts.ts'
import { Lease } from './lease.ts'
import { endLoads } from './load/load-ending.ts'
import type { PipelineParts } from './pipeline.ts'
import type { RemoteCapture } from './capture/remote-capture.ts'
import { together } from './together.ts'

export interface SharedParts {
  /** This process, at this start. */
  readonly owner: string
  readonly store: Store
  readonly clock: Clock
  readonly leaseTermMs: number
  readonly observe: Observe
}

type Work = (ending: AbortSignal) => Promise<void>

/** Works as long as we lead the source's capture; stands by while another does. */
export async function leadCapture(
  parts: SharedParts & { readonly source: string },
  works: {
    readonly feed: Work
    /** The reading of loads, and whatever else needs capture at hand. */
    readonly others: readonly Work[]
    readonly requests: Pick<CaptureRequests, 'serve'>
    readonly carryOut: (request: CaptureRequest, signal: AbortSignal) => Promise<CaptureAnswer>
  },
  signal: AbortSignal,
): Promise<void> {
  const { feed, others, requests, carryOut } = works
  const serve: Work = (ending) => requests.serve(carryOut, ending)
  const lease = leaseOf(parts, `capture:${parts.source}`)
  await lease.hold((_, ending) => together(ending, [feed, serve, ...others]), signal)
}

/** The ways of a pipeline whose capture may be anywhere. */
export function captureElsewhere(
  parts: SharedParts & { readonly group: string; readonly log: Pick<LogAdmin, 'untilGroups'> },
  capture: RemoteCapture,
): Pick<PipelineParts, 'capture' | 'loading' | 'alone'> {
  const { group, log, clock, observe } = parts
  const passed = passedIn(log, group)
  return {
    capture,
    loading: async ({ sweep }, signal) => {
      const ending = { group, capture, clock, observe, passed, sweep }
      await leaseOf(parts, `loads:${group}`).hold((_, over) => endLoads(ending, over), signal)
    },
    alone: async (work, signal) => await alone(leaseOf(parts, `prepare:${group}`), work, signal),
  }
}

/** Every lane, whichever process delivers it. */
export function passedIn(
  log: Pick<LogAdmin, 'untilGroups'>,
  group: string,
): (offset: Offset, signal: AbortSignal) => Promise<void> {
  return async (offset, signal) => {
    const hasPassed = ({ name, lanes }: Group): boolean =>
      name === group && lanes.every((next) => next >= offset)
    await log.untilGroups((groups) => groups.some(hasPassed), signal)
  }
}

async function alone<T>(lease: Lease, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  let result: { readonly value: T } | undefined
  await lease.hold(async () => {
    result = { value: await work() }
  }, signal)
  signal.throwIfAborted()
  if (result === undefined) throw new Error('a lease was held and nothing was done')
  return result.value
}

function leaseOf({ owner, store, clock, leaseTermMs, observe }: SharedParts, name: string): Lease {
  return new Lease({ name, owner, store, clock, termMs: leaseTermMs, observe })
}
