/** A source's log, begun where it must begin, and its capture. */
import type { Position } from '../change/change.ts'
import type { ChangeLog, Control } from '../log/log.ts'
import type { Capture } from './capture.ts'
import { epochAbove } from './numbering.ts'

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
  /** Begin at the server's present, whatever the log says: everything is read again anyway. */
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
    else if (this.#restart)
      await this.#append({ ...control, producers: await this.#present(control.producers) })
    this.#restart = false
    await this.#parts.capture.run(signal)
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
      changes: [],
      firstSeq: control.seq + 1,
      addressee: undefined,
      barriers: [],
      control,
    })
  }
}
