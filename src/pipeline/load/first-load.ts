/**
 * Fills a group's index from its table while changes flow: chunk after chunk in key order, each between two watermarks,
 * appended by capture and addressed to the group. Its state is in the log, so it goes on where it was after any crash.
 *
 *   reading ──(a chunk comes back empty)──▶ delivering ──(the group has passed the last row; sweep)──▶ done
 *      ▲                                                                                                │
 *      └────────────── a barrier, or a person's wish: a new generation ─────────────────────────────────┘
 */
import type { Key, Offset } from '../../change/change.ts'
import type { Chunk, Source } from '../../source/source.ts'
import type { Capture, OpenWindow } from '../capture/capture.ts'
import { endLoad, type LoadEndingParts } from './load-ending.ts'
import type { LoadState } from '../capture/load-state.ts'
import type { WatermarkWindow } from '../capture/watermark-window.ts'

export interface LoadLimits {
  readonly chunkRows: number
  readonly chunkBytes: number
  /** 0 = no limit. */
  readonly rowsPerSecond: number
  /** Bytes of chunks that may be in the log and not yet delivered. */
  readonly undeliveredBytesMax: number
}

export interface FirstLoadParts extends LoadEndingParts {
  readonly source: Source
  readonly capture: Capture
  readonly limits: LoadLimits
  /** The documents are built by reading: the log gets the rows' keys alone. */
  readonly touches?: boolean | undefined
  /** Makes sure, before a load begins, that the index can hold the table's present columns. */
  readonly prepare: (signal: AbortSignal) => Promise<void>
}

export class FirstLoad {
  readonly #parts: FirstLoadParts
  /** Chunks in the log that may not be delivered yet, oldest first. */
  #undelivered: { readonly until: Offset; readonly bytes: number }[] = []

  constructor(parts: FirstLoadParts) {
    this.#parts = parts
  }

  /** Carries out every load that the log's control record asks for; runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#carryOut(['reading', 'delivering'], signal)
  }

  /** Only reads them: whoever delivers ends them. */
  async read(signal: AbortSignal): Promise<void> {
    await this.#carryOut(['reading'], signal)
  }

  async #carryOut(phases: readonly LoadState['phase'][], signal: AbortSignal): Promise<void> {
    let announced = -1
    for (;;) {
      const seen = this.#parts.capture.movements
      const state = this.#parts.capture.loadState(this.#parts.group)
      if (state === undefined || !phases.includes(state.phase)) {
        await this.#parts.capture.moved(seen, signal)
        continue
      }
      if (announced !== state.generation) await this.#begin(state, signal)
      announced = state.generation
      if (state.phase === 'reading') await this.#readAll(state, signal)
      else await endLoad(this.#parts, state, signal)
    }
  }

  async #begin(state: LoadState, signal: AbortSignal): Promise<void> {
    if (state.phase === 'reading') await this.#parts.prepare(signal)
    const { table, rowsEstimate, rowsDone } = state
    this.#parts.observe({ kind: 'load-started', group: this.#parts.group, table, rowsEstimate, rowsDone })
  }

  /** Chunks until one is empty or the state is no longer ours. */
  async #readAll(first: LoadState, signal: AbortSignal): Promise<void> {
    const { capture, group, clock } = this.#parts
    let state: LoadState | undefined = first
    let rowsMax = this.#parts.limits.chunkRows
    while (state?.phase === 'reading' && state.generation === first.generation) {
      await this.#room(signal)
      const startedAtMs = clock.elapsed()
      const outcome = await this.#chunk(state, rowsMax, signal)
      if (outcome === 'end') return
      rowsMax = outcome === 'repeat' ? Math.max(1, Math.floor(rowsMax / 2)) : this.#parts.limits.chunkRows
      const rows = outcome === 'repeat' ? 0 : outcome
      await this.#pace(state, { rows, tookMs: clock.elapsed() - startedAtMs }, signal)
      state = capture.loadState(group)
    }
  }

  /** One chunk; how many rows it had, or that it must be read again, or that there are no more. */
  async #chunk(state: LoadState, rowsMax: number, signal: AbortSignal): Promise<number | 'repeat' | 'end'> {
    const { capture, group, observe, clock } = this.#parts
    const startedAtMs = clock.elapsed()
    const opened = capture.openWindow(state, this.#parts.touches)
    try {
      const chunk = await this.#readWhileOpen(state, opened, rowsMax, signal)
      if (chunk === undefined) return 'repeat'
      observe({ kind: 'chunk-read', group, table: state.table, rows: chunk.rows.length })
      if (chunk.rows.length === 0) return await this.#readingEnded(state)
      const result = await capture.appendChunk(group, opened, chunk, signal)
      if (result === undefined) return 'repeat'
      const bytes = bytesOf(chunk) + (opened.touches ? documentBytesUsual * chunk.rows.length : 0)
      this.#undelivered.push({ until: capture.next, bytes })
      this.#stateProgress(state, chunk.rows.length, result.dropped, clock.elapsed() - startedAtMs)
      return chunk.rows.length
    } finally {
      capture.closeWindow(opened.window)
    }
  }

  /** undefined = the window closed: a read that waits for what it must include may wait for what never comes. */
  async #readWhileOpen(
    state: LoadState,
    opened: OpenWindow,
    rowsMax: number,
    signal: AbortSignal,
  ): Promise<Chunk | undefined> {
    const done = new AbortController()
    const both = AbortSignal.any([signal, done.signal])
    try {
      return await Promise.race([
        this.#read(state, opened, rowsMax, both),
        this.#untilClosed(opened.window, both),
      ])
    } finally {
      done.abort()
    }
  }

  async #untilClosed(window: WatermarkWindow, signal: AbortSignal): Promise<undefined> {
    for (;;) {
      const seen = this.#parts.capture.movements
      if (window.state !== 'open') return undefined
      await this.#parts.capture.moved(seen, signal)
    }
  }

  #read(state: LoadState, opened: OpenWindow, rowsMax: number, signal: AbortSignal): Promise<Chunk> {
    const { chunkBytes } = this.#parts.limits
    const after: Key | undefined = state.after ?? undefined
    const { low, touches } = opened
    const request = {
      table: state.table,
      after,
      rowsMax,
      bytesMax: chunkBytes,
      includes: low,
      keysOnly: touches,
    }
    return this.#parts.source.chunk(request, signal)
  }

  async #readingEnded(read: LoadState): Promise<'end'> {
    const { capture, group, observe } = this.#parts
    await capture.setLoad(group, (state = read) =>
      state.generation === read.generation ? { ...state, phase: 'delivering', until: capture.next } : state,
    )
    observe({ kind: 'load-read', group, table: read.table, rowsDone: read.rowsDone })
    return 'end'
  }

  /** Waits until the chunks in the log that are not delivered leave room for one more. */
  async #room(signal: AbortSignal): Promise<void> {
    for (;;) {
      const bytes = this.#undelivered.reduce((sum, chunk) => sum + chunk.bytes, 0)
      const oldest = this.#undelivered[0]
      if (oldest === undefined || bytes < this.#parts.limits.undeliveredBytesMax) return
      await this.#parts.passed(oldest.until, signal)
      this.#undelivered.shift()
    }
  }

  async #pace(
    { rowsPerSecond = this.#parts.limits.rowsPerSecond }: LoadState,
    { rows, tookMs }: { readonly rows: number; readonly tookMs: number },
    signal: AbortSignal,
  ): Promise<void> {
    if (rowsPerSecond === 0 || rows === 0) return
    const restMs = (rows / rowsPerSecond) * 1000 - tookMs
    if (restMs > 0) await this.#parts.clock.sleep(restMs, signal)
  }

  #stateProgress(before: LoadState, rows: number, dropped: number, tookMs: number): void {
    const rowsDone = before.rowsDone + rows
    const rest = before.rowsEstimate - rowsDone
    this.#parts.observe({
      kind: 'chunk-appended',
      group: this.#parts.group,
      table: before.table,
      rows,
      dropped,
      rowsDone,
      rowsEstimate: before.rowsEstimate,
      etaSeconds: rest > 0 ? Math.round(((tookMs / rows) * rest) / 1000) : undefined,
    })
  }
}

/** What is to be delivered for a key whose document is not read yet. */
const documentBytesUsual = 200

function bytesOf(chunk: Chunk): number {
  return chunk.rows.reduce((sum, { key, row }) => sum + key.length + row.length, 0)
}
