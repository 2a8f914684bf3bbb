/**
 * One reader per source: what the binlog said goes into the log, numbered, in the order of commit. Its only checkpoint is
 * the log's own tail, read anew at each start; so a crash, a failed append and a restart all go the same way.
 */
import type { Barrier, Key, Offset, Position } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { countOf, operations, type Records } from '../../change/records.ts'
import { assertCurrent, type ChangeLog, type Control } from '../../log/log.ts'
import type { Chunk, Source, SourceBatch } from '../../source/source.ts'
import { Appender, positionIn, type Appended } from './appender.ts'
import { chunkRecords } from './chunk-records.ts'
import { demanded, type Captured, type LoadDemand } from './captured.ts'
import type { Clock } from '../clock.ts'
import type { Observe } from '../facts.ts'
import { demandLoads, loadState, withLoadState, type LoadState } from './load-state.ts'
import { highestVersion, versionOf } from './numbering.ts'
import { Signal } from '../../change/signal.ts'
import { appendTouches, touchRecords, type Touched, type TouchRequest } from './touches.ts'
import { WatermarkWindow } from './watermark-window.ts'

export interface CaptureParts {
  readonly name: string
  readonly source: Source
  readonly log: ChangeLog
  readonly clock: Clock
  readonly observe: Observe
  /** Bytes of changes in one append, about; twice as many may wait. */
  readonly batchBytesMax: number
  /** Keys changed during a chunk beyond which it is read again, smaller. */
  readonly windowKeysMax: number
  /** The groups that must read their own table again because of a barrier; the lanes of all others deal with it. */
  readonly rereading: (barrier: Barrier) => readonly { readonly group: string; readonly table: string }[]
}

/** A place to begin a chunk: what the read must include, and the window that watches what overtakes it. */
export interface OpenWindow {
  readonly low: Position
  readonly window: WatermarkWindow
  /** The load that the chunk is for: a barrier that came between its cursor and the window began another one. */
  readonly generation: number
  /** The rows' documents are built by reading: their keys are all that is appended. */
  readonly touches: boolean
}

export class Capture implements Captured {
  readonly #parts: CaptureParts
  readonly #producer: string
  readonly #windows = new Set<WatermarkWindow>()
  readonly #moved = new Signal()
  #appender: Appender | undefined

  constructor(parts: CaptureParts) {
    this.#parts = parts
    this.#producer = `source:${parts.name}`
  }

  /** The control record as of the last durable append; undefined while capture is not running. */
  get control(): Control | undefined {
    return this.#appender?.control
  }

  /** All of the source that the log has, durably. */
  get position(): Position {
    const position = positionIn(this.#running().control, this.#producer)
    if (position === undefined) throw new Error('capture has no position')
    return position
  }

  /** The offset after the last record. */
  get next(): Offset {
    return this.#running().next
  }

  /** Runs until the signal aborts, or throws a Failure; may be run again. The log must have a control record. */
  async run(signal: AbortSignal): Promise<void> {
    const control = await this.#parts.log.tail()
    if (control === undefined) throw new Error('capture needs a log that has been begun')
    assertCurrent(control)
    const from = positionIn(control, this.#producer)
    if (from === undefined) throw new Error(`the log has no position of ${this.#producer}`)
    const failed = new AbortController()
    const appender = this.#open(control, (error) => {
      if (error instanceof Failure)
        this.#state({ kind: 'append-failed', source: this.#parts.name, failure: error })
      failed.abort()
    })
    try {
      await appender.insert((now) => ({ records: [], addressee: undefined, producers: now.producers }))
      this.#state({ kind: 'capture-started', source: this.#parts.name, position: from, epoch: control.epoch })
      this.#moved.notify()
      for await (const batch of this.#stream(from, AbortSignal.any([signal, failed.signal]))) {
        this.#state({ kind: 'source-alive', source: this.#parts.name, atMs: this.#parts.clock.now() })
        if (countOf(batch.records) > 0) this.#stateCaptured(batch.records)
        if (worthKeeping(batch, appender.control, this.#producer)) await appender.take(batch)
      }
      await appender.drained()
    } finally {
      await this.#close(appender)
    }
  }

  /** The source's stream; says when it is interrupted, and when it goes on. */
  async *#stream(from: Position, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const { source, name } = this.#parts
    let interrupted = false
    const interrupt = (failure: Failure): void => {
      interrupted = true
      this.#state({ kind: 'source-interrupted', source: name, failure })
      this.#state({ kind: 'source-state', source: name, state: 'waiting', failure })
    }
    for await (const batch of source.read(from, signal, interrupt)) {
      if (interrupted)
        this.#state({ kind: 'source-state', source: name, state: 'running', failure: undefined })
      interrupted = false
      yield batch
    }
  }

  loadState(group: string): LoadState | undefined {
    const control = this.control
    return control === undefined ? undefined : loadState(control, group)
  }

  /** Resolves when anything was appended or capture came or went; at once if it did since `seen`. */
  moved(seen: number, signal: AbortSignal): Promise<number> {
    return this.#moved.next(seen, signal)
  }

  get movements(): number {
    return this.#moved.count
  }

  /** Sets a load's state, durably. The control record given is the next one, whose number no change has. */
  async setLoad(
    group: string,
    change: (state: LoadState | undefined, control: Control) => LoadState,
  ): Promise<void> {
    await this.#running().insert((control) => {
      const state = change(loadState(control, group), { ...control, seq: control.seq + 1 })
      const producers = withLoadState(control.producers, group, state)
      return { records: [], addressee: undefined, producers, reserved: 1 }
    })
    this.#moved.notify()
  }

  /** The control record is known here before its versions are. */
  reached(): Promise<void> {
    return Promise.resolve()
  }

  /** Resolves when it is certain that we, and nobody else, capture the source at this moment. */
  async confirm(): Promise<void> {
    await this.#running().insert(({ producers }) => ({ records: [], addressee: undefined, producers }))
  }

  async confirmed<Result extends { readonly head: Position }>(
    read: () => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    for (;;) {
      const appender = this.#running()
      const result = await read()
      if (await this.#has(result.head, appender, signal)) return result
    }
  }

  /** Whether the log has it all, as soon as it has; false = capture has begun anew meanwhile. */
  async #has(head: Position, appender: Appender, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      const seen = this.#moved.count
      if (this.#running() !== appender) return false
      if (this.#parts.source.covers(this.position, head)) return true
      await this.#moved.next(seen, signal)
    }
  }

  async demandLoad(group: string, demand: LoadDemand): Promise<void> {
    await this.setLoad(group, (state, control) => demanded(state, demand, control))
  }

  async endLoad(group: string, generation: number): Promise<void> {
    await this.#running().insert((control) => {
      const state = loadState(control, group)
      const isMeant = state !== undefined && state.generation === generation
      const producers = isMeant
        ? withLoadState(control.producers, group, { ...state, phase: 'done' })
        : control.producers
      return { records: [], addressee: undefined, producers }
    })
    this.#moved.notify()
  }

  get highestVersion(): bigint {
    const { control } = this
    return control === undefined ? versionOf(32767, 0) : highestVersion(control)
  }

  /** Goes on in a higher epoch, durably. */
  async raiseEpoch(epoch: number): Promise<void> {
    await this.#running().insert(({ producers, epoch: now }) => ({
      records: [],
      addressee: undefined,
      producers,
      epoch: Math.max(epoch, now),
    }))
  }

  /**
   * Appends touches of these keys, durably when it resolves: each row is read again and its document written, or deleted.
   * Throws a Failure of kind `transient` while capture is not running.
   */
  async touch(request: TouchRequest, signal: AbortSignal): Promise<Touched> {
    const { streamOnly } = this.#parts.source
    // Nothing could ever answer what is read because of it, and its lane would wait for that for ever.
    if (streamOnly !== undefined)
      throw new Failure('unsupported', `no row can be read again: ${streamOnly.why}`)
    const touched = (keys: number): void => {
      this.#state({ kind: 'touched', source: this.#parts.name, table: request.table.name, keys })
      this.#moved.notify()
    }
    return await appendTouches(
      { insert: (insertion) => this.#running().insert(insertion), touched },
      request,
      signal,
    )
  }

  openWindow({ table, generation }: LoadState, touches = false): OpenWindow {
    const low = this.position
    const window = new WatermarkWindow(table, this.#parts.windowKeysMax)
    this.#windows.add(window)
    return { low, window, generation, touches }
  }

  /** The window is not needed any more. */
  closeWindow(window: WatermarkWindow): void {
    this.#windows.delete(window)
  }

  /**
   * Waits until everything that the chunk saw has been captured, then appends its rows less those that were overtaken,
   * with the load's new state. undefined = the chunk must be read again.
   */
  async appendChunk(
    group: string,
    { window, generation, touches }: OpenWindow,
    chunk: Chunk,
    signal: AbortSignal,
  ): Promise<{ readonly appended: number; readonly dropped: number } | undefined> {
    await this.#covered(chunk.head, window, signal)
    let appended: number | undefined
    await this.#running().insert((control) => {
      const state = loadState(control, group)
      if (window.state !== 'open' || state?.phase !== 'reading' || state.generation !== generation) {
        return { records: [], addressee: undefined, producers: control.producers }
      }
      const rows = window.close(chunk.rows)
      appended = rows.length
      const after: Key | null = chunk.last ?? state.after
      const next: LoadState = { ...state, after, rowsDone: state.rowsDone + chunk.rows.length }
      return {
        records: [
          touches
            ? touchRecords(
                chunk.table,
                rows.map(({ key }) => key),
              )
            : chunkRecords(chunk.table, rows),
        ],
        addressee: group,
        producers: withLoadState(control.producers, group, next),
      }
    })
    this.#moved.notify()
    return appended === undefined ? undefined : { appended, dropped: chunk.rows.length - appended }
  }

  async #covered(head: Position, window: WatermarkWindow, signal: AbortSignal): Promise<void> {
    for (;;) {
      const seen = this.#moved.count
      if (window.state !== 'open') return
      if (this.#parts.source.covers(this.position, head)) return
      await this.#moved.next(seen, signal)
    }
  }

  #open(control: Control, failed: (error: unknown) => void): Appender {
    this.#appender = new Appender(
      {
        log: this.#parts.log,
        producer: this.#producer,
        batchBytesMax: this.#parts.batchBytesMax,
        appended: (appended, now) => this.#appended(appended, now),
        onBarriers: (barriers, now) => this.#reloads(barriers, now),
        failed,
      },
      control,
    )
    return this.#appender
  }

  async #close(appender: Appender): Promise<void> {
    await appender.close(new Failure('transient', `capture of ${this.#parts.name} stopped`))
    this.#appender = undefined
    for (const window of this.#windows) window.repeat()
    this.#windows.clear()
    this.#moved.notify()
  }

  #appended({ records, barriers }: Appended, control: Control): void {
    for (const window of this.#windows) {
      window.observe(records)
      if (barriers.some((barrier) => barrier.table === window.table)) window.repeat()
    }
    this.#state({
      kind: 'appended',
      source: this.#parts.name,
      records: countOf(records),
      seq: control.seq,
      position: positionIn(control, this.#producer) ?? '',
    })
    for (const { table, statement } of barriers)
      this.#state({ kind: 'barrier', source: this.#parts.name, table, statement })
    this.#moved.notify()
  }

  /** Rows changed unseen: where a group's lanes cannot deal with that, it reads the table again, and sweeps what is gone. */
  #reloads(barriers: readonly Barrier[], control: Control): Control['producers'] {
    let producers = control.producers
    for (const barrier of barriers) {
      const groups = this.#parts.rereading(barrier)
      const demand = { reason: barrier.statement, nowMs: this.#parts.clock.now() }
      producers = demandLoads({ ...control, producers }, groups, demand)
    }
    return producers
  }

  #running(): Appender {
    if (this.#appender === undefined) {
      throw new Failure('transient', `capture of ${this.#parts.name} is not running`)
    }
    return this.#appender
  }

  #stateCaptured(runs: readonly Records[]): void {
    let [inserts, deletes, lastCommittedAtMs] = [0, 0, 0]
    for (const records of runs) {
      const cursor = records.cursor()
      while (cursor.next()) {
        if (cursor.operation === operations.insert) inserts++
        else if (cursor.operation === operations.delete) deletes++
      }
      if (records.count > 0) lastCommittedAtMs = cursor.committedAtMs
    }
    const changes = countOf(runs)
    this.#state({
      kind: 'captured',
      source: this.#parts.name,
      changes,
      inserts,
      updates: changes - inserts - deletes,
      deletes,
      lastCommittedAtMs,
    })
  }

  get #state(): Observe {
    return this.#parts.observe
  }
}

/** A heartbeat that moves nothing is not worth a record. */
function worthKeeping(batch: SourceBatch, control: Control, producer: string): boolean {
  return (
    countOf(batch.records) > 0 ||
    batch.barriers.length > 0 ||
    positionIn(control, producer) !== batch.position
  )
}
