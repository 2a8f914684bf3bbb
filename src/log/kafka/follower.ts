/** Reads the control topic as it grows: one for all that a log does. */
import { Failure } from '../../change/failure.ts'
import { Bell } from './bell.ts'
import type { Client } from './client.ts'
import { placeName } from './connections.ts'
import { ControlState } from './control-state.ts'
import { hasCode } from './failures.ts'
import { transactionTimeoutMs } from './writer.ts'

const waitMs = 500
const fetchBytes = 8 * 2 ** 20
/** After a failure it tries again so much later. */
const restMs = 500
/** Where nobody waits, what has come is read so often, ms: a capture would else read each of its own control records. */
const leisureMs = 100
/** So long a transaction may stay unfinished: longer than brokers keep one of a capture that is gone. */
const stillMsMax = 2 * transactionTimeoutMs

export class Follower {
  readonly state = new ControlState()
  /** Rings after each piece that was read. */
  readonly #moved = new Bell()
  /** Rings when somebody begins to wait for that. */
  readonly #asked = new Bell()
  #waiting = 0
  readonly #client: Client
  /** Waits long at brokers. */
  readonly #fetching: Client
  readonly #topic: string
  readonly #closed = new AbortController()
  #next = 0n
  /** Of the control topic that is being read. */
  #id: string | undefined
  /** What the state says of ends of partitions counts from here on: before, compaction may have taken some of it. */
  #exactFrom: bigint | undefined
  #running: Promise<void> | undefined
  #appends = 0
  #failure: Failure | undefined

  /** Closes `fetching`. */
  constructor(client: Client, fetching: Client, topic: string) {
    this.#client = client
    this.#fetching = fetching
    this.#topic = topic
  }

  /** Whether the ends of partitions are those of the control record. */
  get isExact(): boolean {
    return this.#exactFrom !== undefined && this.#next >= this.#exactFrom
  }

  /** How many pieces have been read. */
  get pieces(): number {
    return this.#moved.count
  }

  /** Resolves when more than `seen` pieces have been read, when the signal aborts, or after so many ms. */
  async moved(seen: number, signal: AbortSignal, atMostMs?: number): Promise<void> {
    this.#waiting++
    this.#asked.ring()
    try {
      await this.#moved.rung(seen, signal, atMostMs)
    } finally {
      this.#waiting--
    }
  }

  /**
   * Resolves when everything has been read that was finished before, and all that this process wrote. `all`: what others
   * have begun as well; they may have died, and it takes brokers a while to undo what they left.
   */
  async caughtUp(all = false): Promise<ControlState> {
    const end = await this.#end(all ? 'last' : 'finished').catch(async (error: unknown) => {
      throw await this.#failureOf(error)
    })
    this.#start()
    let still = { at: this.#next, sinceMs: performance.now() }
    while (this.#next < end || this.state.appends < this.#appends) {
      await this.moved(this.pieces, this.#closed.signal, waitMs)
      if (this.#failure !== undefined) throw this.#failure
      this.#closed.signal.throwIfAborted()
      if (this.#next !== still.at) still = { at: this.#next, sinceMs: performance.now() }
      else if (performance.now() - still.sinceMs > stillMsMax) throw this.#hanging()
    }
    return this.state
  }

  /** Brokers end what was begun when somebody else takes over, or by its time limit; one that was killed may forget to. */
  #hanging(): Failure {
    const seconds = stillMsMax / 1000
    const what = `the topic ${this.#topic} has had a transaction at offset ${this.#next} for ${seconds} s that no broker ends`
    return new Failure('transient', what, {
      remedy:
        "where it lasts, Kafka's own tool finds and ends it: kafka-transactions.sh --bootstrap-server BROKER find-hanging --broker-id N, then abort",
    })
  }

  /** This process has finished so many appends in all: whoever asks for the state wants to see them. */
  expect(appends: number): void {
    this.#appends = appends
  }

  /** Something that must be seen is going wrong; undefined = all is well. */
  get failure(): Failure | undefined {
    return this.#failure
  }

  async close(): Promise<void> {
    this.#closed.abort(new Failure('transient', 'the log was closed'))
    await this.#fetching.close()
    await this.#running
  }

  #start(): void {
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed
    while (!signal.aborted) {
      try {
        await this.#readSome()
        this.#failure = undefined
        if (this.#waiting === 0) await this.#asked.rung(this.#asked.count, signal, leisureMs)
      } catch (error) {
        if (signal.aborted) return
        this.#failure = await this.#failureOf(error)
        this.#fetching.forget()
        this.#moved.ring()
        await new Bell().rung(0, signal, restMs)
      }
    }
  }

  async #readSome(): Promise<void> {
    this.#exactFrom ??= await this.#end('finished')
    this.#id ??= (await this.#client.topics([this.#topic])).get(this.#topic)?.id
    const place = { topic: this.#topic, partition: 0, id: this.#id }
    try {
      const limits = { waitMs, bytes: fetchBytes, partitionBytes: fetchBytes }
      for (const { records, next } of await this.#fetching.fetch(
        [{ ...place, offset: this.#next }],
        limits,
      )) {
        const follow = records.map((record) => this.state.take(record))
        if (follow.includes(false)) this.#exactFrom = undefined
        this.#next = next
      }
    } catch (error) {
      if (!hasCode(error, 'OFFSET_OUT_OF_RANGE')) throw error
      this.#next = (await this.#client.ends([place], 'first')).get(placeName(place)) ?? 0n
      return
    }
    this.#moved.ring()
  }

  /** A log is what its control topic says: with that it is gone, whatever is left of the other topics. */
  async #failureOf(error: unknown): Promise<Failure> {
    const failure =
      error instanceof Failure ? error : new Failure('transient', 'the control topic', { cause: error })
    if (failure.kind !== 'transient' || (await this.#isThere())) return failure
    return new Failure('corrupt', `the topic ${this.#topic} was deleted, and the log with it`, {
      remedy:
        'stop millrace and delete the other topics of this log.kafka.prefix: the next start begins a new log and reads every table again',
    })
  }

  /** Whether the control topic is the one that was read; where nobody can tell, it is. */
  async #isThere(): Promise<boolean> {
    try {
      return (await this.#client.topics([this.#topic], true)).get(this.#topic)?.id === this.#id
    } catch {
      return true
    }
  }

  async #end(which: 'last' | 'finished'): Promise<bigint> {
    const place = { topic: this.#topic, partition: 0 }
    return (await this.#client.ends([place], which)).get(placeName(place)) ?? 0n
  }
}
