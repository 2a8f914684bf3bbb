/** One process from its start to its end: the real parts, put together as the daemon has them, behind one gate. */
import { Daemon } from '../../src/daemon.ts'
import { Mapper } from '../../src/document/mapping.ts'
import { shapeOf } from '../../src/document/shape.ts'
import type { DocumentDefinition } from '../../src/document/definition.ts'
import type { Disk } from '../../src/log/embedded/disk.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts'
import type { Wishes } from '../../src/pipeline/index/binding.ts'
import { isDealtWith } from '../../src/pipeline/index/barriers.ts'
import { Capture } from '../../src/pipeline/capture/capture.ts'
import type { Clock } from '../../src/pipeline/clock.ts'
import type { Observe } from '../../src/pipeline/facts.ts'
import { FirstLoad } from '../../src/pipeline/load/first-load.ts'
import { Feed } from '../../src/pipeline/feed.ts'
import { lookingUp } from '../../src/pipeline/building/look-up.ts'
import { supervise } from '../../src/pipeline/supervise.ts'
import { together } from '../../src/pipeline/together.ts'
import { Lever } from '../../src/pipeline/lever.ts'
import { Pipeline } from '../../src/pipeline/pipeline.ts'
import type { Entries, Log } from '../../src/log/log.ts'
import type { Work } from '../../src/document/enricher.ts'
import type { IndexAdmin, IndexState, Sink } from '../../src/sink/sink.ts'
import type { Source } from '../../src/source/source.ts'
import type { Table } from '../../src/change/change.ts'
import { hidden, table } from './application.ts'
import { gatedClock, type Gate } from './gate.ts'
import { Replays } from '../../src/pipeline/replay/replay.ts'
import { ReplayStates } from '../../src/pipeline/replay/replay-state.ts'
import type { Store } from '../../src/store/store.ts'
import type { Settings } from './settings.ts'

export const group = 'items@main'
export const sourceName = 'main'

export const definition: DocumentDefinition = {
  table,
  fields: undefined,
  exclude: [],
  where: [{ column: 'state', comparison: 'ne', value: hidden }],
  id: undefined,
  idPrefix: '',
}

export interface LifeParts {
  readonly settings: Settings
  readonly gate: Gate
  readonly clock: Clock
  /** All of it behind the gate already. */
  readonly disk: Disk
  readonly source: Source
  readonly index: IndexAdmin
  readonly sinkFor: (index: IndexState) => Sink
  readonly stateDirectory: string
  readonly store: Store
  readonly describe: () => Promise<Table>
  readonly lineage: string
  readonly wishes: Wishes
  readonly observe: Observe
  /** Sees what entries were made into. */
  readonly enriched: (entries: Entries, works: readonly Work[]) => void
  /** Sees the log as it was found. */
  readonly opened: (log: Log) => Promise<void>
}

export class Life {
  readonly #parts: LifeParts
  readonly #stop = new AbortController()
  readonly #ended: Promise<void>
  /** How it ended; undefined = it goes on (or was killed). */
  end: { readonly error: unknown } | undefined
  log: Log | undefined
  capture: Capture | undefined

  constructor(parts: LifeParts) {
    this.#parts = parts
    this.#ended = this.#live()
  }

  get isAlive(): boolean {
    return this.#parts.gate.isOpen && this.end === undefined
  }

  /** Asks it to drain and to end, and waits for that. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('asked to stop'))
    await this.#ended
  }

  kill(): void {
    this.#parts.gate.close()
  }

  async #live(): Promise<void> {
    try {
      await this.#run()
      this.end = { error: undefined }
    } catch (error) {
      this.end = { error }
    }
  }

  async #run(): Promise<void> {
    const { settings, disk, clock, gate, stateDirectory } = this.#parts
    const log = await openEmbeddedLog({
      directory: stateDirectory,
      ...settings.log,
      disk,
      now: () => clock.now(),
      sleep: (durationMs, signal) => gatedClock(clock, gate).sleep(durationMs, signal),
    })
    await this.#parts.opened(log)
    this.log = log
    await this.#daemon(log).run(this.#stop.signal)
  }

  #daemon(log: Log): Daemon {
    const { gate, observe } = this.#parts
    const clock = gatedClock(this.#parts.clock, gate)
    const tell: Observe = (fact) => {
      if (gate.isOpen) observe(fact)
    }
    const capture = this.#capture(log, clock, tell)
    this.capture = capture
    const abort = new AbortController()
    const pipeline = this.#pipeline(log, capture, { clock, observe: tell, abort: abort.signal })
    const feed = this.#feed(log, capture, { clock, observe: tell })
    const replays = this.#replays(log, capture, { clock, observe: tell })
    const sources = [
      {
        name: sourceName,
        feed: {
          run: (signal: AbortSignal) =>
            together(signal, [
              (over) => feed.run(over),
              (over) =>
                supervise({ part: 'replays', clock, observe: tell }, (ending) => replays.run(ending), over),
            ]),
        },
        watch: {
          source: sourceName,
          log,
          clock,
          observe: tell,
          groups: [{ group, pipeline: 'items', target: 'main', isPrimary: true }],
          headroom: () => Promise.resolve({ keptSeconds: undefined, behindBytes: undefined }),
          capturedToMs: () => clock.now(),
        },
        close: () => log.close(),
      },
    ]
    const pipelines = [
      { name: 'items', group, pipeline, lever: new Lever(false), close: () => Promise.resolve() },
    ]
    return new Daemon({ sources, pipelines, clock, observe: tell, drainMs: 10_000, abort })
  }

  #replays(
    log: Log,
    capture: Capture,
    around: { readonly clock: Clock; readonly observe: Observe },
  ): Replays {
    const { store, describe, gate } = this.#parts
    const behindGate: Pick<Store, 'get' | 'put' | 'list'> = {
      get: (...asked) => gate.wait(store.get(...asked)),
      put: (...asked) => gate.wait(store.put(...asked)),
      list: (...asked) => gate.wait(store.list(...asked)),
    }
    return new Replays({
      states: new ReplayStates(behindGate, sourceName),
      log,
      capture,
      describe,
      searchFor: () => undefined,
      ...around,
      limits: { keysMax: 10, batchKeys: 3, undeliveredKeys: 6 },
    })
  }

  #capture(log: Log, clock: Clock, observe: Observe): Capture {
    const { batchBytesMax, windowKeysMax } = this.#parts.settings
    return new Capture({
      name: sourceName,
      source: this.#parts.source,
      log,
      clock,
      observe,
      batchBytesMax,
      windowKeysMax,
      rereading: (barrier) => (isDealtWith(barrier, { table }) ? [] : [{ group, table }]),
    })
  }

  #feed(log: Log, capture: Capture, around: { readonly clock: Clock; readonly observe: Observe }): Feed {
    const { source, index, lineage, settings, wishes } = this.#parts
    return new Feed({
      name: sourceName,
      log,
      capture,
      lanes: settings.lanes,
      lineage: () => lineage,
      start: () => source.head(),
      epochsSeen: async () => {
        const state = await index.inspect()
        return state?.mark === undefined ? [] : [state.mark.epoch]
      },
      ...around,
      groups: [{ group, table, showsOneRow: true }],
      misses: () => [],
      restart: wishes.reload,
    })
  }

  #pipeline(
    log: Log,
    capture: Capture,
    around: { readonly clock: Clock; readonly observe: Observe; readonly abort: AbortSignal },
  ): Pipeline {
    const { source, index, sinkFor, settings, wishes, enriched } = this.#parts
    const lookUp = lookingUp({
      group,
      table,
      mapper: new Mapper(definition),
      source,
      position: () => capture.position,
      confirmed: (read, signal) => capture.confirmed(read, signal),
      clock: around.clock,
      observe: around.observe,
      rowsPerSecond: 0,
    })
    const reading = { group, source, capture, ...around, limits: settings.load }
    return new Pipeline({
      ...around,
      name: 'items',
      label: 'items',
      group,
      target: 'main',
      table,
      alias: 'items',
      tables: [table],
      capture,
      log,
      deadLetters: log.deadLetters,
      openIndex: () => Promise.resolve(index),
      sinkFor,
      columns: {
        policy: 'auto',
        shapeOf: (found) => shapeOf(definition, found),
        present: () => Promise.reject(new Error('the index follows the columns')),
        mappings: () => ({}),
      },
      enricher: () => async (entries, signal) => {
        const works = await lookUp(entries, signal)
        enriched(entries, [...works])
        return works
      },
      limits: settings.delivery,
      breaker: { count: 1_000_000, share: 1 },
      loading: (load, ending) => new FirstLoad({ ...load, ...reading }).run(ending),
      alone: (work) => work(),
      guardEveryMs: settings.guardEveryMs,
      definition: 'the definition',
      differences: () => [],
      start: 'load',
      wishes,
      reloadsWhenLost: false,
      rowsEstimate: () => Promise.resolve(100),
      companions: [],
    })
  }
}
