/**
 * Records as a broker gives them, less those of undone transactions. The broker gives batches up to its last stable
 * offset, and says which transactions among them were undone; a marker in the partition ends each of those.
 */
import type { Place } from './connections.ts'
import { Failure } from '../../change/failure.ts'

export interface FetchedRecord {
  readonly offset: bigint
  readonly key: Buffer
  /** null = a tombstone, in compacted topics. */
  readonly value: Buffer | null
  readonly headers: readonly (readonly [Buffer | null, Buffer | null])[]
  readonly appendedAtMs: number
}

export interface Fetched extends Place {
  readonly records: readonly FetchedRecord[]
  /** Where to go on: behind all that was looked at, markers and undone records included. */
  readonly next: bigint
  /** One past the newest record that all replicas have, of whatever transaction. */
  readonly end: bigint
  /** The first offset that is still kept. */
  readonly first: bigint
}

export interface FetchedPartition {
  readonly errorCode: number
  readonly highWatermark: bigint
  readonly logStartOffset: bigint
  readonly abortedTransactions:
    | readonly { readonly producerId: bigint; readonly firstOffset: bigint }[]
    | null
  readonly records?: readonly FetchedBatch[] | null
}

interface FetchedBatch {
  readonly firstOffset: bigint
  readonly lastOffsetDelta: number
  readonly attributes: number
  readonly firstTimestamp: bigint
  readonly maxTimestamp: bigint
  readonly producerId: bigint
  readonly records: readonly {
    readonly offsetDelta: number
    readonly timestampDelta: bigint
    readonly key: Buffer | null
    readonly value: Buffer | null
    readonly headers: readonly (readonly [Buffer | null, Buffer | null])[]
  }[]
}

/** The broker said when it got the batch, which is then true of all its records. */
const appendTimeBit = 8
const transactionalBit = 16
const controlBit = 32
const noKey = Buffer.alloc(0)

export function readCommitted(place: Place, from: bigint, partition: FetchedPartition): Fetched {
  const undone = [...(partition.abortedTransactions ?? [])].toSorted((one, other) =>
    one.firstOffset < other.firstOffset ? -1 : 1,
  )
  const undoing = new Set<bigint>()
  const records: FetchedRecord[] = []
  let next = from
  for (const batch of partition.records ?? []) {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta)
    while (undone[0] !== undefined && undone[0].firstOffset <= last) {
      undoing.add(undone[0].producerId)
      undone.shift()
    }
    if ((batch.attributes & controlBit) !== 0) {
      if (isAbort(batch)) undoing.delete(batch.producerId)
    } else if ((batch.attributes & transactionalBit) === 0 || !undoing.has(batch.producerId)) {
      take(batch, from, records)
    }
    if (last >= next) next = last + 1n
  }
  return { ...place, records, next, end: partition.highWatermark, first: partition.logStartOffset }
}

function take(batch: FetchedBatch, from: bigint, into: FetchedRecord[]): void {
  const isStamped = (batch.attributes & appendTimeBit) !== 0
  for (const { offsetDelta, timestampDelta, key, value, headers } of batch.records) {
    const offset = batch.firstOffset + BigInt(offsetDelta)
    if (offset < from) continue
    const appendedAtMs = Number(isStamped ? batch.maxTimestamp : batch.firstTimestamp + timestampDelta)
    into.push({ offset, key: key ?? noKey, value, headers, appendedAtMs })
  }
}

/** The key of a marker: two bytes of a version, two of its kind, of which 0 undoes. */
function isAbort({ records }: FetchedBatch): boolean {
  const key = records[0]?.key
  if (key === null || key === undefined || key.length < 4)
    throw new Failure('corrupt', 'a marker of a transaction has no kind')
  return key.readInt16BE(2) === 0
}
