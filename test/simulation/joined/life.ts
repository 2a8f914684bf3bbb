/** One process with a pipeline that joins tables: the real parts behind one gate, those that derive its work watched closely. */
import { randomUUID } from 'node:crypto'
import { childChanges } from '../../../src/document/child-changes.ts'
import { joinedMapper } from '../../../src/document/joined-mapper.ts'
import { childTables } from '../../../src/document/joins.ts'
import { Mapper } from '../../../src/document/mapping.ts'
import { shapeOf } from '../../../src/document/shape.ts'
import { openEmbeddedLog } from '../../../src/log/embedded/embedded-log.ts'
import type { Log } from '../../../src/log/log.ts'
import { Capture } from '../../../src/pipeline/capture/capture.ts'
import type { Clock } from '../../../src/pipeline/clock.ts'
import { Deriving } from '../../../src/pipeline/deriving/deriving.ts'
import type { Observe } from '../../../src/pipeline/facts.ts'
import { Feed } from '../../../src/pipeline/feed.ts'
import { FirstLoad } from '../../../src/pipeline/load/first-load.ts'
import { joinedLookUp } from '../../../src/pipeline/building/joined-look-up.ts'
import { Pace } from '../../../src/pipeline/pace.ts'
import { Pipeline } from '../../../src/pipeline/pipeline.ts'
import { supervise } from '../../../src/pipeline/supervise.ts'
import { together } from '../../../src/pipeline/together.ts'
import { Turnstile } from '../../../src/pipeline/building/turnstile.ts'
import type { Source } from '../../../src/source/source.ts'
import type { MemoryDisk } from '../../support/memory-disk.ts'
import type { VirtualClock } from '../../support/virtual-clock.ts'
import { gatedClock, gatedDisk, type Gate } from '../gate.ts'
import type { Settings } from '../settings.ts'
import type { Target } from '../target.ts'
import { tablesIn } from '../../../src/document/joins.ts'
import { definition, orders, type Shop } from './shop.ts'

export const pipelineName = 'orders'
export const group = `${pipelineName}@main`

export interface JoinedLifeParts {
  readonly settings: Settings
  readonly gate: Gate
  readonly clock: VirtualClock
  readonly disk: MemoryDisk
  readonly target: Target
  /** Behind the gate already. */
  readonly source: Source
  readonly shop: Shop
  /** Rows in one answer, when work is derived. */
  readonly pageRows: number
  readonly observe: Observe
  /** Told before and after each thing that deriving asks of others. */
  readonly step: () => void
}

export class JoinedLife {
  readonly #parts: JoinedLifeParts
  /** How it ended; undefined = it goes on (or was killed). */
  end: { readonly error: unknown } | undefined
  log: Log | undefined
  capture: Capture | undefined

  constructor(parts: JoinedLifeParts) {
    this.#parts = parts
    void this.#live()
  }

  get isAlive(): boolean {
    return this.#parts.gate.isOpen && this.end === undefined
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
    const { settings, disk, gate } = this.#parts
    const clock = gatedClock(this.#parts.clock, gate)
    const log = await openEmbeddedLog({
      directory: '/state',
      ...settings.log,
      disk: gatedDisk(disk, gate),
      now: () => clock.now(),
      sleep: (durationMs, signal) => clock.sleep(durationMs, signal),
    })
    this.log = log
    const capture = this.#capture(log, clock)
    this.capture = capture
    const feed = this.#feed(log, capture, clock)
    const deriving = this.#deriving(log, capture, clock)
    const pipeline = this.#pipeline(log, capture, { clock, deriving })
    const { observe } = this.#parts
    const kept =
      (part: string, run: (signal: AbortSignal) => Promise<void>) =>
      (signal: AbortSignal): Promise<void> =>
        supervise({ part, clock, observe }, run, signal)
    const works = [
      kept('capture', (signal) => feed.run(signal)),
      kept('deriving', (signal) => deriving.run(signal)),
      kept('pipeline', (signal) => pipeline.run(signal)),
    ]
    await together(new AbortController().signal, works)
  }

  #capture(log: Log, clock: Clock): Capture {
    const { source, observe, settings } = this.#parts
    const { batchBytesMax, windowKeysMax } = settings
    const limits = { batchBytesMax, windowKeysMax, rereading: () => [{ group, table: orders }] }
    return new Capture({ name: 'main', source, log, clock, observe, ...limits })
  }

  #feed(log: Log, capture: Capture, clock: Clock): Feed {
    const { source, observe, settings } = this.#parts
    return new Feed({
      name: 'main',
      log,
      capture,
      lanes: settings.lanes,
      lineage: () => randomUUID(),
      start: () => source.head(),
      epochsSeen: () => Promise.resolve([]),
      clock,
      observe,
      groups: [{ group, table: orders, showsOneRow: false }],
      misses: () => [],
      restart: false,
    })
  }

  #deriving(log: Log, capture: Capture, clock: Clock): Deriving {
    const { source, shop, observe, pageRows, step } = this.#parts
    return new Deriving({
      pipeline: pipelineName,
      table: orders,
      childTables: childTables(definition),
      changes: childChanges(definition),
      source: stepping(source, step),
      describe: () => Promise.resolve(shop.root),
      capture: stepping(capture, step),
      log: stepping(log, step),
      clock,
      observe,
      turnstile: new Turnstile(2),
      pace: new Pace(0),
      rootsPace: new Pace(0),
      pageRows,
    })
  }

  #pipeline(
    log: Log,
    capture: Capture,
    { clock, deriving }: { readonly clock: Clock; readonly deriving: Deriving },
  ): Pipeline {
    const { source, observe, settings, target, gate } = this.#parts
    const reading = { group, source, capture, clock, observe, limits: { ...settings.load, touches: true } }
    return new Pipeline({
      name: pipelineName,
      label: pipelineName,
      group,
      target: 'main',
      table: orders,
      alias: 'orders',
      tables: tablesIn(definition),
      capture,
      log,
      deadLetters: log.deadLetters,
      openIndex: () => Promise.resolve(target.admin(gate)),
      sinkFor: (index) => target.sink(gate, index, () => undefined),
      columns: {
        policy: 'auto',
        shapeOf: (found) => shapeOf(definition, found),
        present: () => Promise.reject(new Error('the index follows the columns')),
        mappings: () => ({}),
      },
      enricher: (_, admit) =>
        joinedLookUp({
          group,
          mapper: joinedMapper(definition, new Mapper(definition)),
          source,
          position: () => capture.position,
          confirmed: (read, signal) => capture.confirmed(read, signal),
          clock,
          observe,
          turnstile: new Turnstile(2),
          pace: new Pace(0),
          documentsMax: 7,
          rowsMax: 30,
          bytesMax: 1_000_000,
          admit,
        }),
      clock,
      observe,
      limits: settings.delivery,
      breaker: { count: 1_000_000, share: 1 },
      loading: (load, ending) => new FirstLoad({ ...load, ...reading }).run(ending),
      alone: (work) => work(),
      guardEveryMs: settings.guardEveryMs,
      definition: 'the definition',
      differences: () => [],
      start: 'load',
      wishes: { reload: false, keep: false, adopt: false },
      deriving,
      reloadsWhenLost: true,
      rowsEstimate: () => Promise.resolve(40),
      companions: [],
      abort: new AbortController().signal,
    })
  }
}

/** The same, of which each call and its answer are told. */
function stepping<Parts extends object>(parts: Parts, step: () => void): Parts {
  return new Proxy(parts, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return (...words: unknown[]): unknown => {
        step()
        const answer: unknown = Reflect.apply(member, target, words)
        return answer instanceof Promise ? answer.finally(step) : answer
      }
    },
  })
}
