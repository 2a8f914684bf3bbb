/** A source's log, begun where it must begin, and its capture. */
import type { Position } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import type { ChangeLog, Control } from '../log/log.ts'
import type { Capture } from './capture.ts'
import type { Clock } from './clock.ts'
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
    try {
      await this.#parts.capture.run(signal)
    } catch (error) {
      if (!this.#restart || !(error instanceof Failure) || error.kind !== 'lost') throw error
      this.#restart = false
      await this.#beginAgain(error)
      await this.#parts.capture.run(signal)
    }
  }

  /** The changes in between are lost to the log, so every row is read again, in the same append. */
  async #beginAgain(lost: Failure): Promise<void> {
    const found = await this.#parts.log.tail()
    if (found === undefined) throw lost
    const { groups, clock } = this.#parts
    const { control } = advance(found, 1)
    const producers = demandLoads(control, groups, { reason: lost.message, nowMs: clock.now() })
    await this.#append({ ...control, producers: await this.#present(producers) })
  }

  async #begin(): Promise<void> {
    const epoch = epochAbove(await this.#parts.epochsSeen())
    const { lanes, lineage } = this.#parts
    await this.#append({ lineage: lineage(), epoch, seq: 0, lanes, producers: await this.#present({}) })
  }

  async #present(producers: Control['producers']): Promise<Control['producers']> {
    return { ...producers, [`source:${this.#parts.name}`]: await this.#parts.start() }
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
