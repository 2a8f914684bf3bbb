/**
 * A batch of records as brokers keep it (format 2), from bytes to bytes.
 *
 *   base offset 8 · length 4 · leader epoch 4 · format 1 · checksum 4 · attributes 2 · last offset delta 4 ·
 *   first and last timestamp 8 + 8 · producer id 8 · producer epoch 2 · first sequence 4 · count 4 · records
 *
 * A record is its length, attributes, the differences of time and offset, key, value and headers; numbers are zigzag
 * varints. Lengths come first, so the sizes of a record's parts must be known when it begins.
 */
import { copyBytes, type Writing } from '../../change/bytes.ts'

const headBytes = 61
const checksummedFrom = 21
const transactional = 16

/** What a batch needs from outside: the algorithms, and who writes. */
export interface BatchSeal {
  /** undefined = outside of transactions, and not numbered. */
  readonly producer: { readonly id: bigint; readonly epoch: number } | undefined
  readonly firstSequence: number
  readonly appendedAtMs: number
  readonly compressionBits: number
  readonly compress: (bytes: Buffer) => Buffer
  readonly crc: (bytes: Buffer) => number
}

/** Records are added whole, or begun and then written at `at`, so that large parts are written once. */
export class BatchBuilder implements Writing {
  bytes = Buffer.allocUnsafeSlow(16 * 1024)
  /** Where the next byte goes. */
  at = headBytes
  count = 0
  /** What was begun ends here. */
  #end = headBytes

  /** `headers` are encoded, with their count in front. `value` undefined = a tombstone. */
  add(key: Buffer, value: Buffer | undefined, headers: Buffer): void {
    this.begin(key, key.length, value?.length ?? -1, headers.length)
    if (value !== undefined) this.copy(value)
    this.copy(headers)
  }

  /**
   * Begins a record whose key stands in the first `keyBytes` of the buffer. So many bytes of value and of headers must be
   * written next, and no others; `valueBytes` -1 = a tombstone.
   */
  begin(key: Buffer, keyBytes: number, valueBytes: number, headerBytes: number): void {
    this.#checkEnded()
    const partsBytes =
      varintBytes(keyBytes) + keyBytes + varintBytes(valueBytes) + Math.max(0, valueBytes) + headerBytes
    const length = 2 + varintBytes(this.count) + partsBytes
    this.#room(length + varintBytes(length))
    this.#varint(length)
    this.#end = this.at + length
    // Attributes, and no difference of time.
    this.bytes[this.at++] = 0
    this.bytes[this.at++] = 0
    this.#varint(this.count++)
    this.#varint(keyBytes)
    copyBytes(key, 0, keyBytes, this)
    this.#varint(valueBytes)
  }

  copy(bytes: Buffer): void {
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }

  /** The batch; the builder is empty then. */
  finish(seal: BatchSeal): Buffer {
    this.#checkEnded()
    const records = this.bytes.subarray(headBytes, this.at)
    let batch = this.bytes.subarray(0, this.at)
    if (seal.compressionBits !== 0) {
      const packed = seal.compress(records)
      batch = Buffer.allocUnsafe(headBytes + packed.length)
      packed.copy(batch, headBytes)
    } else {
      // The buffer goes out with the batch.
      this.bytes = Buffer.allocUnsafeSlow(16 * 1024)
    }
    writeHead(batch, this.count, seal)
    this.at = this.#end = headBytes
    this.count = 0
    return batch
  }

  #room(needed: number): void {
    if (this.at + needed <= this.bytes.length) return
    const bytes = Buffer.allocUnsafeSlow(Math.max(this.at + needed, 2 * this.bytes.length))
    this.bytes.copy(bytes, 0, 0, this.at)
    this.bytes = bytes
  }

  #checkEnded(): void {
    if (this.at !== this.#end) throw new Error('a record was not written as it was begun')
  }

  #varint(value: number): void {
    let code = value < 0 ? -2 * value - 1 : 2 * value
    for (; code > 127; code = Math.floor(code / 128)) this.bytes[this.at++] = (code & 127) | 128
    this.bytes[this.at++] = code
  }
}

function writeHead(batch: Buffer, count: number, seal: BatchSeal): void {
  const { producer, firstSequence, appendedAtMs, compressionBits } = seal
  batch.fill(0, 0, 8)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(-1, 12)
  batch[16] = 2
  batch.writeInt16BE(compressionBits | (producer === undefined ? 0 : transactional), 21)
  batch.writeInt32BE(count - 1, 23)
  batch.writeBigInt64BE(BigInt(appendedAtMs), 27)
  batch.writeBigInt64BE(BigInt(appendedAtMs), 35)
  batch.writeBigInt64BE(producer?.id ?? -1n, 43)
  batch.writeInt16BE(producer?.epoch ?? -1, 51)
  batch.writeInt32BE(producer === undefined ? -1 : firstSequence, 53)
  batch.writeInt32BE(count, 57)
  batch.writeUInt32BE(seal.crc(batch.subarray(checksummedFrom)), 17)
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let code = value < 0 ? -2 * value - 1 : 2 * value; code > 127; code = Math.floor(code / 128)) bytes++
  return bytes
}
