/**
 * One for each pipeline whose documents hold rows of other tables: a group of the log that reads the changes of those tables
 * and appends touches of the roots concerned, durably before its own place moves on. From there on a root is delivered like
 * any other touch: in its own lane, with a version of its own, built by reading.
 *
 *   log: lines, products ──▶ concerns ──▶ climb (queries) ──▶ touches of orders ──▶ log
 *                                            └─ very many roots: fan-outs, page by page, beside other changes
 */
import type { Key, Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { isAddressedTo, type ChangeLog, type Group, type LogAdmin } from '../../log/log.ts'
import type { Capture } from '../capture/capture.ts'
import type { Climb } from './climb.ts'
import type { Observe } from '../facts.ts'
import { FanOuts } from './fan-outs.ts'
import { Gathered } from './gathered.ts'
import { keepPace, type Pace } from '../pace.ts'
import { RootSearch, type RootSearchParts } from './root-search.ts'
import { Signal } from '../../change/signal.ts'
import { together } from '../together.ts'

export interface DerivingParts extends RootSearchParts {
  readonly pipeline: string
  readonly capture: Pick<
    Capture,
    | 'control'
    | 'position'
    | 'movements'
    | 'moved'
    | 'touch'
    | 'loadState'
    | 'demandLoad'
    | 'confirm'
    | 'confirmed'
  >
  readonly log: ChangeLog & LogAdmin
  readonly observe: Observe
  /** Of the roots that are touched because of one row. */
  readonly rootsPace: Pace
}

/** The group of the log that derives a pipeline's work. */
export function derivingGroup(pipeline: string): string {
  return `${pipeline}/roots`
}

/** Why nothing can be derived any more, for those who deliver elsewhere; undefined = it can. */
export function derivingFailure({ attributes }: Pick<Group, 'attributes'>): Failure | undefined {
  const text = attributes['failure']
  if (text === undefined) return undefined
  const { kind, message, remedy } = JSON.parse(text) as Pick<Failure, 'kind' | 'message' | 'remedy'>
  return new Failure(kind, message, remedy === undefined ? {} : { remedy })
}

/** How many pieces of work for very many roots such a group has noted. */
export function fanOutsOf({ attributes }: Pick<Group, 'attributes'>): number {
  return new FanOuts(attributes['fan-outs']).count
}

/** A place is committed at most so often, ms. */
const commitEveryMs = 100
/** So long at most changes are gathered while others are on their way, ms. */
const gatherMs = 500

export class Deriving {
  readonly search: RootSearch
  readonly #parts: DerivingParts
  readonly #name: string
  readonly #moved = new Signal()
  /** Places that are done and not committed, by lane. */
  readonly #done = new Map<number, Offset>()
  /** Something was gathered. */
  readonly #arrived = new Signal()
  #gathered = new Gathered()
  #fanOuts = new FanOuts(undefined)
  #defined: Promise<Group> | undefined
  readonly #failed = new Signal()
  #failure: Failure | undefined

  constructor(parts: DerivingParts) {
    this.#parts = parts
    this.search = new RootSearch(parts)
    this.#name = derivingGroup(parts.pipeline)
  }

  /** Makes the group, if it is new: what changes from now on will be derived. Before a load is demanded, which covers the rest. */
  async define(): Promise<void> {
    this.#defined ??= this.#define()
    try {
      await this.#defined
    } catch (error) {
      this.#defined = undefined
      throw error
    }
  }

  /** Derives until the signal aborts, or throws a Failure; may be run again. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#capturing(signal)
      await this.define()
      this.#done.clear()
      this.#gathered = new Gathered()
      try {
        await together(signal, [
          (ending) => this.#read(ending),
          (ending) => this.#derive(ending),
          (ending) => this.#fanOut(ending),
          (ending) => this.#commitRegularly(ending),
        ])
        await this.#commit()
      } catch (error) {
        // The log let go of what was to be looked at; to begin again knows what to do.
        if (!(error instanceof Failure) || error.kind !== 'lost') throw error
      } finally {
        this.#defined = undefined
      }
    }
  }

  /** What a person must mend before anything can be derived again. */
  fail(failure: Failure): void {
    this.#failure = failure
    this.#failed.notify()
  }

  /** Says so to those who deliver in other processes too, until somebody derives again. */
  async publish({ kind, message, remedy }: Failure): Promise<void> {
    const { log, childTables: tables } = this.#parts
    const failure = JSON.stringify({ kind, message, remedy })
    await log.define({ name: this.#name, tables, attributes: { ...this.#attributes(), failure } })
  }

  /** Rejects with the failure when nothing can be derived any more: the documents would become stale unseen. */
  async fit(signal: AbortSignal): Promise<void> {
    for (let seen = this.#failed.count; this.#failure === undefined;)
      seen = await this.#failed.next(seen, signal)
    throw this.#failure
  }

  async #capturing(signal: AbortSignal): Promise<void> {
    const { capture } = this.#parts
    for (let seen = capture.movements; capture.control === undefined;)
      seen = await capture.moved(seen, signal)
  }

  async #define(): Promise<Group> {
    const { log, childTables } = this.#parts
    const known = (await log.groups()).find(({ name }) => name === this.#name)
    const { next } = await log.retention()
    if (known?.lost === true) await this.#loadAll()
    this.#fanOuts = new FanOuts(known?.attributes['fan-outs'])
    const at = known === undefined || known.lost ? { at: next } : {}
    await log.define({ name: this.#name, tables: childTables, attributes: this.#attributes(), ...at })
    const defined = (await log.groups()).find(({ name }) => name === this.#name)
    if (defined === undefined) throw new Error(`group ${this.#name} was defined and is not there`)
    return defined
  }

  #attributes(): Group['attributes'] {
    return { 'fan-outs': this.#fanOuts.text() }
  }

  /** What was not derived is not known any more: every document is built anew. */
  async #loadAll(): Promise<void> {
    const { capture, clock, log, pipeline, table } = this.#parts
    for (const { name } of targetsOf(pipeline, await log.groups()))
      await capture.demandLoad(name, {
        table,
        generation: (capture.loadState(name)?.generation ?? 0) + 1,
        sweeps: true,
        rowsEstimate: capture.loadState(name)?.rowsEstimate ?? 0,
        reason: 'the log let go of changes of joined tables before they were looked at',
        startedAtMs: clock.now(),
      })
  }

  /** Takes in what is there; roots that several changes concern are touched once. */
  async #read(signal: AbortSignal): Promise<void> {
    for await (const { entries, lane, next } of this.#parts.log.read(this.#name, signal)) {
      for (let seen = this.#moved.count; this.#gathered.isFull || this.#fanOuts.isFull;)
        seen = await this.#moved.next(seen, signal)
      this.#gathered.take(this.#parts.changes, entries)
      this.#gathered.places.set(lane, next)
      this.#arrived.notify()
    }
  }

  /** Touches what was gathered; more is gathered while what was touched before is on its way. */
  async #derive(signal: AbortSignal): Promise<void> {
    const { observe, pipeline } = this.#parts
    let before: Offset = 0
    for (;;) {
      const seen = this.#arrived.count
      const { changes, places } = this.#gathered
      if (places.size === 0) {
        await this.#arrived.next(seen, signal)
        continue
      }
      if (changes > 0) await this.#gather(before, signal)
      const gathered = this.#gathered
      this.#gathered = new Gathered()
      this.#moved.notify()
      const climbs = await this.#withoutNoted(gathered.climbs())
      const { roots, until } = await this.#climb(climbs, gathered.untold, signal)
      before = Math.max(before, until)
      for (const [lane, next] of gathered.places) this.#done.set(lane, next)
      if (gathered.changes > 0) observe({ kind: 'derived', pipeline, changes: gathered.changes, roots })
    }
  }

  /** More is taken in until what was touched before was delivered, for so long at most. */
  async #gather(before: Offset, signal: AbortSignal): Promise<void> {
    await together(signal, [
      (ending) => this.#room(before, ending),
      (ending) => this.#parts.clock.sleep(gatherMs, ending),
    ])
    signal.throwIfAborted()
  }

  /** Leaves out values whose work is noted: it will be done once more. */
  async #withoutNoted(climbs: readonly Climb[]): Promise<readonly Climb[]> {
    let noted = false
    const others = climbs.map(({ ascent, values }) => ({
      ascent,
      values: values.filter((cells) => {
        const repeats = this.#fanOuts.repeats({ ascent, values: [cells] })
        noted ||= repeats
        return !repeats
      }),
    }))
    if (noted) await this.#save()
    return others.filter(({ values }) => values.length > 0)
  }

  async #climb(
    climbs: readonly Climb[],
    untold: Gathered['untold'],
    signal: AbortSignal,
  ): Promise<{ readonly roots: number; readonly until: Offset }> {
    const { roots, rest } = await this.search.of(climbs, untold, signal)
    const until = await this.#touch(roots, signal)
    if (rest.length > 0) {
      for (const each of rest) this.#fanOuts.add(each)
      await this.#save()
    }
    return { roots: roots.length, until }
  }

  /** Resolves with where they end in the log, durably. */
  async #touch(roots: readonly Key[], signal: AbortSignal): Promise<Offset> {
    const { capture, pipeline } = this.#parts
    if (roots.length === 0) return 0
    const table = await this.search.rootTable()
    return (await capture.touch({ table, keys: roots, addressee: pipeline }, signal)).until
  }

  /** Page after page of what was noted, while there is room for it in what is being delivered. */
  async #fanOut(signal: AbortSignal): Promise<void> {
    const { observe, pipeline, rootsPace, clock } = this.#parts
    let before: Offset = 0
    for (;;) {
      const seen = this.#moved.count
      const next = this.#fanOuts.first()
      if (next === undefined) {
        await this.#moved.next(seen, signal)
        continue
      }
      const { roots, rest } = await this.search.page([next], signal)
      await keepPace(rootsPace, roots.length, clock, signal)
      await this.#room(before, signal)
      const until = await this.#touch(roots, signal)
      before = until === 0 ? before : until
      this.#fanOuts.advance(rest)
      await this.#save()
      observe({ kind: 'fanned-out', pipeline, roots: roots.length, waiting: this.#fanOuts.count })
    }
  }

  /** Waits until some target has delivered what was touched before: a slow one does not hold up the others. */
  async #room(until: Offset, signal: AbortSignal): Promise<void> {
    const { log, pipeline } = this.#parts
    const isDelivered = (groups: readonly Group[]): boolean => {
      const targets = targetsOf(pipeline, groups)
      return targets.length === 0 || targets.some(({ lanes }) => Math.min(...lanes) >= until)
    }
    await log.untilGroups(isDelivered, signal)
  }

  /** Notes the fan-outs, durably; not over what another process notes that derives in our place by now. */
  async #save(): Promise<void> {
    const { log, childTables, capture } = this.#parts
    await capture.confirm()
    await log.define({ name: this.#name, tables: childTables, attributes: this.#attributes() })
    this.#moved.notify()
  }

  async #commitRegularly(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#parts.clock.sleep(commitEveryMs, signal)
      await this.#commit()
    }
  }

  async #commit(): Promise<void> {
    const done = [...this.#done]
    this.#done.clear()
    for (const [lane, next] of done) await this.#parts.log.commit(this.#name, lane, next)
  }
}

/** The groups that deliver a pipeline. */
function targetsOf(pipeline: string, groups: readonly Group[]): readonly Group[] {
  return groups.filter(({ name }) => isAddressedTo(pipeline, name))
}
