/** The search server as a process sees it: behind a network that delays, loses and tears, and sometimes not there at all. */
import { Failure } from '../../src/change/failure.ts'
import type { IndexAdmin, IndexState, Operation, Outcome, Sink } from '../../src/sink/sink.ts'
import { MemoryIndex, type Fault } from '../support/memory-sink.ts'
import type { Random } from '../support/random.ts'
import type { VirtualClock } from '../support/virtual-clock.ts'
import { hostile } from './application.ts'
import type { Gate } from './gate.ts'
import { faultKinds } from './settings.ts'

/** No request is under way for longer than that, ms. */
const strayMsMax = 60_000

export class Target {
  readonly index: MemoryIndex
  readonly #random: Random
  readonly #clock: VirtualClock
  readonly #faultAtMost: number | undefined
  /** Share of the writes that something happens to. */
  faults = 0
  isDown = false
  /** Requests that may still arrive although nobody waits for them. */
  underWay = 0

  constructor(random: Random, clock: VirtualClock, faultAtMost: number | undefined) {
    this.#faultAtMost = faultAtMost
    this.#random = random
    this.#clock = clock
    const mark = `"name":"${hostile}"`
    this.index = new MemoryIndex({
      pageSize: 30,
      refusal: (body) => (body.includes(mark) ? "failed to parse field 'name'" : undefined),
    })
    this.index.fault = (operations) => this.#fault(operations)
  }

  admin(gate: Gate): IndexAdmin {
    const { index } = this
    const ask = <T>(act: () => Promise<T>): Promise<T> =>
      gate.call(() => {
        this.#refuseWhenDown()
        return act()
      })
    return {
      inspect: () => ask(() => index.inspect()),
      create: (mark) => ask(() => index.create(mark)),
      reconcile: () => ask(() => index.reconcile()),
      mark: (mark) => ask(() => index.mark(mark)),
      refresh: () => ask(() => index.refresh()),
      get: (ids) => ask(() => index.get(ids)),
      async *scan(options, signal) {
        const pages = index.scan(options, signal)[Symbol.asyncIterator]()
        for (;;) {
          const page = await ask(() => pages.next())
          if (page.done === true) return
          yield page.value
        }
      },
    }
  }

  /** `answered` sees what a process is told of its operations. */
  sink(
    gate: Gate,
    state: IndexState,
    answered: (uuid: string, operations: readonly Operation[], outcomes: readonly Outcome[]) => void,
  ): Sink {
    const sink = this.index.sinkFor(state)
    return {
      write: async (operations, signal) => {
        const outcomes = await gate.call(() => {
          this.#refuseWhenDown()
          return sink.write(operations, signal)
        })
        answered(state.uuid, [...operations], outcomes)
        return outcomes
      },
    }
  }

  #refuseWhenDown(): void {
    if (this.isDown) throw new Failure('transient', 'the target does not answer')
  }

  #fault(operations: readonly Operation[]): Fault | undefined {
    if (this.#random.next() >= this.faults) return undefined
    const anyKind = this.#random.below(faultKinds)
    switch (this.#random.next() < 0.7 ? (this.#faultAtMost ?? anyKind) : anyKind) {
      case 0:
        return { kind: 'refused', failure: this.#random.pick(['transient', 'overload', 'target'] as const) }
      case 1:
        return { kind: 'lost' }
      case 2:
        return { kind: 'partial', written: this.#random.below(operations.length + 1) }
      case 3:
        return { kind: 'late', until: this.#later(5_000) }
      case 4:
        return { kind: 'slow', until: this.#later(5_000) }
      case 5:
        return { kind: 'stray', until: this.#later(5_000) }
      default:
        return { kind: 'stray', until: this.#later(strayMsMax) }
    }
  }

  async #later(mostMs: number): Promise<void> {
    this.underWay++
    await this.#clock.sleep(this.#random.below(mostMs), new AbortController().signal)
    this.underWay--
  }
}
