/** A load's progress, kept in the log's control record and written in the same append as the rows it counts. */
import type { Key, Offset } from '../../change/change.ts'
import type { Control } from '../../log/log.ts'
import { highestVersion } from './numbering.ts'

export interface LoadState {
  readonly table: string
  /** Which demand for a load this answers; a higher one starts it anew. */
  readonly generation: number
  readonly phase: 'reading' | 'delivering' | 'done'
  /** The key of the last row that is in the log; null = none yet. */
  readonly after: Key | null
  readonly rowsDone: number
  readonly rowsEstimate: number
  readonly startedAtMs: number
  /** Documents with a version below this one (decimal digits) that the load did not renew are gone from the table. */
  readonly sweepBelow: string | null
  /** All rows lie before this offset, once everything is read. */
  readonly until: Offset | null
  /** Why the table is read, for people. */
  readonly reason: string
  /** At most so many; not there = as the settings say. */
  readonly rowsPerSecond?: number
  /** What upstreams said before this time is not used any more, ms since 1970; outlives this load. */
  readonly renewedAtMs?: number
}

function taskName(group: string): string {
  return `task:load:${group}`
}

export function loadState(control: Control, group: string): LoadState | undefined {
  const text = control.producers[taskName(group)]
  return text === undefined ? undefined : (JSON.parse(text) as LoadState)
}

export function withLoadState(
  producers: Control['producers'],
  group: string,
  state: LoadState,
): Control['producers'] {
  return { ...producers, [taskName(group)]: JSON.stringify(state) }
}

/** Of loads that were read whole, the rows all lie before this offset of another log. */
export function withLoadsUntil(producers: Control['producers'], until: Offset): Control['producers'] {
  let moved = producers
  for (const name of Object.keys(producers)) {
    if (!name.startsWith(taskName(''))) continue
    const state = JSON.parse(producers[name] ?? '') as LoadState
    if (state.until !== null) moved = { ...moved, [name]: JSON.stringify({ ...state, until }) }
  }
  return moved
}

/** A load from the first row. `sweepBelow` undefined = the index was empty before, or no row has gone: nothing to sweep. */
export function newLoad(
  load: Pick<LoadState, 'table' | 'generation' | 'rowsEstimate' | 'reason' | 'startedAtMs'> &
    Pick<LoadState, 'rowsPerSecond' | 'renewedAtMs'> & { readonly sweepBelow: bigint | undefined },
  before?: LoadState,
): LoadState {
  const { rowsPerSecond, renewedAtMs = before?.renewedAtMs } = load
  return {
    ...(rowsPerSecond === undefined ? {} : { rowsPerSecond }),
    ...(renewedAtMs === undefined ? {} : { renewedAtMs }),
    table: load.table,
    generation: load.generation,
    phase: 'reading',
    after: null,
    rowsDone: 0,
    rowsEstimate: load.rowsEstimate,
    sweepBelow: load.sweepBelow === undefined ? null : String(load.sweepBelow),
    startedAtMs: load.startedAtMs,
    until: null,
    reason: load.reason,
  }
}

/**
 * The producers' states when these groups must read their table again, from the first row, with a sweep. The control record's
 * number must be one that no change has: what is swept gets it, and an old request that arrives late must not equal it.
 */
export function demandLoads(
  control: Control,
  groups: readonly { readonly group: string; readonly table: string }[],
  demand: { readonly reason: string; readonly nowMs: number },
): Control['producers'] {
  let producers = control.producers
  for (const { group, table } of groups) {
    const before = loadState({ ...control, producers }, group)
    const load = newLoad(
      {
        table,
        generation: (before?.generation ?? 0) + 1,
        sweepBelow: highestVersion(control) + 1n,
        rowsEstimate: before?.rowsEstimate ?? 0,
        reason: demand.reason,
        startedAtMs: demand.nowMs,
      },
      before,
    )
    producers = withLoadState(producers, group, load)
  }
  return producers
}
