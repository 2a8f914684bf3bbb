/** A source's log, begun where it must begin, and its capture. */
import type { Position } from '../change/change.ts'
import { Divergence, Failure } from '../change/failure.ts'
import type { ChangeLog, Control } from '../log/log.ts'
import type { Capture } from './capture.ts'
import type { Clock } from './clock.ts'
import type { Observe } from './facts.ts'
import { demandLoads } from './load-state.ts'
import { advance, epochAbove } from './numbering.ts'

export interface FeedParts {
  readonly name: string
  readonly log: ChangeLog
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
  /** The groups of the log, each with its table. */
  readonly groups: readonly { readonly group: string; readonly table: string }[]
  /** Where the server no longer has what the log needs next: begin at its present, and read every table again. */
  readonly restart: boolean
}

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
   * what it gave may be undone; so every row is read again, in the same append. Throws the error where that is not asked
   * for: a person must know that a place was lost, whereas the loss of a server is what failovers are for.
   */
  async #beginAgain(error: unknown): Promise<void> {
    if (!(error instanceof Failure) || error.kind !== 'lost') throw error
    const diverged = error instanceof Divergence
    if (!diverged && !this.#restart) throw error
    const found = await this.#parts.log.tail()
    if (found === undefined) throw error
    const { groups, clock, observe, name } = this.#parts
    const epoch = epochAbove([found.epoch])
    const { control } = advance({ ...found, epoch }, 1)
    const producers = demandLoads(control, groups, { reason: error.message, nowMs: clock.now() })
    const position = diverged ? error.resume : await this.#parts.start()
    await this.#append({ ...control, producers: this.#at(position, producers) })
    if (!diverged) this.#restart = false
    const undone = diverged ? error.undone : ''
    observe({ kind: 'history-changed', source: name, epoch, why: error.message, undone })
  }

  async #begin(): Promise<void> {
    const epoch = epochAbove(await this.#parts.epochsSeen())
    const { lanes, lineage } = this.#parts
    const producers = this.#at(await this.#parts.start(), {})
    await this.#append({ lineage: lineage(), epoch, seq: 0, lanes, producers })
  }

  #at(position: Position, producers: Control['producers']): Control['producers'] {
    return { ...producers, [`source:${this.#parts.name}`]: position }
  }

  async #append(control: Control): Promise<void> {
    await this.#parts.log.append({
      records: [],
      firstSeq: control.seq + 1,
      addressee: undefined,
      barriers: [],
      control,
    })
  }
}
