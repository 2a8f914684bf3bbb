/**
 * Batches of records as brokers give them (record-batch.ts says how they are made), read in place: a record becomes an
 * object only when somebody comes to it.
 */
import { Failure } from '../../change/failure.ts'
import { algorithms } from './algorithms.ts'
import { Varints } from './varints.ts'

const headBytes = 61
const checksummedFrom = 21
/** The broker said when it got the batch, which is then true of all its records. */
const appendTimeBit = 8
const transactionalBit = 16
const controlBit = 32

/** The batch that begins at a place; undefined = there is no whole one. */
export function batchAt(bytes: Buffer, at: number): FetchedBatch | undefined {
  if (at + 12 > bytes.length) return undefined
  const end = at + 12 + bytes.readInt32BE(at + 8)
  return end > bytes.length ? undefined : new FetchedBatch(bytes.subarray(at, end))
}

export class FetchedBatch {
  readonly #batch: Buffer
  readonly firstOffset: bigint
  readonly #attributes: number
  /** Of its records, unpacked when they are first looked at. */
  #bytes: Buffer | undefined

  constructor(batch: Buffer) {
    this.#batch = batch
    this.firstOffset = batch.readBigInt64BE(0)
    this.#attributes = batch.readInt16BE(21)
    if (batch[16] !== 2) throw corrupt(`is of the unknown format ${batch[16]}`)
  }

  /** As it lies with the broker. */
  get packedBytes(): number {
    return this.#batch.length
  }

  /** The offset behind its last record, of those too that were dropped. */
  get next(): bigint {
    return this.firstOffset + BigInt(this.#batch.readInt32BE(23)) + 1n
  }

  get isTransactional(): boolean {
    return (this.#attributes & transactionalBit) !== 0
  }

  get isControl(): boolean {
    return (this.#attributes & controlBit) !== 0
  }

  get producerId(): bigint {
    return this.#batch.readBigInt64BE(43)
  }

  /** When the record was appended whose time differs by so much from the first one's. */
  appendedAtMs(differenceMs: number): number {
    const isStamped = (this.#attributes & appendTimeBit) !== 0
    return Number(this.#batch.readBigInt64BE(isStamped ? 35 : 27)) + (isStamped ? 0 : differenceMs)
  }

  get bytes(): Buffer {
    return (this.#bytes ??= this.#unpacked())
  }

  /** The first record of this offset or a later one; undefined = there is none. */
  first(offset: bigint): FetchedRecord | undefined {
    let record = this.#recordAt(0)
    while (record !== undefined && record.offset < offset) record = this.after(record)
    return record
  }

  after(record: FetchedRecord): FetchedRecord | undefined {
    return this.#recordAt(record.end)
  }

  /** undefined = all of its records were dropped. */
  last(): FetchedRecord | undefined {
    const { bytes } = this
    let found = bytes.length
    const reading = new Varints(bytes, 0)
    while (reading.at < bytes.length) {
      found = reading.at
      const length = reading.next()
      if (length <= 0) throw corrupt('has a record without a length')
      reading.at += length
    }
    return this.#recordAt(found)
  }

  #recordAt(at: number): FetchedRecord | undefined {
    return at < this.bytes.length ? new FetchedRecord(this, at) : undefined
  }

  #unpacked(): Buffer {
    const batch = this.#batch
    if (algorithms.crc(batch.subarray(checksummedFrom)) !== batch.readUInt32BE(17))
      throw corrupt('does not fit its checksum')
    return algorithms.unpack(this.#attributes, batch.subarray(headBytes))
  }
}

/** One record: where its parts lie in the bytes of its batch. */
export class FetchedRecord {
  readonly batch: FetchedBatch
  readonly bytes: Buffer
  readonly keyAt: number
  readonly keyEnd: number
  readonly valueAt: number
  /** Before `valueAt` = a tombstone, in compacted topics. */
  readonly valueEnd: number
  readonly headersAt: number
  /** The record ends here, and so do its headers. */
  readonly end: number
  readonly #differenceMs: number
  readonly #offsetDifference: number

  constructor(batch: FetchedBatch, at: number) {
    const { bytes } = batch
    const reading = new Varints(bytes, at)
    const length = reading.next()
    this.batch = batch
    this.bytes = bytes
    this.end = reading.at + length
    // Attributes, which nobody uses.
    reading.at++
    this.#differenceMs = reading.next()
    this.#offsetDifference = reading.next()
    const keyBytes = Math.max(0, reading.next())
    this.keyAt = reading.at
    this.keyEnd = reading.at += keyBytes
    const valueBytes = reading.next()
    this.valueAt = reading.at
    this.valueEnd = this.valueAt + valueBytes
    this.headersAt = Math.max(this.valueAt, this.valueEnd)
    if (length <= 0 || this.headersAt >= this.end || this.end > bytes.length)
      throw corrupt('has a record beyond its bounds')
  }

  get offset(): bigint {
    return this.batch.firstOffset + BigInt(this.#offsetDifference)
  }

  get appendedAtMs(): number {
    return this.batch.appendedAtMs(this.#differenceMs)
  }

  get key(): Buffer {
    return this.bytes.subarray(this.keyAt, this.keyEnd)
  }

  /** null = a tombstone. */
  get value(): Buffer | null {
    return this.valueEnd < this.valueAt ? null : this.bytes.subarray(this.valueAt, this.valueEnd)
  }
}

function corrupt(what: string): Failure {
  return new Failure('corrupt', `a batch of records ${what}`, {
    remedy: 'look after the disk of the broker that keeps it; then reload the pipelines that need it',
  })
}
