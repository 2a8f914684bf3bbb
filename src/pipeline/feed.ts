/** A source's log, begun where it must begin, and its capture. */
import type { Position } from '../change/change.ts'
import { Divergence, Failure, type FailureKind } from '../change/failure.ts'
import { isAddressedTo, type ChangeLog, type Control, type Group, type LogAdmin } from '../log/log.ts'
import type { Records } from '../change/records.ts'
import type { Capture } from './capture/capture.ts'
import type { Clock } from './clock.ts'
import type { Observe } from './facts.ts'
import { demandLoads, loadState } from './capture/load-state.ts'
import { advance, epochAbove } from './capture/numbering.ts'
import { undoneIn, type Undone, type UndoneLog } from './capture/undone.ts'
import { missedBy, missing } from './index/binding.ts'

export interface FedGroup {
  readonly group: string
  readonly table: string
  /** Whether a document shows one row of the table, so that a touch of the row renews all that a change of it concerns. */
  readonly showsOneRow: boolean
}

export interface FeedParts {
  readonly name: string
  readonly log: ChangeLog & UndoneLog & Pick<LogAdmin, 'groups' | 'define'>
  readonly capture: Capture
  readonly lanes: number
  /** A name for a new log, drawn at random. */
  readonly lineage: () => string
  /** Where a new log begins. */
  readonly start: () => Promise<Position>
  /** Epochs in the marks of the indexes that this log will fill. */
  readonly epochsSeen: () => Promise<readonly number[]>
  readonly clock: Clock
  readonly observe: Observe
  /** The groups of the log. */
  readonly groups: readonly FedGroup[]
  /** Tables of a group that are not captured, or not with all columns that its documents show. */
  readonly misses: (group: Group) => readonly string[]
  /** Where what the log needs next is not to be had, or cannot be read: begin at the present, and read every table again. */
  readonly restart: boolean
}

/** Failures that stay at the same place of the source's history, however often it is read. */
const impassable: ReadonlySet<FailureKind> = new Set(['lost', 'unsupported'])

export class Feed {
  readonly #parts: FeedParts
  #restart: boolean

  constructor(parts: FeedParts) {
    this.#parts = parts
    this.#restart = parts.restart
  }

  /** Captures until the signal aborts, or throws a Failure; may be run again. */
  async run(signal: AbortSignal): Promise<void> {
    const control = await this.#parts.log.tail()
    if (control === undefined) await this.#begin()
    await this.#noteMissed()
    while (!signal.aborted) {
      try {
        // It ends as well when the source goes on at another server; what loads were reading is then read again.
        await this.#parts.capture.run(signal)
      } catch (error) {
        await this.#beginAgain(error)
      }
    }
  }

  /**
   * The log goes on where the source's history goes on, in a new epoch. What lies between is not known to the log, and
   * what it gave may be undone; so rows are read again, asked for in the same append: those that the log knows to be concerned,
   * else all. Throws the error where that is not asked for: a person must know that a place was lost, whereas the loss of a
   * server is what failovers are for.
   */
  async #beginAgain(error: unknown): Promise<void> {
    if (!(error instanceof Failure) || !impassable.has(error.kind)) throw error
    const diverged = error instanceof Divergence
    if (!diverged && !this.#restart) throw error
    const found = await this.#parts.log.tail()
    if (found === undefined) throw error
    const { observe, name } = this.#parts
    const epoch = epochAbove([found.epoch])
    const undone = diverged ? await this.#undone(error, found) : undefined
    const position = diverged ? error.resume : await this.#parts.start()
    const control = this.#renewed({ ...found, epoch }, position, { why: error.message, undone })
    await this.#append(control, undone?.touches, found.seq + 1)
    if (!diverged) this.#restart = false
    const lost = diverged ? error.undone : ''
    observe({
      kind: 'history-changed',
      source: name,
      epoch,
      why: error.message,
      undone: lost,
      touched: undone?.keys,
    })
  }

  /** A group whose pipeline was taken away must know, when it is back, that changes passed it by: before they do. */
  async #noteMissed(): Promise<void> {
    const { log, misses } = this.#parts
    for (const group of await log.groups()) {
      const known = missedBy(group)
      const missed = misses(group).filter((table) => !known.includes(table))
      if (missed.length === 0) continue
      await log.define({ name: group.name, tables: group.tables, attributes: missing(group, missed) })
    }
  }

  async #undone({ undoes }: Divergence, control: Control): Promise<Undone | undefined> {
    if (undoes === undefined) return undefined
    return await undoneIn(this.#parts.log, { control, producer: this.#producer, undoes })
  }

  /** The control record after the touches, with the loads that are needed besides. */
  #renewed(
    found: Control,
    position: Position,
    { why, undone }: { readonly why: string; readonly undone: Undone | undefined },
  ): Control {
    const { groups, clock } = this.#parts
    const { control } = advance(found, (undone?.keys ?? 0) + 1)
    const loading = undone === undefined ? groups : groups.filter((group) => needsLoad(group, undone, found))
    const producers = demandLoads(control, loading, { reason: why, nowMs: clock.now() })
    return { ...control, producers: this.#at(position, producers) }
  }

  async #begin(): Promise<void> {
    const epoch = epochAbove(await this.#parts.epochsSeen())
    const { lanes, lineage } = this.#parts
    const producers = this.#at(await this.#parts.start(), {})
    await this.#append({ lineage: lineage(), epoch, seq: 0, lanes, producers })
  }

  #at(position: Position, producers: Control['producers']): Control['producers'] {
    return { ...producers, [this.#producer]: position }
  }

  get #producer(): string {
    return `source:${this.#parts.name}`
  }

  async #append(
    control: Control,
    records: readonly Records[] = [],
    firstSeq: number = control.seq + 1,
  ): Promise<void> {
    await this.#parts.log.append({
      records,
      firstSeq,
      addressee: undefined,
      barriers: [],
      control,
    })
  }
}

/** Whether touches are not enough, or not certain to be. */
function needsLoad({ group, showsOneRow }: FedGroup, { loaded }: Undone, control: Control): boolean {
  const state = loadState(control, group)
  const isLoading = state !== undefined && state.phase !== 'done'
  return !showsOneRow || isLoading || [...loaded].some((addressee) => isAddressedTo(addressee, group))
}
