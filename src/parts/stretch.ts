/** What a person's words for a stretch of a log mean. */
import type { Offset, Position } from '../change/change.ts'
import { Failure, messageOf } from '../change/failure.ts'
import type { ReplayRequest } from '../control/operations.ts'
import type { Control, LogAdmin } from '../log/log.ts'
import { positionIn } from '../pipeline/capture/appender.ts'
import type { ReplayState } from '../pipeline/replay/replay-state.ts'
import type { Source, SourceAdmin } from '../source/source.ts'

interface StretchParts {
  /** Of the source. */
  readonly name: string
  readonly source: Pick<Source, 'covers'> & Pick<SourceAdmin, 'parse'>
  readonly log: LogAdmin
}

/** Offsets and the lineage that they belong to. Throws a Failure of kind `lost` where the beginning is kept no longer. */
export async function stretchOf(
  { name, source, log }: StretchParts,
  { from, to }: Pick<ReplayRequest, 'from' | 'to'>,
  nowMs: number,
): Promise<Pick<ReplayState, 'from' | 'to' | 'lineage'>> {
  const control = await log.control()
  if (control === undefined)
    throw new Failure('lost', `the log of ${name} is empty: there is nothing to replay`)
  const find = (text: string): Promise<Found> => placeOf({ name, source, log }, text, nowMs)
  const { oldest, next, oldestAppendedAtMs } = await log.retention()
  const begin = from === 'earliest' ? oldest : (await find(from)).first
  const end = to === undefined ? next : Math.min(next, (await find(to)).next)
  const isKept =
    from === 'earliest' || begin > oldest || oldest === 0 || isTimeKept(from, nowMs, oldestAppendedAtMs)
  if (!isKept || begin < oldest) {
    throw new Failure(
      'lost',
      `the log of ${name} keeps nothing from before offset ${oldest}: ${from} lies before it`,
      {
        remedy: '--from earliest replays what is kept; run --reload PIPELINE reads the whole table',
      },
    )
  }
  return { from: begin, to: Math.max(begin, end), lineage: control.lineage }
}

function isTimeKept(text: string, nowMs: number, oldestAppendedAtMs: number | undefined): boolean {
  const timeMs = timeOf(text, nowMs)
  return timeMs !== undefined && oldestAppendedAtMs !== undefined && timeMs >= oldestAppendedAtMs
}

/** What is meant as a beginning and as an end: an append in which a position is passed belongs to both of its sides. */
interface Found {
  readonly first: Offset
  readonly next: Offset
}

async function placeOf({ name, source, log }: StretchParts, text: string, nowMs: number): Promise<Found> {
  if (/^\d{1,16}$/.test(text)) return { first: Number(text), next: Number(text) }
  const { next: end } = await log.retention()
  const nowhere = { first: end, next: end }
  const appendedAtMs = timeOf(text, nowMs)
  if (appendedAtMs !== undefined) {
    const { first } = (await log.appendAt({ kind: 'time', appendedAtMs })) ?? nowhere
    return { first, next: first }
  }
  const given = positionOf(source, text)
  const isBeyond = (control: Control): boolean => {
    const position: Position | undefined = positionIn(control, `source:${name}`)
    return position !== undefined && !source.covers(given, position)
  }
  return (await log.appendAt({ kind: 'control', reached: isBeyond })) ?? nowhere
}

/** The words for a source's own places are known to it alone. */
function positionOf(source: StretchParts['source'], text: string): Position {
  try {
    return source.parse(text)
  } catch (cause) {
    throw new Failure('configuration', `"${text}" is no offset and no time, and ${messageOf(cause)}`, {
      cause,
      remedy:
        'write a place as earliest, as 2026-11-22T10:00:00Z or 2h, as an offset that millrace log shows, or as a GTID set',
    })
  }
}

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** ms since 1970; undefined = the text is no time. */
function timeOf(text: string, nowMs: number): number | undefined {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  if (count !== undefined) return nowMs - Number(count) * (units[unit] ?? 0)
  if (!/^\d{4}-\d\d-\d\dT/.test(text)) return undefined
  const timeMs = Date.parse(text)
  if (!Number.isNaN(timeMs)) return timeMs
  throw new Failure('configuration', `"${text}" is no time`, {
    remedy: 'write it as 2026-11-22T10:00:00Z, or as 2h',
  })
}
