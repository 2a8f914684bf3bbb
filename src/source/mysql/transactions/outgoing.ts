/** What a reader has for its next batch. */
import type { Barrier, Position } from '../../../change/change.ts'
import { noOrigins } from '../../../change/origins.ts'
import { commitAt, Records, RecordsBuilder } from '../../../change/records.ts'
import type { SourceBatch } from '../../source.ts'
import type { OpenTransaction } from './open-transaction.ts'

/** A batch is taken when it has 256 KB; the last event comes on top. */
const batchBytesUsual = 288 * 1024

export interface OutgoingOptions {
  /** Changes say which transactions they come from: somebody asks. */
  readonly namesTransactions?: boolean
}

export class Outgoing {
  readonly #namesTransactions: boolean
  /** Where changes are written. */
  readonly builder = new RecordsBuilder(batchBytesUsual)
  readonly #barriers: Barrier[] = []
  /** What comes before the builder's records. */
  readonly #finished: Records[] = []
  #finishedBytes = 0

  constructor({ namesTransactions = false }: OutgoingOptions) {
    this.#namesTransactions = namesTransactions
  }

  /** Changes from here on are of this transaction. */
  within({ name }: OpenTransaction): void {
    if (this.#namesTransactions) this.builder.within(name)
  }

  /** Of the changes. */
  get bytes(): number {
    return this.#finishedBytes + this.builder.at
  }

  get hasBarriers(): boolean {
    return this.#barriers.length > 0
  }

  /** Puts changes that were kept behind what there is: this transaction has committed them. */
  add({ bytes, tables, count }: Records, { start, name }: OpenTransaction): void {
    this.#finish()
    const origins = this.#namesTransactions ? [{ from: 0, transaction: name }] : noOrigins
    const records = new Records(bytes, tables, count, origins)
    commitAt(records, start.committedAtMs)
    this.#finishedBytes += bytes.length
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
