/**
 * A batch of records as brokers keep it (format 2), from bytes to bytes.
 *
 *   base offset 8 · length 4 · leader epoch 4 · format 1 · checksum 4 · attributes 2 · last offset delta 4 ·
 *   first and last timestamp 8 + 8 · producer id 8 · producer epoch 2 · first sequence 4 · count 4 · records
 *
 * A record is its length, attributes, the differences of time and offset, key, value and headers; numbers are zigzag
 * varints. Lengths come first, so the parts of a record must be ready when it is added.
 */
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

export class BatchBuilder {
  #bytes = Buffer.allocUnsafeSlow(16 * 1024)
  #at = headBytes
  count = 0

  get bytes(): number {
    return this.#at
  }

  /** `headers` are encoded, with their count in front. `value` undefined = a tombstone. */
  add(key: Buffer, value: Buffer | undefined, headers: Buffer): void {
    const valueLength = value?.length ?? -1
    const valueBytes = value?.length ?? 0
    const length =
      2 +
      varintBytes(this.count) +
      varintBytes(key.length) +
      key.length +
      varintBytes(valueLength) +
      valueBytes +
      headers.length
    this.#room(length + 10)
    this.#varint(length)
    // Attributes, and no difference of time.
    this.#bytes[this.#at++] = 0
    this.#bytes[this.#at++] = 0
    this.#varint(this.count++)
    this.#varint(key.length)
    this.#copy(key)
    this.#varint(valueLength)
    if (value !== undefined) this.#copy(value)
    this.#copy(headers)
  }

  /** The batch; the builder is empty then. */
  finish(seal: BatchSeal): Buffer {
    const records = this.#bytes.subarray(headBytes, this.#at)
    let batch = this.#bytes.subarray(0, this.#at)
    if (seal.compressionBits !== 0) {
      const packed = seal.compress(records)
      batch = Buffer.allocUnsafe(headBytes + packed.length)
      packed.copy(batch, headBytes)
    } else {
      // The buffer goes out with the batch.
      this.#bytes = Buffer.allocUnsafeSlow(16 * 1024)
    }
    writeHead(batch, this.count, seal)
    this.#at = headBytes
    this.count = 0
    return batch
  }

  #room(needed: number): void {
    if (this.#at + needed <= this.#bytes.length) return
    const bytes = Buffer.allocUnsafeSlow(Math.max(this.#at + needed, 2 * this.#bytes.length))
    this.#bytes.copy(bytes, 0, 0, this.#at)
    this.#bytes = bytes
  }

  #copy(bytes: Buffer): void {
    this.#at += bytes.copy(this.#bytes, this.#at)
  }

  #varint(value: number): void {
    let code = value < 0 ? -2 * value - 1 : 2 * value
    for (; code > 127; code = Math.floor(code / 128)) this.#bytes[this.#at++] = (code & 127) | 128
    this.#bytes[this.#at++] = code
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
