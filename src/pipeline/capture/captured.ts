/** What delivery needs of its source's capture: in the same process it is capture itself, elsewhere it is remote-capture.ts. */
import type { Offset, Position } from '../../change/change.ts'
import type { Control } from '../../log/log.ts'
import { newLoad, type LoadState } from './load-state.ts'
import { highestVersion } from './numbering.ts'
import type { Touched, TouchRequest } from './touches.ts'

export interface Captured {
  /** The newest control record that is known here; undefined = capture is not running, or nothing is known yet. */
  readonly control: Control | undefined
  /** All of the source that the log has, durably. Throws a Failure of kind `transient` while nothing is known. */
  readonly position: Position
  /** The offset after the last record. */
  readonly next: Offset
  /** No document of this log can have a higher version. */
  readonly highestVersion: bigint
  /** Counts whatever may have changed. */
  readonly movements: number
  /** Resolves when something changed; at once if it did since `seen`. */
  moved(seen: number, signal: AbortSignal): Promise<number>
  /** Resolves when the control record known here is not older than this version: a read may wait for what it has. */
  reached(version: bigint, signal: AbortSignal): Promise<void>
  /**
   * What `read` answers, once the log has all that it can have seen. It is read again where that may never come: a server
   * that is lost takes with it what nobody else has, and no document may show that. Throws a Failure as `read` does, and
   * of kind `transient` while capture is not running.
   */
  confirmed<Result extends { readonly head: Position }>(
    read: () => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result>
  loadState(group: string): LoadState | undefined
  /** Goes on in a higher epoch, durably. */
  raiseEpoch(epoch: number): Promise<void>
  /** Durably, unless the group has that generation, or a later one, already. */
  demandLoad(group: string, demand: LoadDemand): Promise<void>
  /** The load of this generation, if there is no later one, is done, durably. */
  endLoad(group: string, generation: number): Promise<void>
  /** Appends touches, durably. */
  touch(request: TouchRequest, signal: AbortSignal): Promise<Touched>
}

export interface LoadDemand {
  readonly table: string
  readonly generation: number
  /** Whether documents from before the load, that the table lacks, are deleted at its end. */
  readonly sweeps: boolean
  readonly rowsEstimate: number
  readonly reason: string
  readonly startedAtMs: number
  /** As in a load's state. */
  readonly rowsPerSecond?: number
  readonly renewedAtMs?: number
}

/** `control` is the next one, whose number no change has. A barrier may have asked for the same meanwhile, with a sweep. */
export function demanded(
  state: LoadState | undefined,
  { sweeps, ...load }: LoadDemand,
  control: Control,
): LoadState {
  if (state !== undefined && state.generation >= load.generation) return state
  return newLoad({ ...load, sweepBelow: sweeps ? highestVersion(control) + 1n : undefined }, state)
}
