/** What a start settles before a pipeline delivers: the index that its group fills, from where, and the load that this needs. */
import { Failure } from '../change/failure.ts'
import type { Shape } from '../document/definition.ts'
import type { ChangeLog, Control, Group, LogAdmin } from '../log/log.ts'
import type { IndexAdmin, IndexState } from '../sink/sink.ts'
import type { Captured } from './capture/captured.ts'
import { loadState } from './capture/load-state.ts'
import type { Clock } from './clock.ts'
import type { Derived } from './deriving/remote-deriving.ts'
import type { Observe } from './facts.ts'
import { bind, markOf, type Binding, type Wishes } from './index/binding.ts'
import { acceptedShape, ColumnGate, refuseUnaccepted, type Columns } from './index/column-gate.ts'
import { refuseAstray, type GuardParts } from './index/index-guard.ts'

export interface PreparationParts {
  readonly name: string
  /** How a person names it on the command line, apart from its other targets. */
  readonly label: string
  readonly group: string
  readonly target: string
  readonly table: string
  readonly alias: string
  /** `schema.table`, of all whose changes concern the documents. */
  readonly tables: readonly string[]
  readonly capture: Captured
  readonly log: ChangeLog & LogAdmin
  /** The index as this shape wants it; undefined = the table's present columns, which are checked first. */
  readonly openIndex: (shape?: Shape) => Promise<IndexAdmin>
  readonly columns: Columns
  /** What makes its documents, as text, and what is different between such texts, each a sentence. */
  readonly definition: string
  readonly differences: (before: string, after: string) => readonly string[]
  readonly start: 'load' | 'now' | 'earliest'
  /** Whether the table is read again, unasked, where the log let go of what the group lacks. */
  readonly reloadsWhenLost: boolean
  readonly rowsEstimate: () => Promise<number>
  /** What derives this pipeline's work from other tables; undefined = nothing does. */
  readonly deriving?: Pick<Derived, 'define'> | undefined
  readonly clock: Clock
  readonly observe: Observe
}

/** A group and the index that it may fill. */
export interface Bound {
  readonly group: Group
  readonly index: IndexState
  readonly admin: IndexAdmin
  readonly gate: ColumnGate
  /** What a person has accepted of the columns; undefined = all. */
  readonly accepted: Shape | undefined
}

/** Attributes of a group: the generation of the load that it needs, and whether a sweep ends it. */
type Demand = Readonly<Record<'load' | 'sweep', string>>

export class Preparation {
  readonly #parts: PreparationParts
  #wishes: Wishes

  constructor(parts: PreparationParts, wishes: Wishes) {
    this.#parts = parts
    this.#wishes = wishes
  }

  /** Waits until capture runs. Throws a Failure where a person must decide first. */
  async settle(signal: AbortSignal): Promise<Bound> {
    const { log, capture, name, start } = this.#parts
    const control = await this.#control(signal)
    const known = (await log.groups()).find((group) => group.name === this.#parts.group)
    if (known?.lost === true && this.#parts.reloadsWhenLost) this.#wishes = { ...this.#wishes, reload: true }
    const accepted = await this.#accepted(known)
    const admin = await this.#parts.openIndex(accepted)
    const found = await admin.inspect()
    if (found !== undefined && !this.#wishes.reload && !this.#wishes.adopt)
      await refuseAstray(guarding(this.#parts, admin), found)
    const binding = bind({
      pipeline: name,
      label: this.#parts.label,
      alias: this.#parts.alias,
      tables: this.#parts.tables,
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

/** What watches over an index needs of a pipeline. */
export function guarding(parts: PreparationParts, admin: IndexAdmin): GuardParts {
  return { ...parts, admin, lineage: parts.capture.control?.lineage }
}
