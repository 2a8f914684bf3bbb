/** What a reader has for its next batch. */
import type { Barrier, Position } from '../../change/change.ts'
import { RecordsBuilder, type Records } from '../../change/records.ts'
import type { SourceBatch } from '../source.ts'

/** A batch is taken when it has 256 KB; the last event comes on top. */
const batchBytesUsual = 288 * 1024

export class Outgoing {
  /** Where changes are written. */
  readonly builder = new RecordsBuilder(batchBytesUsual)
  readonly #barriers: Barrier[] = []
  /** What comes before the builder's records. */
  readonly #finished: Records[] = []
  #finishedBytes = 0

  /** Of the changes. */
  get bytes(): number {
    return this.#finishedBytes + this.builder.at
  }

  get hasBarriers(): boolean {
    return this.#barriers.length > 0
  }

  /** Puts these behind what there is. */
  add(records: Records): void {
    this.#finish()
    this.#finishedBytes += records.bytes.length
    this.#finished.push(records)
  }

  bar(barriers: Iterable<Barrier>): void {
    this.#barriers.push(...barriers)
  }

  /** Everything since the last take. */
  take(position: Position): SourceBatch {
    const { bytes } = this
    this.#finish()
    const records = this.#finished.splice(0)
    this.#finishedBytes = 0
    const release = (): void => {
      for (const each of records) this.builder.reuse(each)
    }
    return { records, barriers: this.#barriers.splice(0), position, bytes, release }
  }

  #finish(): void {
    if (this.builder.count === 0) return
    this.#finishedBytes += this.builder.at
    this.#finished.push(this.builder.finish())
  }
}
