/**
 * The only hand that writes to a log: it numbers what the source gave and what loads have read, keeps the control record,
 * and gathers whatever arrives while an append is under way into the next one (group commit).
 */
import assert from 'node:assert/strict'
import type { Barrier, Offset, Position } from '../../change/change.ts'
import { countOf, type Records } from '../../change/records.ts'
import type { ChangeLog, Control } from '../../log/log.ts'
import type { SourceBatch } from '../../source/source.ts'
import { advance } from './numbering.ts'

export interface Appended {
  readonly firstSeq: number
  readonly records: readonly Records[]
  readonly barriers: readonly Barrier[]
}

export interface AppenderParts {
  readonly log: Pick<ChangeLog, 'append'>
  /** Name of the source's entry among the producers. */
  readonly producer: string
  readonly batchBytesMax: number
  /** Told after each append of changes from the source, before the next begins. The records may be looked at until it returns. */
  readonly appended: (appended: Appended, control: Control) => void
  /** Producers' states that must change with these barriers, in the same append; `seq` is the number that they took. */
  readonly onBarriers: (barriers: readonly Barrier[], control: Control) => Control['producers']
  /** Told once when an append failed and nothing can be appended any more. */
  readonly failed: (error: unknown) => void
}

/** Records and states that are not the source's; asked for what to append when their turn comes. */
export type Insertion = (control: Control) => {
  readonly records: readonly Records[]
  readonly addressee: string | undefined
  readonly producers: Control['producers']
  /** How many sequence numbers it takes that no record gets. */
  readonly reserved?: number
  /** A higher epoch to go on in. */
  readonly epoch?: number
}

interface Waiting {
  readonly insertion: Insertion
  readonly resolve: (next: Offset) => void
  readonly reject: (error: unknown) => void
}

export class Appender {
  readonly #parts: AppenderParts
  #control: Control
  #next: Offset = 0
  #batches: SourceBatch[] = []
  #bytes = 0
  #insertions: Waiting[] = []
  #running: Promise<void> | undefined
  /** The source waits here until an append has made room. */
  #room: PromiseWithResolvers<void> | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(parts: AppenderParts, control: Control) {
    this.#parts = parts
    this.#control = control
  }

  /** As of the last durable append. */
  get control(): Control {
    return this.#control
  }

  /** The offset after the last durable record. */
  get next(): Offset {
    return this.#next
  }

  /** Takes a piece of the stream; resolves when there is room for another (one append may wait behind another). */
  async take(batch: SourceBatch): Promise<void> {
    this.#batches.push(batch)
    this.#bytes += batch.bytes
    this.#start()
    while (this.#bytes >= 2 * this.#parts.batchBytesMax && this.#failure === undefined) {
      this.#room ??= Promise.withResolvers()
      await this.#room.promise
    }
    this.#throwFailure()
  }

  /** Appends what `insertion` answers when its turn comes; resolves when it is durable. */
  insert(insertion: Insertion): Promise<Offset> {
    this.#throwFailure()
    const { promise, resolve, reject } = Promise.withResolvers<Offset>()
    this.#insertions.push({ insertion, resolve, reject })
    this.#start()
    return promise
  }

  /** Resolves when nothing is waiting. */
  async drained(): Promise<void> {
    await this.#running
    this.#throwFailure()
  }

  /** Lets those who wait go; when it resolves, nothing is being appended and nothing will be. */
  async close(error: unknown): Promise<void> {
    this.#fail(error)
    await this.#running
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    for (const waiting of this.#insertions.splice(0)) waiting.reject(error)
    this.#letIn()
  }

  #letIn(): void {
    this.#room?.resolve()
    this.#room = undefined
  }

  #start(): void {
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    try {
      while (this.#failure === undefined) {
        if (this.#batches.length > 0) await this.#appendStream()
        else if (this.#insertions.length > 0) await this.#appendInsertion()
        else break
        const waiting = this.#batches.length > 0 ? this.#insertions.length : 0
        if (waiting > 0) await this.#appendInsertion()
      }
    } catch (error) {
      this.#fail(error)
      this.#parts.failed(error)
    } finally {
      this.#running = undefined
    }
  }

  async #appendStream(): Promise<void> {
    const batches = this.#cut()
    const last = batches.at(-1)
    assert(last !== undefined, 'a cut is never empty')
    const records = batches.flatMap((batch) => batch.records)
    // Barriers take numbers of their own: what they sweep away gets it, above all before them, below all after them.
    const { firstSeq, control } = advance(this.#control, countOf(records) + last.barriers.length)
    const producers = {
      ...(last.barriers.length > 0 ? this.#parts.onBarriers(last.barriers, control) : control.producers),
      [this.#parts.producer]: last.position as string,
    }
    await this.#append({
      records,
      firstSeq,
      addressee: undefined,
      barriers: last.barriers,
      control: { ...control, producers },
    })
    this.#bytes -= batches.reduce((sum, batch) => sum + batch.bytes, 0)
    this.#letIn()
    this.#parts.appended({ firstSeq, records, barriers: last.barriers }, this.#control)
    for (const batch of batches) batch.release?.()
  }

  /** The next batches that make one append: bounded in bytes, and a barrier ends it. */
  #cut(): SourceBatch[] {
    let bytes = 0
    let count = 0
    for (const batch of this.#batches) {
      if (count > 0 && bytes + batch.bytes > this.#parts.batchBytesMax) break
      bytes += batch.bytes
      count++
      if (batch.barriers.length > 0) break
    }
    return this.#batches.splice(0, count)
  }

  async #appendInsertion(): Promise<void> {
    const waiting = this.#insertions.shift()
    assert(waiting !== undefined, 'an insertion waits')
    try {
      const insertion = waiting.insertion(this.#control)
      const { records, addressee, producers, reserved = 0, epoch = this.#control.epoch } = insertion
      const { firstSeq, control } = advance(this.#control, countOf(records) + reserved)
      assert(epoch >= control.epoch, 'epochs never go back')
      await this.#append({
        records,
        firstSeq,
        addressee,
        barriers: [],
        control: { ...control, epoch, producers },
      })
    } catch (error) {
      waiting.reject(error)
      throw error
    }
    waiting.resolve(this.#next)
  }

  async #append(batch: Parameters<ChangeLog['append']>[0]): Promise<void> {
    assert(batch.control.seq >= this.#control.seq, 'sequence numbers never go back')
    const next = await this.#parts.log.append(batch)
    assert(next >= this.#next, 'offsets never go back')
    this.#next = next
    this.#control = batch.control
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}

export function positionIn(control: Control, producer: string): Position | undefined {
  return control.producers[producer] as Position | undefined
}
