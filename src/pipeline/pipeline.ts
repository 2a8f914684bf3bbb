/** One pipeline at work: binds its group to its index, loads what must be loaded, delivers, and watches over the index. */
import type { Table } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import type { Shape } from '../document/definition.ts'
import type { Enricher } from '../document/enricher.ts'
import type { ChangeLog, Control, DeadLetters, Group, LogAdmin } from '../log/log.ts'
import type { IndexAdmin, IndexState, Sink } from '../sink/sink.ts'
import { barriersOf, type Cascades } from './index/barriers-of.ts'
import { bind, lostGroup, markOf, type Binding, type Wishes } from './index/binding.ts'
import type { BreakerLimits } from './delivery/breaker.ts'
import type { Captured } from './capture/captured.ts'
import type { Clock } from './clock.ts'
import { acceptedShape, ColumnGate, refuseUnaccepted, type Columns } from './index/column-gate.ts'
import { Delivery } from './delivery/delivery.ts'
import type { Observe, PipelineState } from './facts.ts'
import type { FirstLoadParts } from './load/first-load.ts'
import type { DeliveryLimits } from './delivery/lane.ts'
import { guardIndex, refuseAstray, type GuardParts } from './index/index-guard.ts'
import { Letters } from './delivery/letters.ts'
import { loadState } from './capture/load-state.ts'
import { epochOf } from './capture/numbering.ts'
import type { Derived } from './deriving/remote-deriving.ts'
import { sweep, type SweepParts } from './load/sweep.ts'
import { together } from './together.ts'

export interface PipelineParts {
  readonly name: string
  /** How a person names it on the command line, apart from its other targets. */
  readonly label: string
  readonly group: string
  readonly target: string
  readonly table: string
  readonly alias: string
  readonly capture: Captured
  readonly log: ChangeLog & LogAdmin
  readonly deadLetters: DeadLetters
  /** The index as this shape wants it; undefined = the table's present columns, which are checked first. */
  readonly openIndex: (shape?: Shape) => Promise<IndexAdmin>
  /** A sink that writes to this very index. */
  readonly sinkFor: (index: IndexState) => Sink
  readonly columns: Columns
  /** For documents that can be found by a foreign key; undefined = after a cascade the table is read again. */
  readonly cascades?: Cascades
  /** Makes documents; of no other fields than this shape has, if there is one. What it reads itself must be admitted. */
  readonly enricher: (shown: Shape | undefined, admit: (table: Table) => Promise<void>) => Enricher
  readonly clock: Clock
  readonly observe: Observe
  readonly limits: DeliveryLimits
  readonly breaker: BreakerLimits
  /** Reads and ends loads; runs until the signal aborts. */
  readonly loading: (load: PipelineLoad, signal: AbortSignal) => Promise<void>
  /** Where other processes deliver the same group: nobody else prepares it meanwhile. */
  readonly alone: <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>
  readonly guardEveryMs: number
  /** What makes its documents, as text, and what is different between such texts, each a sentence. */
  readonly definition: string
  readonly differences: (before: string, after: string) => readonly string[]
  readonly start: 'load' | 'now' | 'earliest'
  readonly wishes: Wishes
  /** Whether the table is read again, unasked, where the log let go of what the group lacks. */
  readonly reloadsWhenLost: boolean
  readonly rowsEstimate: () => Promise<number>
  /** What else runs as long as the pipeline does. */
  readonly companions: readonly ((ending: AbortSignal) => Promise<void>)[]
  /** What derives this pipeline's work from other tables; undefined = nothing does. */
  readonly deriving?: Pick<Derived, 'define'> | undefined
  /** Ends even what is being written. */
  readonly abort: AbortSignal
}

/** What a pipeline does before its loads are read, and after. */
export type PipelineLoad = Pick<FirstLoadParts, 'prepare' | 'passed' | 'sweep'>

/** Attributes of a group: the generation of the load that it needs, and whether a sweep ends it. */
type Demand = Readonly<Record<'load' | 'sweep', string>>

/** A group and the index that it may fill. */
interface Bound {
  readonly group: Group
  readonly index: IndexState
  readonly admin: IndexAdmin
  readonly gate: ColumnGate
  /** What a person has accepted of the columns; undefined = all. */
  readonly accepted: Shape | undefined
}

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
    const bound = await this.#parts.alone(() => this.#prepare(signal), signal)
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

  async #prepare(signal: AbortSignal): Promise<Bound> {
    const { log, capture, name, start } = this.#parts
    const control = await this.#control(signal)
    const known = (await log.groups()).find((group) => group.name === this.#parts.group)
    if (known?.lost === true && this.#parts.reloadsWhenLost) this.#wishes = { ...this.#wishes, reload: true }
    const accepted = await this.#accepted(known)
    const admin = await this.#parts.openIndex(accepted)
    const found = await admin.inspect()
    if (found !== undefined && !this.#wishes.reload && !this.#wishes.adopt)
      await refuseAstray(this.#guarding(admin), found)
    const binding = bind({
      pipeline: name,
      label: this.#parts.label,
      alias: this.#parts.alias,
      control,
      group: known,
      index: found,
      fingerprint: this.#parts.definition,
      differences: () =>
        this.#parts.differences(known?.attributes['fingerprint'] ?? '', this.#parts.definition),
      wishes: this.#wishes,
      loads: start === 'load',
    })
    if (binding.epoch > control.epoch) await capture.raiseEpoch(binding.epoch)
    const index = await this.#index(admin, found, { ...control, epoch: binding.epoch })
    const demand = this.#demand(control, known, binding)
    // What changes after a load has read it must come to be known.
    await this.#parts.deriving?.define()
    const group = await this.#group(known, index, { binding, demand, accepted })
    await this.#demandLoad(group, binding)
    this.#wishes = { reload: false, keep: false, adopt: false }
    return { group, index, admin, accepted, gate: this.#gate(index, accepted) }
  }

  /** A start that makes documents anew, or takes a changed file, accepts the columns that there are. */
  async #accepted(known: Group | undefined): Promise<Shape | undefined> {
    const { name, columns, definition, openIndex } = this.#parts
    const accepted = acceptedShape(known)
    const isSame = known?.attributes['fingerprint'] === definition
    const isSettled = isSame && !this.#wishes.reload && !this.#wishes.keep
    if (accepted !== undefined && isSettled && columns.policy !== 'auto') return accepted
    if (accepted !== undefined && isSettled) refuseUnaccepted(name, accepted, await columns.present())
    if (columns.policy === 'auto') return undefined
    await openIndex()
    return await columns.present()
  }

  #gate({ name: index }: IndexState, accepted: Shape | undefined): ColumnGate {
    const { name, group, table, columns, capture, observe, openIndex } = this.#parts
    return new ColumnGate({
      pipeline: name,
      group,
      table,
      columns,
      accepted,
      adapt: async () => await reconcile(await openIndex(), index),
      load: () => capture.loadState(group),
      observe,
    })
  }

  /** Capture's control record; waits until capture runs. */
  async #control(signal: AbortSignal): Promise<Control> {
    const { capture } = this.#parts
    for (;;) {
      const seen = capture.movements
      if (capture.control !== undefined) return capture.control
      await capture.moved(seen, signal)
    }
  }

  /** The index, made or taken, that can hold the documents and carries our mark. */
  async #index(admin: IndexAdmin, found: IndexState | undefined, control: Control): Promise<IndexState> {
    const { observe, group, name } = this.#parts
    const mark = markOf(name, control)
    if (found === undefined) {
      const made = await admin.create(mark)
      observe({ kind: 'index-created', group, index: made.name })
      return made
    }
    await reconcile(admin, found.name)
    const { mark: old } = found
    if (old?.lineage === mark.lineage && old.epoch === mark.epoch && old.pipeline === mark.pipeline)
      return found
    await admin.mark(mark)
    observe({ kind: 'index-adopted', group, index: found.name, epoch: mark.epoch })
    return { ...found, mark }
  }

  /** The group, defined so that it delivers into this index from the right place. */
  async #group(
    known: Group | undefined,
    index: IndexState,
    { binding, demand, accepted }: Pick<Bound, 'accepted'> & { binding: Binding; demand: Demand },
  ): Promise<Group> {
    const { log, group: name, table, definition, start } = this.#parts
    const attributes = {
      uuid: index.uuid,
      index: index.name,
      fingerprint: definition,
      ...demand,
      ...(accepted === undefined ? {} : { columns: JSON.stringify(accepted) }),
    }
    const { oldest, next } = await log.retention()
    const from = start === 'earliest' && binding.load === 'none' ? oldest : next
    // A group that goes on delivers what it has not delivered, even where everything is read again: a request of its
    // that nobody waits for any more may still arrive, and only what the log says next keeps its documents from staying.
    const at = known === undefined || known.lost ? { at: from } : {}
    await log.define({ name, tables: [table], attributes, ...at })
    const defined = (await log.groups()).find((group) => group.name === name)
    if (defined === undefined) throw new Error(`group ${name} was defined and is not there`)
    return defined
  }

  /** Which load the group needs: noted durably before the log knows of it. */
  #demand(control: Control, known: Group | undefined, binding: Binding): Demand {
    if (binding.load === 'none') {
      return { load: known?.attributes['load'] ?? '0', sweep: known?.attributes['sweep'] ?? 'no' }
    }
    const generation = loadState(control, this.#parts.group)?.generation ?? 0
    return { load: String(generation + 1), sweep: binding.load === 'renew' ? 'yes' : 'no' }
  }

  /** The load that the group's attributes ask for, if the log does not have it yet (a crash may lie between the two). */
  async #demandLoad(group: Group, binding: Binding): Promise<void> {
    const { capture, table, rowsEstimate, clock } = this.#parts
    const generation = Number(group.attributes['load'])
    if (generation <= (capture.loadState(group.name)?.generation ?? 0)) return
    const estimate = await rowsEstimate()
    await capture.demandLoad(group.name, {
      table,
      generation,
      sweeps: group.attributes['sweep'] === 'yes',
      rowsEstimate: estimate,
      reason: binding.load === 'fill' ? 'the index is new' : 'the index is renewed',
      startedAtMs: clock.now(),
    })
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
      index: admin,
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
    await guardIndex(this.#guarding(admin), index)
  }

  #guarding(admin: IndexAdmin): GuardParts {
    return { ...this.#parts, admin, lineage: this.#parts.capture.control?.lineage }
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

/** Puts what can be put; throws where the index cannot hold the documents. */
async function reconcile(admin: IndexAdmin, name: string): Promise<void> {
  const differences = await admin.reconcile()
  if (differences.length === 0) return
  throw new Failure(
    'configuration',
    `the index ${name} cannot hold the documents: ${differences.join('; ')}`,
    {
      remedy:
        'change the overrides in the pipeline file, or delete the index: it will be made and filled anew',
    },
  )
}
