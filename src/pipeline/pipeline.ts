/** One pipeline at work: prepared, it loads what must be loaded, delivers, and watches over its index. */
import type { Table } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import type { Shape } from '../document/definition.ts'
import type { Enricher } from '../document/enricher.ts'
import type { DeadLetters } from '../log/log.ts'
import type { IndexAdmin, IndexState, Sink } from '../sink/sink.ts'
import { epochOf } from './capture/numbering.ts'
import type { BreakerLimits } from './delivery/breaker.ts'
import { Delivery } from './delivery/delivery.ts'
import type { DeliveryLimits } from './delivery/lane.ts'
import { Letters } from './delivery/letters.ts'
import type { PipelineState } from './facts.ts'
import { barriersOf, type Cascades } from './index/barriers-of.ts'
import { lostGroup, type Wishes } from './index/binding.ts'
import { guardIndex } from './index/index-guard.ts'
import type { FirstLoadParts } from './load/first-load.ts'
import { sweep, type SweepParts } from './load/sweep.ts'
import { guarding, Preparation, type Bound, type PreparationParts } from './preparation.ts'
import { together } from './together.ts'

export interface PipelineParts extends PreparationParts {
  readonly deadLetters: DeadLetters
  /** A sink that writes to this very index. */
  readonly sinkFor: (index: IndexState) => Sink
  /** For documents that can be found by a foreign key; undefined = after a cascade the table is read again. */
  readonly cascades?: Cascades
  /** Makes documents; of no other fields than this shape has, if there is one. What it reads itself must be admitted. */
  readonly enricher: (shown: Shape | undefined, admit: (table: Table) => Promise<void>) => Enricher
  readonly limits: DeliveryLimits
  readonly breaker: BreakerLimits
  /** Reads and ends loads; runs until the signal aborts. */
  readonly loading: (load: PipelineLoad, signal: AbortSignal) => Promise<void>
  /** Where other processes deliver the same group: nobody else prepares it meanwhile. */
  readonly alone: <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>
  readonly guardEveryMs: number
  readonly wishes: Wishes
  /** What else runs as long as the pipeline does. */
  readonly companions: readonly ((ending: AbortSignal) => Promise<void>)[]
  /** Ends even what is being written. */
  readonly abort: AbortSignal
}

/** What a pipeline does before its loads are read, and after. */
export type PipelineLoad = Pick<FirstLoadParts, 'prepare' | 'passed' | 'sweep'>

export class Pipeline {
  readonly #parts: PipelineParts
  readonly #letters: Letters
  #wishes: Wishes

  constructor(parts: PipelineParts) {
    const { group, deadLetters, observe } = parts
    this.#parts = parts
    this.#wishes = parts.wishes
    this.#letters = new Letters({ group, deadLetters, observe, breaker: parts.breaker })
  }

  /** The next run reads the table again. */
  wishReload(): void {
    this.#wishes = { ...this.#wishes, reload: true }
  }

  /** Runs until the signal aborts, or throws a Failure; may be run again. */
  async run(signal: AbortSignal): Promise<void> {
    this.#state('starting')
    const preparation = new Preparation(this.#parts, this.#wishes)
    const bound = await this.#parts.alone(() => preparation.settle(signal), signal)
    this.#wishes = { reload: false, keep: false, adopt: false }
    await bound.gate.tell()
    const delivery = this.#delivery(bound)
    const load = this.#load(delivery, bound)
    await together(signal, [
      (ending) => this.#deliver(delivery, ending),
      (ending) => this.#parts.loading(load, ending),
      (ending) => this.#guardRegularly(bound, ending),
      (ending) => this.#tellState(ending),
      ...this.#parts.companions,
    ])
    this.#state('stopped')
  }

  /** Where the log dropped what was to be read next, its reader knows no pipeline to name. */
  async #deliver(delivery: Delivery, signal: AbortSignal): Promise<void> {
    try {
      await delivery.run(signal)
    } catch (error) {
      if (error instanceof Failure && error.kind === 'lost') await this.#refuseLost()
      throw error
    }
  }

  #delivery({ group, index, admin, gate, accepted }: Bound): Delivery {
    const { log, enricher, clock, observe, limits, abort, sinkFor } = this.#parts
    const enrich = enricher(accepted, (found) => gate.admitTable(found))
    const barriers = barriersOf(this.#parts, this.#swept(index, admin))
    return new Delivery({
      group,
      log,
      sink: sinkFor(index),
      enrich: async (entries, signal) => {
        if (entries.length > 0) {
          const newest = entries.version(entries.length - 1)
          this.#refuseEpoch(epochOf(newest), index)
          await this.#parts.capture.reached(newest, signal)
        }
        await gate.admit(entries)
        return await enrich(entries, signal)
      },
      barrier: async (barrier, signal) => {
        this.#refuseEpoch(epochOf(barrier.version), index)
        await barriers.pass(barrier, signal)
      },
      letters: this.#letters,
      clock,
      observe,
      limits,
      abort,
      highestVersion: () => this.#parts.capture.highestVersion,
      guard: () => this.#guard({ index, admin }),
    })
  }

  #load(delivery: Delivery, { index, admin, gate, accepted }: Bound): PipelineLoad {
    const { capture } = this.#parts
    const swept = this.#swept(index, admin)
    return {
      prepare: async (signal) => {
        this.#refuseEpoch(capture.control?.epoch ?? 0, index)
        // What came before the columns changed is delivered, even where nothing after it may be.
        if (accepted !== undefined) await delivery.passed(capture.next, signal)
        await gate.admitPresent()
      },
      passed: (offset, signal) => delivery.passed(offset, signal),
      sweep: (below, signal) => sweep(swept, { below, keepsRefused: true }, signal),
    }
  }

  #swept(index: IndexState, admin: IndexAdmin): SweepParts {
    const { sinkFor, clock } = this.#parts
    return {
      index: admin.named?.(index.name) ?? admin,
      sink: sinkFor(index),
      letters: this.#letters,
      clock,
      highestVersion: () => this.#parts.capture.highestVersion,
    }
  }

  /** The index bears the mark of an epoch before its first document does; a start puts it there. */
  #refuseEpoch(epoch: number, { mark, name }: IndexState): void {
    if (mark !== undefined && epoch > mark.epoch)
      throw new Failure('transient', `epoch ${epoch} has begun: the index ${name} is to be marked with it`)
  }

  async #guardRegularly(bound: Bound, signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#parts.clock.sleep(this.#parts.guardEveryMs, signal)
      await this.#guard(bound)
      await this.#refuseLost()
    }
  }

  /** What was dropped may have been read already, or not: nobody can tell, so the person must know. */
  async #refuseLost(): Promise<void> {
    const { log, group, label, reloadsWhenLost } = this.#parts
    const lost = (await log.groups()).some((each) => each.name === group && each.lost)
    if (!lost) return
    if (!reloadsWhenLost) throw lostGroup(label, group)
    throw new Failure('transient', `the log let go of what ${group} lacks: the table is read again`)
  }

  async #guard({ index, admin }: Pick<Bound, 'index' | 'admin'>): Promise<void> {
    await guardIndex(guarding(this.#parts, admin), index)
  }

  /** States loading and running as they come and go. */
  async #tellState(signal: AbortSignal): Promise<void> {
    const { capture, group } = this.#parts
    let told: PipelineState | undefined
    for (;;) {
      const seen = capture.movements
      const load = capture.loadState(group)
      const state = load !== undefined && load.phase !== 'done' ? 'loading' : 'running'
      if (state !== told && capture.control !== undefined) this.#state((told = state))
      await capture.moved(seen, signal)
    }
  }

  #state(state: PipelineState): void {
    const { name, group, observe } = this.#parts
    observe({ kind: 'pipeline-state', pipeline: name, group, state, failure: undefined })
  }
}
