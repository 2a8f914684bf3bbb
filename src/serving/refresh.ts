/** The operation "refresh" over the sources that a daemon serves, and the schedules by which it is done. */
import { nextTime } from '../config/schedule.ts'
import { groupOf, isMeant, type Pipeline } from '../config/pipeline.ts'
import { Failure } from '../change/failure.ts'
import type { RefreshAnswer, RefreshRequest } from '../control/operations.ts'
import type { Captured } from '../pipeline/capture/captured.ts'
import type { Clock } from '../pipeline/clock.ts'
import type { Observe } from '../pipeline/facts.ts'
import { refresh, type Refreshed } from '../pipeline/building/refresh.ts'
import { failureOf } from '../pipeline/retry-policy.ts'
import { supervise } from '../pipeline/supervise.ts'
import type { SourceAdmin } from '../source/source.ts'

interface RefreshableSource {
  readonly name: string
  readonly source: Pick<SourceAdmin, 'describe'>
  readonly capture: Captured
}

/** Throws a Failure of kind `configuration` where no pipeline is meant that asks anybody. */
export async function refreshPipelines(
  pipelines: readonly Pipeline[],
  sources: readonly RefreshableSource[],
  request: RefreshRequest,
  clock: Pick<Clock, 'now'>,
): Promise<RefreshAnswer> {
  const groups: string[] = []
  const busy: string[] = []
  for (const pipeline of meantBy(pipelines, request)) {
    const source = sources.find(({ name }) => name === pipeline.source)
    if (source === undefined) throw new Error(`the source ${pipeline.source} is not open`)
    const isBegun = await begin({ ...source, clock }, pipeline, request.rowsPerSecond)
    if (isBegun) groups.push(groupOf(pipeline))
    else busy.push(groupOf(pipeline))
  }
  return { groups, busy }
}

interface ScheduledSource extends Omit<RefreshableSource, 'name'> {
  readonly clock: Clock
  readonly observe: Observe
}

/**
 * For each pipeline that has a schedule what refreshes it whenever that says so, until the signal aborts; while its table
 * is being read, not this time. A failure ends neither this nor what runs beside it.
 */
export function refreshSchedules(
  pipelines: readonly Pipeline[],
  source: ScheduledSource,
): readonly ((signal: AbortSignal) => Promise<void>)[] {
  return pipelines.flatMap((pipeline) => {
    const { refresh: wish } = pipeline
    if (wish === undefined) return []
    const { clock } = source
    const keepTo = async (signal: AbortSignal): Promise<void> => {
      for (;;) {
        await until(nextTime(wish, clock.now()) ?? Infinity, clock, signal)
        await beginDue(source, pipeline, wish, signal)
      }
    }
    return [keepTo]
  })
}

/** Again, until it is begun; what waiting does not mend is said, and tried again when the schedule comes round. */
async function beginDue(
  source: ScheduledSource,
  pipeline: Pipeline,
  wish: NonNullable<Pipeline['refresh']>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, observe } = source
  const part = `the schedule of ${pipeline.label}`
  const run = async (): Promise<void> => void (await begin(source, pipeline, wish.rowsPerSecond))
  try {
    await supervise({ part, clock, observe }, run, signal)
  } catch (error) {
    const waitMs = (nextTime(wish, clock.now()) ?? Infinity) - clock.now()
    observe({ kind: 'restarting', part, failure: failureOf(error), attempt: 1, waitMs })
  }
}

/** Timers take no more than some weeks, and clocks are set. */
const sleepMsMax = 60_000

async function until(atMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  for (let restMs = atMs - clock.now(); restMs > 0; restMs = atMs - clock.now())
    await clock.sleep(Math.min(restMs, sleepMsMax), signal)
}

/** False = the table is being read already. */
async function begin(
  { source, capture, clock }: Omit<RefreshableSource, 'name'> & { readonly clock: Pick<Clock, 'now'> },
  pipeline: Pipeline,
  rowsPerSecond: number | undefined,
): Promise<boolean> {
  const { table } = pipeline.definition
  const { rowsEstimate } = await source.describe(table)
  const wanted: Refreshed = { group: groupOf(pipeline), table, rowsEstimate, rowsPerSecond }
  try {
    await refresh({ capture, clock }, wanted)
    return true
  } catch (error) {
    if (error instanceof Failure && error.kind === 'conflict') return false
    throw error
  }
}

function meantBy(
  pipelines: readonly Pipeline[],
  { pipeline: name, upstream }: RefreshRequest,
): readonly Pipeline[] {
  const asking = pipelines.filter(({ enrich }) => enrich.length > 0)
  const meant = asking.filter((pipeline) =>
    upstream === undefined
      ? isMeant(pipeline, [name ?? ''])
      : pipeline.enrich.some((step) => step.upstream === upstream),
  )
  if (meant.length > 0) return meant
  const found =
    upstream === undefined
      ? `the daemon runs no pipeline "${name}" that asks upstreams`
      : `no pipeline of the daemon asks an upstream "${upstream}"`
  const names = asking.map(
    ({ label, enrich }) => `${label} (${enrich.map((step) => step.upstream).join(', ')})`,
  )
  throw new Failure('configuration', found, {
    remedy:
      names.length === 0
        ? 'none asks any: millrace pipelines reload PIPELINE reads a table again'
        : `these do: ${names.join('; ')}`,
  })
}
