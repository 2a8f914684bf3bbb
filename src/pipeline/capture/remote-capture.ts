/**
 * Capture as another process sees it, which may be this one today and another tomorrow: what it did is read from the log's
 * control record, what it is to do is asked for through the store.
 */
import type { Offset, Position } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { assertCurrent, type Control, type LogAdmin } from '../../log/log.ts'
import { positionIn } from './appender.ts'
import type { Capture } from './capture.ts'
import type { CaptureAnswer, CaptureRequest, CaptureRequests } from './capture-requests.ts'
import type { Captured, LoadDemand } from './captured.ts'
import type { Clock } from '../clock.ts'
import { loadState, type LoadState } from './load-state.ts'
import { seqOf, versionOf } from './numbering.ts'
import type { Source } from '../../source/source.ts'
import { Signal } from '../../change/signal.ts'
import type { Touched, TouchRequest } from './touches.ts'

export interface RemoteCaptureParts {
  readonly source: string
  readonly log: Pick<LogAdmin, 'control' | 'retention'>
  readonly requests: Pick<CaptureRequests, 'ask'>
  readonly covers: Source['covers']
  readonly clock: Clock
}

const lookEveryMs = 200
const lookSoonMs = 20
/** Who captures may have gone on at another server, where what was read is not. */
const confirmMs = 10_000
/** In the store, for all who ask. */
const places = 64
/** Keys in one request. */
const touchKeysMax = 1000

export class RemoteCapture implements Captured {
  readonly #parts: RemoteCaptureParts
  readonly #moved = new Signal()
  readonly #stop = new AbortController()
  #seen: { readonly control: Control; readonly next: Offset } | undefined
  /** Where we ask; we are seldom the only ones there, and never many. */
  readonly #place: string
  /** One thing after the other. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: RemoteCaptureParts) {
    this.#parts = parts
    this.#place = String(Math.floor(parts.clock.random() * places))
  }

  /** Looks at the log until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#look()
      await this.#parts.clock.sleep(lookEveryMs, signal).catch(() => undefined)
    }
  }

  /** Nobody waits for an answer any more. */
  close(): void {
    this.#stop.abort()
  }

  async reached(version: bigint, signal: AbortSignal): Promise<void> {
    await this.#reached(seqOf(version), signal)
  }

  async confirmed<Result extends { readonly head: Position }>(
    read: () => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const { clock, covers } = this.#parts
    for (;;) {
      const result = await read()
      for (const endAtMs = clock.elapsed() + confirmMs; clock.elapsed() < endAtMs; await this.#look()) {
        if (covers(this.position, result.head)) return result
        await clock.sleep(lookSoonMs, signal)
      }
    }
  }

  get control(): Control | undefined {
    return this.#seen?.control
  }

  get position(): Position {
    const { source } = this.#parts
    const position = this.control === undefined ? undefined : positionIn(this.control, `source:${source}`)
    if (position !== undefined) return position
    throw new Failure('transient', `nothing is known yet of the capture of ${source}`)
  }

  get next(): Offset {
    return this.#seen?.next ?? 0
  }

  /** The leader may have given versions that are not known here yet, and begun an epoch. */
  get highestVersion(): bigint {
    return versionOf(Math.min(32767, (this.control?.epoch ?? 32766) + 1), 0)
  }

  get movements(): number {
    return this.#moved.count
  }

  moved(seen: number, signal: AbortSignal): Promise<number> {
    return this.#moved.next(seen, signal)
  }

  loadState(group: string): LoadState | undefined {
    return this.control === undefined ? undefined : loadState(this.control, group)
  }

  async raiseEpoch(epoch: number): Promise<void> {
    await this.#ask({ kind: 'raise-epoch', epoch })
  }

  async demandLoad(group: string, demand: LoadDemand): Promise<void> {
    await this.#ask({ kind: 'demand-load', group, demand })
  }

  async endLoad(group: string, generation: number): Promise<void> {
    await this.#ask({ kind: 'end-load', group, generation })
  }

  /** Resolves when changes of the pipeline's other tables are derived, wherever that is. */
  async derive(pipeline: string): Promise<void> {
    await this.#ask({ kind: 'derive', pipeline })
  }

  async touch({ table, keys, addressee }: TouchRequest, signal: AbortSignal): Promise<Touched> {
    const all = await Array.fromAsync(keys)
    let until = 0
    for (let from = 0; from < all.length; from += touchKeysMax) {
      signal.throwIfAborted()
      const some = all.slice(from, from + touchKeysMax)
      until = (await this.#ask({ kind: 'touch', table: table.name, keys: some, addressee })).until
    }
    return { keys: all.length, until }
  }

  /** Resolves when what was asked for shows here. */
  #ask(request: CaptureRequest): Promise<CaptureAnswer> {
    const turn = this.#last.then(async () => {
      const answer = await this.#parts.requests.ask(this.#place, request, this.#stop.signal)
      await this.#reached(answer.seq, this.#stop.signal)
      await this.#look()
      return answer
    })
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async #reached(seq: number, signal: AbortSignal): Promise<void> {
    while ((this.control?.seq ?? 0) < seq) {
      await this.#look()
      if ((this.control?.seq ?? 0) < seq) await this.#parts.clock.sleep(lookSoonMs, signal)
    }
  }

  async #look(): Promise<void> {
    const { log } = this.#parts
    const control = await log.control()
    if (control === undefined) return
    assertCurrent(control)
    const before = this.#seen
    if (before !== undefined && control.seq < before.control.seq) return
    // Whatever is appended has numbers, so without new ones the end is where it was.
    const next = before?.control.seq === control.seq ? before.next : (await log.retention()).next
    this.#seen = { control, next }
    if (JSON.stringify(before?.control) !== JSON.stringify(control)) this.#moved.notify()
  }
}

/** What the leader does at the wish of others with. */
export interface LeaderParts {
  readonly capture: Capture
  readonly describe: (table: string) => Promise<TouchRequest['table']>
  readonly derive: (pipeline: string) => Promise<void>
}

/** For the leader: what others ask, done by capture itself. */
export function carryOutBy(
  parts: LeaderParts,
): (request: CaptureRequest, signal: AbortSignal) => Promise<CaptureAnswer> {
  const { capture } = parts
  return async (request, signal) => {
    const until = await carryOut(parts, request, signal)
    if (capture.control === undefined) throw new Failure('transient', 'capture has just stopped')
    return { seq: capture.control.seq, until: until ?? capture.next }
  }
}

/** Where touches end; undefined = nothing was appended that a lane passes. */
async function carryOut(
  { capture, describe, derive }: LeaderParts,
  request: CaptureRequest,
  signal: AbortSignal,
): Promise<Offset | undefined> {
  if (request.kind === 'touch') {
    const { keys, addressee } = request
    const to = addressee === undefined ? {} : { addressee }
    return (await capture.touch({ table: await describe(request.table), keys, ...to }, signal)).until
  }
  if (request.kind === 'raise-epoch') await capture.raiseEpoch(request.epoch)
  else if (request.kind === 'demand-load') await capture.demandLoad(request.group, request.demand)
  else if (request.kind === 'end-load') await capture.endLoad(request.group, request.generation)
  else await derive(request.pipeline)
  return undefined
}
