/** What has arrived of one partition and was not taken yet: batches in the order of the log, of which one record comes next. */
import type { Fetched } from './committed-records.ts'
import type { FetchedBatch, FetchedRecord } from './fetched-batch.ts'
import { HeaderReader } from './header-reader.ts'

export class Arriving {
  readonly topic: string
  /** Of the topic of that name that it was begun in. */
  readonly id: string
  /** Where to read on. */
  next: bigint
  /** Everything up to this sequence number has arrived. */
  arrivedTo: number
  /** Unpacked, of what waits. */
  bytes = 0
  /** The record that comes next, and its headers; undefined = none waits. */
  head: FetchedRecord | undefined
  readonly headers = new HeaderReader()
  /** Everything up to this sequence number was taken. */
  #takenTo: number
  readonly #batches: FetchedBatch[] = []

  /** Nothing of the partition up to `takenTo` is wanted. */
  constructor({ topic, id, next }: { topic: string; id: string; next: bigint }, takenTo: number) {
    this.topic = topic
    this.id = id
    this.next = next
    this.arrivedTo = takenTo
    this.#takenTo = takenTo
  }

  add({ batches, next }: Fetched): void {
    const reader = new HeaderReader()
    for (const batch of batches) {
      const last = batch.last()
      if (last === undefined) continue
      reader.read(last)
      if (reader.seq <= this.arrivedTo) continue
      this.arrivedTo = reader.seq
      this.bytes += batch.bytes.length
      this.#batches.push(batch)
    }
    this.next = next
    if (this.head === undefined) this.#come(this.#batches[0]?.first(0n))
  }

  /** The head was taken: the next one comes. */
  take(): void {
    const { head } = this
    if (head === undefined) throw new Error('nothing is there to be taken')
    this.#takenTo = this.headers.seq
    this.#come(head.batch.after(head))
  }

  /** Where to read on so that all is read again that was not taken. */
  get offset(): bigint {
    return this.head?.offset ?? this.next
  }

  #come(first: FetchedRecord | undefined): void {
    let record = first
    for (; this.#batches.length > 0; record = this.#batches[0]?.first(0n)) {
      for (; record !== undefined; record = record.batch.after(record)) {
        this.headers.read(record)
        if (this.headers.seq > this.#takenTo) {
          this.head = record
          return
        }
      }
      this.bytes -= this.#batches.shift()?.bytes.length ?? 0
    }
    this.head = undefined
  }
}
