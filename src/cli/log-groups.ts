/** The groups of a log as a person wants to see them: where each is, and how long until the log drops what it lacks. */
import type { Group, LogAdmin, Retention } from '../log/log.ts'
import { showCount, showDuration } from './format.ts'
import { tableOf } from './table.ts'

export interface ShownGroup {
  readonly source: string
  readonly group: string
  /** The next offset to deliver, by lane. */
  readonly lanes: readonly number[]
  readonly lagChanges: number
  readonly lagSeconds: number
  /** An estimate, by how fast the log grew so far and by how long it keeps anything; null = it has not been long enough to tell. */
  readonly roomHours: number | null
  /** What it lacks was dropped already: it needs a reload. */
  readonly lost: boolean
}

export async function groupsIn(source: string, log: LogAdmin, nowMs: number): Promise<readonly ShownGroup[]> {
  const retention = await log.retention()
  const shown: ShownGroup[] = []
  for (const group of await log.groups()) shown.push(await shownOf({ source, log, retention, nowMs }, group))
  return shown
}

export function groupLines(groups: readonly ShownGroup[]): readonly string[] {
  return tableOf(
    [
      { title: 'SOURCE', text: ({ source }: ShownGroup) => source },
      { title: 'GROUP', text: ({ group }: ShownGroup) => group },
      { title: 'NEXT BY LANE', text: ({ lanes }: ShownGroup) => lanes.join(' ') },
      { title: 'LAG', text: ({ lagChanges }: ShownGroup) => showCount(lagChanges), right: true },
      { title: 'BEHIND', text: ({ lagSeconds }: ShownGroup) => showDuration(lagSeconds), right: true },
      { title: 'ROOM', text: roomText, right: true },
    ],
    groups,
  )
}

async function shownOf(
  {
    source,
    log,
    retention,
    nowMs,
  }: {
    readonly source: string
    readonly log: LogAdmin
    readonly retention: Retention
    readonly nowMs: number
  },
  { name, lanes, lost }: Group,
): Promise<ShownGroup> {
  const { changes, oldestCommittedAtMs = nowMs } = await log.lag(name)
  return {
    source,
    group: name,
    lanes,
    lagChanges: changes,
    lagSeconds: Math.max(0, nowMs - oldestCommittedAtMs) / 1000,
    roomHours: lost ? 0 : roomHours(retention, { changes, oldestCommittedAtMs }, nowMs),
    lost,
  }
}

/** Until the log drops what the group has not delivered, by its size or by its age, whichever comes first. */
function roomHours(
  retention: Retention,
  { changes, oldestCommittedAtMs }: { readonly changes: number; readonly oldestCommittedAtMs: number },
  nowMs: number,
): number | null {
  const bySize = roomBySize(retention, changes, nowMs)
  const { keptMs } = retention
  if (keptMs === undefined) return bySize
  const byAge = Math.max(0, keptMs - Math.max(0, nowMs - oldestCommittedAtMs)) / hourMs
  return bySize === null ? byAge : Math.min(bySize, byAge)
}

/** How long the log can go on growing as it did until its ceiling drops what the group has not delivered. */
function roomBySize(
  { bytes, bytesMax, oldest, next, oldestAppendedAtMs }: Retention,
  lagChanges: number,
  nowMs: number,
): number | null {
  const hours = (nowMs - (oldestAppendedAtMs ?? nowMs)) / hourMs
  if (hours < leastHours || bytes === 0) return null
  const undelivered = (bytes * Math.min(lagChanges, next - oldest)) / Math.max(1, next - oldest)
  return Math.max(0, bytesMax - undelivered) / (bytes / hours)
}

const hourMs = 3_600_000

/** A minute of growth is no guide to the next day. */
const leastHours = 1 / 60

function roomText({ roomHours: hours, lost }: ShownGroup): string {
  if (lost) return 'lost'
  return hours === null ? '-' : showDuration(hours * 3600)
}
