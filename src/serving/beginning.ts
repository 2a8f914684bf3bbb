/** Where a new log begins: its place in the source, and the epochs that its targets know already. */
import type { Position } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import type { OpenSource } from '../cli/parts.ts'
import type { Pipeline, Start } from '../config/pipeline.ts'
import type { Target } from '../parts/target.ts'
import type { Source } from '../source/source.ts'
import type { Workshop } from '../parts/workshop.ts'

interface Opened {
  readonly source: Source & OpenSource
  readonly target: (pipeline: Pipeline) => Target
}

/**
 * A place in the source is where the log begins: the group then takes the log from its beginning. So it does where the
 * beginning of the stream is the load.
 */
export function startKind(
  start: Start,
  { streamOnly }: Pick<Source, 'streamOnly'>,
): 'load' | 'now' | 'earliest' {
  const isLoad = start.kind === 'load' && streamOnly === undefined
  return isLoad || start.kind === 'now' ? start.kind : 'earliest'
}

export async function startPosition(
  source: Source & OpenSource,
  own: readonly Pipeline[],
): Promise<Position> {
  const starts = own.map(({ policy }) => policy.start)
  if (starts.some(({ kind }) => kind === 'earliest')) return await source.earliest()
  const place = starts.find((start) => start.kind === 'position')
  if (place !== undefined) return source.parse(place.text)
  const isLoad = starts.some(({ kind }) => kind === 'load')
  return isLoad && source.streamOnly !== undefined ? await source.streamOnly.beginning() : await source.head()
}

export async function epochsSeen(
  workshop: Workshop,
  opened: Opened,
  own: readonly Pipeline[],
): Promise<readonly number[]> {
  const seen = await Promise.all(own.map((pipeline) => epochSeen(workshop, opened, pipeline)))
  return seen.filter((epoch) => epoch !== undefined)
}

/** A further target that is away does not hold up the first: if it knows a higher epoch, its own start refuses. */
async function epochSeen(
  workshop: Workshop,
  opened: Opened,
  pipeline: Pipeline,
): Promise<number | undefined> {
  const index = await workshop.openIndex(pipeline, opened.target(pipeline), opened.source)
  try {
    const state = await index.inspect()
    return state?.mark?.epoch
  } catch (error) {
    if (pipeline.target.isPrimary || !(error instanceof Failure)) throw error
    return undefined
  }
}
