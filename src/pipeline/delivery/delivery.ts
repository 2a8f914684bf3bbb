/**
 * A group's way from the log to its index: one reader, a worker for each lane. Lanes come as the log assigns them: all at
 * once, or one by one where several processes share a group; and they go to another process with all that they had begun
 * finished and committed.
 */
import type { Offset } from '../../change/change.ts'
import type { ChangeLog, Group, LaneWatcher, LogAdmin } from '../../log/log.ts'
import { Lane, type LaneParts } from './lane.ts'
import { Signal } from '../../change/signal.ts'
import { together } from '../together.ts'

export type DeliveryParts = Omit<
  LaneParts,
  'group' | 'lane' | 'committed' | 'committedTo' | 'allSettled' | 'log'
> & {
  readonly group: Group
  readonly log: ChangeLog & Pick<LogAdmin, 'groups'>
}

/** A lane that goes to another process is waited for at most so long: its late requests do no harm, its commits fail. */
const revokeMs = 20_000
/** How often the places of lanes are asked for that other processes deliver, ms. */
const othersEveryMs = 1_000

/** A lane at work. */
interface Worker {
  readonly lane: Lane
  readonly ending: AbortController
  /** Of the worker's own end, and of all. */
  readonly signal: AbortSignal
  readonly done: Promise<void>
}

export class Delivery {
  readonly #parts: DeliveryParts
  readonly #committed: Offset[]
  readonly #moved = new Signal()
  readonly #workers = new Map<number, Worker>()

  constructor(parts: DeliveryParts) {
    this.#parts = parts
    this.#committed = [...parts.group.lanes]
  }

  /** Delivers until the signal aborts, and returns; or throws a Failure. What is under way is finished and committed. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#parts.letters.begin()
    const failed = Promise.withResolvers<void>()
    await together(signal, [
      (ending) => this.#read(ending, failed.reject),
      (ending) => {
        // A signal that has aborted already tells nobody any more.
        if (ending.aborted) failed.resolve()
        else ending.addEventListener('abort', () => failed.resolve(), { once: true })
        return failed.promise
      },
    ])
  }

  /** Everything before this offset is finished, durably. */
  get next(): Offset {
    return Math.min(...this.#committed)
  }

  /** Resolves when everything before the offset is finished and committed, here and in other processes. */
  async passed(offset: Offset, signal: AbortSignal): Promise<void> {
    for (let seen = this.#moved.count; this.next < offset;) {
      if (this.#workers.size === 0 || this.#ownNext >= offset) await this.#askOthers(signal)
      else seen = await this.#moved.next(seen, signal)
    }
  }

  get #ownNext(): Offset {
    return Math.min(...[...this.#workers.keys()].map((lane) => this.#committed[lane] ?? 0))
  }

  /** What is behind lies in lanes of other processes. */
  async #askOthers(signal: AbortSignal): Promise<void> {
    const { log, group, clock } = this.#parts
    await clock.sleep(othersEveryMs, signal)
    const found = (await log.groups()).find(({ name }) => name === group.name)
    for (const [lane, next] of (found?.lanes ?? []).entries())
      if (!this.#workers.has(lane)) this.#committed[lane] = next
  }

  async #read(ending: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    const { log, group } = this.#parts
    const watcher: LaneWatcher = {
      assigned: (lane, next) => this.#assign(lane, next, { ending, failed }),
      revoked: (lane) => this.#revoke(lane),
    }
    try {
      for await (const batch of log.read(group.name, ending, watcher)) {
        const worker = this.#workers.get(batch.lane)
        if (worker !== undefined) await this.#give(worker, batch, ending)
      }
    } finally {
      for (const { ending: own } of this.#workers.values()) own.abort()
      await Promise.all([...this.#workers.values()].map(({ done }) => done))
      this.#workers.clear()
    }
  }

  /** What a lane no longer takes is for whoever has it next. */
  async #give(worker: Worker, batch: Parameters<Lane['give']>[0], ending: AbortSignal): Promise<void> {
    try {
      await worker.lane.give(batch, worker.signal)
    } catch (error) {
      if (ending.aborted || !worker.ending.signal.aborted) throw error
    }
  }

  #assign(
    number: number,
    next: Offset,
    { ending, failed }: { readonly ending: AbortSignal; readonly failed: (error: unknown) => void },
  ): void {
    this.#committed[number] = next
    // Whoever had the lane before may have put documents of it aside.
    this.#parts.letters.doubt()
    const lane = this.#lane(number, next)
    const own = new AbortController()
    const signal = AbortSignal.any([ending, own.signal])
    const done = lane.run(signal).catch((error: unknown) => {
      if (!signal.aborted) failed(error)
    })
    this.#workers.set(number, { lane, ending: own, signal, done })
    this.#moved.notify()
  }

  async #revoke(number: number): Promise<void> {
    const worker = this.#workers.get(number)
    if (worker === undefined) return
    worker.ending.abort()
    const waited = new AbortController()
    const tooLong = this.#parts.clock.sleep(revokeMs, waited.signal).catch(() => {})
    await Promise.race([worker.done, tooLong])
    waited.abort()
    if (this.#workers.get(number) === worker) this.#workers.delete(number)
    this.#moved.notify()
  }

  async #settled(offset: Offset, signal: AbortSignal): Promise<void> {
    this.#moved.notify()
    const all = (): boolean => [...this.#workers.values()].every(({ lane }) => lane.hasSettled(offset))
    for (let seen = this.#moved.count; !all();) seen = await this.#moved.next(seen, signal)
  }

  #lane(lane: number, committed: Offset): Lane {
    return new Lane({
      ...this.#parts,
      group: this.#parts.group.name,
      lane,
      committed,
      allSettled: (offset, signal) => this.#settled(offset, signal),
      committedTo: (at, next) => {
        this.#committed[at] = next
        this.#moved.notify()
      },
    })
  }
}
