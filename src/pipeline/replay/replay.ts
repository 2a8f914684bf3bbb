/**
 * Replays: the records in a stretch of the log name keys, and each of these rows is delivered again, as it is now. That goes
 * by touches, which capture appends: a touch has a version of its own and its place in its key's lane, behind everything
 * that is on its way, so that no deleted document returns and no older version is shown. Delivering the old records
 * themselves could do both.
 */
import type { Key, Offset, Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { isAddressedTo, type Group, type LogAdmin } from '../../log/log.ts'
import type { Capture } from '../capture/capture.ts'
import type { Clock } from '../clock.ts'
import type { Observe } from '../facts.ts'
import { gatherKeys, type GatheredKeys } from './replay-keys.ts'
import { followedRoots } from './replay-roots.ts'
import { isUnderWay, type KeptReplay, type ReplayState, type ReplayStates } from './replay-state.ts'
import { decide } from '../retry-policy.ts'
import type { RootSearch } from '../deriving/root-search.ts'
import { Signal } from '../../change/signal.ts'
import { together } from '../together.ts'

export interface ReplaysParts {
  readonly states: ReplayStates
  readonly log: Pick<LogAdmin, 'range' | 'groups' | 'untilGroups' | 'retention' | 'control'>
  readonly capture: Pick<Capture, 'touch'>
  /** As the source describes it now. */
  readonly describe: (table: string) => Promise<Table>
  /** What finds the roots of joined rows, for an addressee whose documents hold such; undefined = they hold none. */
  readonly searchFor: (addressee: string) => RootSearch | undefined
  readonly clock: Clock
  readonly observe: Observe
  readonly limits: ReplayLimits
}

export interface ReplayLimits {
  /** So many are remembered at a time. */
  readonly keysMax: number
  /** Keys in one append. */
  readonly batchKeys: number
  /** So many may wait in the log to be delivered: live changes stay fresh. */
  readonly undeliveredKeys: number
}

export const usualReplayLimits: ReplayLimits = { keysMax: 200_000, batchKeys: 500, undeliveredKeys: 5_000 }

/** How often the store is asked for new replays, and whether somebody changed one under way. */
const everyMs = 1_000

export class Replays {
  readonly #parts: ReplaysParts
  readonly #begun = new Signal()

  constructor(parts: ReplaysParts) {
    this.#parts = parts
  }

  /** Somebody began one: it is looked for at once. */
  notify(): void {
    this.#begun.notify()
  }

  /** Carries out one after the other, the oldest first, until the signal aborts; where a crash left one, it goes on. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const seen = this.#begun.count
      const waiting = (await this.#parts.states.all()).filter(({ state }) => isUnderWay(state))
      const [oldest] = waiting.toSorted((one, other) => one.state.startedAtMs - other.state.startedAtMs)
      if (oldest === undefined) await this.#pause(seen, signal)
      else await this.#carryOut(oldest, signal)
    }
  }

  async #pause(seen: number, signal: AbortSignal): Promise<void> {
    await together(signal, [
      async (ending) => void (await this.#begun.next(seen, ending)),
      (ending) => this.#parts.clock.sleep(everyMs, ending),
    ])
  }

  async #carryOut(kept: KeptReplay, signal: AbortSignal): Promise<void> {
    const work = new ReplayWork(this.#parts, kept)
    try {
      await work.run(signal)
    } catch (error) {
      if (signal.aborted || !(error instanceof Failure) || decide(error, 1).kind === 'retry') throw error
      await work.fail(error)
    }
  }
}

/** Thrown where somebody else has changed the state: it was cancelled. */
class Overtaken extends Error {}

class ReplayWork {
  readonly #parts: ReplaysParts
  #kept: KeptReplay
  /** Keys in the log that may not be delivered yet, oldest first. */
  #undelivered: { readonly until: Offset; readonly keys: number }[] = []
  /** Keys that have been touched, as many as may be remembered: roots are not touched again for their joined rows. */
  readonly #touched = new Set<Key>()

  constructor(parts: ReplaysParts, kept: KeptReplay) {
    this.#parts = parts
    this.#kept = kept
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      this.#tell()
      if (this.#state.phase === 'touching') await this.#touchAll(signal)
      await this.#passed(this.#state.until, signal)
      await this.#save({ phase: 'done', endedAtMs: this.#parts.clock.now() })
      this.#tell()
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error
    }
  }

  async fail({ message }: Failure): Promise<void> {
    try {
      await this.#save({ phase: 'failed', failure: message, endedAtMs: this.#parts.clock.now() })
      this.#tell()
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error
    }
  }

  get #state(): ReplayState {
    return this.#kept.state
  }

  async #touchAll(signal: AbortSignal): Promise<void> {
    const table = await this.#parts.describe(this.#state.table)
    for (let [part] = this.#state.parts; part !== undefined; [part] = this.#state.parts) {
      await this.#assertKept()
      const { from, to, only } = this.#state
      const wanted = only === undefined ? undefined : new Set(only)
      const stretch = { from, to, table, groups: await this.#groups(), only: wanted }
      const gathered = await gatherKeys(this.#parts.log, stretch, {
        part,
        keysMax: this.#parts.limits.keysMax,
      })
      await this.#saveParts(gathered)
      await this.#touchPart(gathered, table, signal)
      await this.#save({ parts: this.#state.parts.slice(1), keysInPart: 0, touchedInPart: 0 })
    }
    await this.#followJoined(table, signal)
    await this.#save({ phase: 'delivering' })
  }

  /** Touches the roots of the joined rows that the stretch is about. */
  async #followJoined(table: Table, signal: AbortSignal): Promise<void> {
    const { addressee, to, only, followed } = this.#state
    const search = this.#parts.searchFor(addressee)
    if (search === undefined || followed === undefined) return
    await this.#assertKept()
    const stretch = { from: followed, to, groups: await this.#groups() }
    const wanted = only === undefined ? undefined : new Set(only)
    for await (const { roots, next, barriers } of followedRoots(this.#parts.log, stretch, search, signal)) {
      const keys = roots.filter((key) => wanted?.has(key) !== false && !this.#touched.has(key))
      const { batchKeys } = this.#parts.limits
      for (let from = 0; from < keys.length; from += batchKeys)
        await this.#touch(keys.slice(from, from + batchKeys), table, { signal })
      this.#remember(keys)
      const known = new Set([...this.#state.barriers, ...barriers])
      await this.#save({ followed: next, barriers: [...known] })
    }
  }

  #remember(keys: readonly Key[]): void {
    if (this.#state.followed === undefined) return
    if (this.#touched.size + keys.length > this.#parts.limits.keysMax) return
    for (const key of keys) this.#touched.add(key)
  }

  /** Before anything is touched: after a crash the same keys come in the same order. */
  async #saveParts({ part, others, barriers, keys }: GatheredKeys): Promise<void> {
    const parts = [part, ...others, ...this.#state.parts.slice(1)]
    await this.#save({ parts, barriers, keysInPart: keys.size })
  }

  async #touchPart({ keys: gathered }: GatheredKeys, table: Table, signal: AbortSignal): Promise<void> {
    const { batchKeys } = this.#parts.limits
    const all = [...gathered]
    while (this.#state.touchedInPart < all.length) {
      const { touchedInPart } = this.#state
      const keys = all.slice(touchedInPart, touchedInPart + batchKeys)
      await this.#touch(keys, table, { touchedInPart: touchedInPart + keys.length, signal })
    }
    this.#remember(all)
  }

  /** As fast as is wanted, and as there is room for. */
  async #touch(
    keys: readonly Key[],
    table: Table,
    { signal, ...change }: { readonly signal: AbortSignal } & Partial<Pick<ReplayState, 'touchedInPart'>>,
  ): Promise<void> {
    const { clock, capture } = this.#parts
    const { addressee, touched, keysPerSecond } = this.#state
    signal.throwIfAborted()
    await this.#room(signal)
    const startedAtMs = clock.elapsed()
    const { until } = await capture.touch({ table, keys, addressee }, signal)
    this.#undelivered.push({ until, keys: keys.length })
    await this.#save({ ...change, until, touched: touched + keys.length })
    const restMs =
      keysPerSecond === 0 ? 0 : (keys.length / keysPerSecond) * 1000 - (clock.elapsed() - startedAtMs)
    if (restMs > 0) await clock.sleep(restMs, signal)
  }

  /** What retention dropped meanwhile names keys that nobody knows any more, and the order of the rest is another one. */
  async #assertKept(): Promise<void> {
    const { log } = this.#parts
    if ((await log.control())?.lineage !== this.#state.lineage) {
      throw new Failure('lost', 'the log is another one than that which was to be replayed')
    }
    const { oldest } = await log.retention()
    if (oldest <= this.#state.from) return
    throw new Failure(
      'lost',
      `the log dropped records from offset ${this.#state.from} on that were to be replayed`,
      {
        remedy:
          'begin another replay: millrace replay PIPELINE --from earliest; or read the whole table: run --reload',
      },
    )
  }

  async #groups(): Promise<readonly string[]> {
    const { addressee } = this.#state
    const groups = (await this.#parts.log.groups()).filter(({ name }) => isAddressedTo(addressee, name))
    if (groups.length > 0) return groups.map(({ name }) => name)
    throw new Failure('lost', `the log knows no group of ${addressee}`, { remedy: 'millrace run begins it' })
  }

  async #room(signal: AbortSignal): Promise<void> {
    for (;;) {
      const keys = this.#undelivered.reduce((sum, one) => sum + one.keys, 0)
      const [oldest] = this.#undelivered
      if (oldest === undefined || keys < this.#parts.limits.undeliveredKeys) return
      await this.#passed(oldest.until, signal)
      this.#undelivered.shift()
    }
  }

  /** Resolves when every group of the addressee has passed the offset; throws where somebody cancelled meanwhile. */
  async #passed(until: Offset, signal: AbortSignal): Promise<void> {
    const { addressee } = this.#state
    const isDelivered = ({ name, lanes }: Group): boolean =>
      !isAddressedTo(addressee, name) || lanes.every((next) => next >= until)
    await together(signal, [
      (ending) => this.#parts.log.untilGroups((groups) => groups.every(isDelivered), ending),
      (ending) => this.#overtaken(ending),
    ])
    signal.throwIfAborted()
  }

  /** Throws when somebody else changed the state that we have. */
  async #overtaken(signal: AbortSignal): Promise<never> {
    const { clock, states } = this.#parts
    for (;;) {
      await clock.sleep(everyMs, signal)
      if ((await states.of(this.#state.addressee))?.revision !== this.#kept.revision) throw new Overtaken()
    }
  }

  async #save(change: Partial<ReplayState>): Promise<void> {
    const saved = await this.#parts.states.save({ ...this.#state, ...change }, this.#kept)
    if (saved === undefined) throw new Overtaken()
    this.#kept = saved
  }

  #tell(): void {
    const { source, addressee, phase, touched } = this.#state
    this.#parts.observe({ kind: 'replay', source, addressee, phase, touched })
  }
}
