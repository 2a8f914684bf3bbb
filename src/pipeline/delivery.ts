/** A group's way from the log to its index: one reader, a worker for each lane. */
import type { Offset } from '../change/change.ts'
import type { Group } from '../log/log.ts'
import { Lane, type LaneParts } from './lane.ts'
import { Signal } from './signal.ts'
import { together } from './together.ts'

export type DeliveryParts = Omit<LaneParts, 'group' | 'lane' | 'committed' | 'committedTo' | 'allSettled'> & {
  readonly group: Group
}

export class Delivery {
  readonly #parts: DeliveryParts
  readonly #committed: Offset[]
  readonly #moved = new Signal()

  constructor(parts: DeliveryParts) {
    this.#parts = parts
    this.#committed = [...parts.group.lanes]
  }

  /** Delivers until the signal aborts, and returns; or throws a Failure. What is under way is finished and committed. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, group, letters } = this.#parts
    await letters.begin()
    const lanes: Lane[] = []
    const settled = async (offset: Offset, ending: AbortSignal): Promise<void> => {
      this.#moved.notify()
      for (let seen = this.#moved.count; !lanes.every((lane) => lane.hasSettled(offset));)
        seen = await this.#moved.next(seen, ending)
    }
    for (const [lane, committed] of group.lanes.entries()) lanes.push(this.#lane(lane, committed, settled))
    const reading = async (ending: AbortSignal): Promise<void> => {
      for await (const batch of log.read(group.name, ending)) await lanes[batch.lane]?.give(batch, ending)
    }
    await together(signal, [reading, ...lanes.map((lane) => (ending: AbortSignal) => lane.run(ending))])
  }

  /** Everything before this offset is finished, durably. */
  get next(): Offset {
    return Math.min(...this.#committed)
  }

  /** Resolves when everything before the offset is finished and committed. */
  async passed(offset: Offset, signal: AbortSignal): Promise<void> {
    for (let seen = this.#moved.count; this.next < offset;) seen = await this.#moved.next(seen, signal)
  }

  #lane(lane: number, committed: Offset, allSettled: LaneParts['allSettled']): Lane {
    return new Lane({
      ...this.#parts,
      group: this.#parts.group.name,
      lane,
      committed,
      allSettled,
      committedTo: (at, next) => {
        this.#committed[at] = next
        this.#moved.notify()
      },
    })
  }
}
