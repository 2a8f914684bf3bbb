/**
 * Records as a broker gives them, less those of undone transactions. The broker gives batches up to its last stable
 * offset, and says which transactions among them were undone; a marker in the partition ends each of those.
 */
import { Failure } from '../../change/failure.ts'
import type { Place } from './connections.ts'
import type { FetchedPartition } from './fetch-answer.ts'
import { batchAt, type FetchedBatch, type FetchedRecord } from './fetched-batch.ts'

/** What was read of a partition from an offset on. */
export class Fetched implements Place {
  readonly topic: string
  readonly partition: number
  readonly from: bigint
  /** Those that count; the first may begin before `from`. */
  readonly batches: readonly FetchedBatch[]
  /** Where to go on: behind all that was looked at, markers and undone records included. */
  readonly next: bigint
  /** One past the newest record that all replicas have, of whatever transaction. */
  readonly end: bigint
  /** The first offset that is still kept. */
  readonly first: bigint

  constructor({ topic, partition }: Place, from: bigint, answer: FetchedPartition) {
    const { batches, next } = committed(from, answer)
    this.topic = topic
    this.partition = partition
    this.from = from
    this.batches = batches
    this.next = next
    this.end = answer.highWatermark
    this.first = answer.logStartOffset
  }

  /** From `from` on, made anew each time. */
  get records(): readonly FetchedRecord[] {
    return [...this.#each()]
  }

  /** The first one that fits; no batch behind it is unpacked. */
  find(fits: (record: FetchedRecord) => boolean): FetchedRecord | undefined {
    return this.#each().find(fits)
  }

  *#each(): Generator<FetchedRecord> {
    for (const batch of this.batches)
      for (let record = batch.first(this.from); record !== undefined; record = batch.after(record))
        yield record
  }
}

function committed(
  from: bigint,
  { abortedTransactions, batches: bytes }: FetchedPartition,
): { readonly batches: readonly FetchedBatch[]; readonly next: bigint } {
  const undone = abortedTransactions.toSorted((one, other) => (one.firstOffset < other.firstOffset ? -1 : 1))
  const undoing = new Set<bigint>()
  const batches: FetchedBatch[] = []
  let next = from
  let at = 0
  for (let batch = batchAt(bytes, at); batch !== undefined; batch = batchAt(bytes, at)) {
    at += batch.packedBytes
    while (undone[0] !== undefined && undone[0].firstOffset < batch.next) {
      undoing.add(undone[0].producerId)
      undone.shift()
    }
    if (batch.isControl) {
      if (isAbort(batch)) undoing.delete(batch.producerId)
    } else if (!batch.isTransactional || !undoing.has(batch.producerId)) batches.push(batch)
    if (batch.next > next) next = batch.next
  }
  return { batches, next }
}

/** The key of a marker: two bytes of a version, two of its kind, of which 0 undoes. */
function isAbort(batch: FetchedBatch): boolean {
  const key = batch.first(batch.firstOffset)?.key
  if (key === undefined || key.length < 4)
    throw new Failure('corrupt', 'a marker of a transaction has no kind')
  return key.readInt16BE(2) === 0
}
