/** Looks after a log at intervals: states lag and room, lets old data go, and warns before a group loses some. */
import type { Group, LogAdmin, Retention } from '../log/log.ts'
import type { Headroom } from '../source/source.ts'
import type { Clock } from './clock.ts'
import type { Observe } from './facts.ts'

export interface WatchParts {
  readonly source: string
  readonly log: LogAdmin
  readonly clock: Clock
  readonly observe: Observe
  readonly groups: readonly WatchedGroup[]
  /** How long the server keeps what we have not captured, and how much that is. */
  readonly headroom: () => Promise<Headroom>
  /** Commit time of the newest change captured, or now while nothing is behind, ms since 1970. */
  readonly capturedToMs: () => number
}

interface WatchedGroup {
  readonly group: string
  readonly pipeline: string
  readonly target: string
  /** The pipeline's first target: its warning comes first. */
  readonly isPrimary: boolean
}

const everyMs = 1_000
const roundsToRetention = 10
/** A group that has used up more than this share of the log's room or time is in danger, and so is a source of its time. */
const dangerShare = 0.8
const primaryDangerShare = 0.6
const unknownHeadroom: Headroom = { keptSeconds: undefined, behindBytes: undefined }

export async function watch(parts: WatchParts, signal: AbortSignal): Promise<void> {
  for (let round = 0; ; round++) {
    // First what mends the log: without that its groups may not be known.
    if (round % roundsToRetention === 0) await stateRetention(parts)
    for (const group of parts.groups) await stateLag(parts, group)
    await parts.clock.sleep(everyMs, signal)
  }
}

async function stateLag(parts: WatchParts, { group, pipeline, target }: WatchedGroup): Promise<void> {
  const known = (await parts.log.groups()).some(({ name }) => name === group)
  if (!known) return
  const { changes, oldestCommittedAtMs } = await parts.log.lag(group)
  const seconds =
    oldestCommittedAtMs === undefined ? 0 : Math.max(0, parts.clock.now() - oldestCommittedAtMs) / 1000
  parts.observe({ kind: 'lag', group, pipeline, target, changes, seconds })
}

async function stateRetention(parts: WatchParts): Promise<void> {
  const { log, source, observe, clock } = parts
  await log.drop()
  const room = await log.retention()
  const { keptSeconds: kept, behindBytes } = await parts.headroom().catch(() => unknownHeadroom)
  const sourceSeconds = kept === undefined ? undefined : kept - (clock.now() - parts.capturedToMs()) / 1000
  const { bytes, bytesMax, oldestAppendedAtMs } = room
  observe({ kind: 'retention', source, bytes, bytesMax, oldestAppendedAtMs, sourceSeconds, behindBytes })
  if (kept !== undefined && sourceSeconds !== undefined && sourceSeconds < kept * (1 - dangerShare))
    observe({ kind: 'source-endangered', source, seconds: sourceSeconds, keptSeconds: kept })
  for (const group of await log.groups()) {
    const isPrimary = parts.groups.some((each) => each.group === group.name && each.isPrimary)
    if (group.lost) {
      observe({ kind: 'group-lost', group: group.name })
      continue
    }
    const share = await usedUp(parts, group, room)
    if (share > (isPrimary ? primaryDangerShare : dangerShare))
      observe({ kind: 'group-endangered', group: group.name, share })
  }
}

/** How much of the log's room, or of its time, what the group has not delivered has used up; at 1 it is dropped. */
async function usedUp(
  { log, clock }: WatchParts,
  { name, lanes }: Group,
  { bytes, bytesMax, keptMs, oldest, next }: Retention,
): Promise<number> {
  const holdsOldest = Math.min(...lanes) < oldest + (next - oldest) / 2
  const room = holdsOldest ? bytes / bytesMax : 0
  if (keptMs === undefined) return room
  const { oldestCommittedAtMs } = await log.lag(name)
  return oldestCommittedAtMs === undefined
    ? room
    : Math.max(room, (clock.now() - oldestCommittedAtMs) / keptMs)
}
