/**
 * What is kept. Segments go from the oldest on, and only whole. One that every group has delivered goes when the log is
 * over its size or the segment over its age. One that some group still needs stays beyond both, up to the ceiling; there it
 * goes all the same, after the groups that needed it were durably marked as lost. The last segment always stays: it
 * holds the control record.
 */
import type { Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import type { WrittenSegment } from './segment.ts'

export interface RetentionLimits {
  /** What all groups have delivered is kept up to so many bytes. */
  readonly retentionBytes: number
  /** ... and for so long, ms. */
  readonly retentionMs: number
  /** The log never stays larger than this (and one segment). */
  readonly ceilingBytes: number
}

export function checkLimits(limits: RetentionLimits): void {
  if (limits.retentionBytes > limits.ceilingBytes)
    throw new Failure(
      'configuration',
      `the log keeps ${limits.retentionBytes} bytes, more than its ceiling of ${limits.ceilingBytes}`,
      { remedy: 'raise the ceiling or lower what is kept' },
    )
}

/** Whether the oldest segment goes: not, because nobody needs it, or although someone does. */
export function judgeOldest(
  segments: readonly WrittenSegment[],
  limits: RetentionLimits,
  /** `delivered`: what comes before it has been delivered by all. */
  state: { readonly delivered: Offset; readonly nowMs: number },
): 'stays' | 'delivered' | 'needed' {
  const following = segments[1]
  // An empty last segment holds no control record yet; the one before it does.
  if (following === undefined || (segments.length === 2 && following.bytes === 0)) return 'stays'
  let bytes = 0
  for (const segment of segments) bytes += segment.bytes
  const isDelivered = following.first <= state.delivered
  if (bytes > limits.ceilingBytes) return isDelivered ? 'delivered' : 'needed'
  // Everything in the oldest segment is at least as old as the first frame of the next one.
  const isOld = (following.firstAppendedAtMs ?? state.nowMs) < state.nowMs - limits.retentionMs
  return isDelivered && (isOld || bytes > limits.retentionBytes) ? 'delivered' : 'stays'
}
