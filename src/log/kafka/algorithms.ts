/** What batches of records are made with: the library has the algorithms. */
import { compressionsAlgorithms, compressionsAlgorithmsByBitmask, crc32c, Writer } from './library.ts'
import { Failure } from '../../change/failure.ts'

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

export const algorithms = {
  // What is no buffer of the library's own is copied first.
  crc: (bytes: Buffer): number => crc32c(Writer.create().append(bytes).dynamicBuffer) >>> 0,
  compress: (how: Compression, bytes: Buffer): Buffer => compressionsAlgorithms[how].compressSync(bytes),
  compressionBits: (how: Compression): number => compressionsAlgorithms[how].bitmask,
  /** Undoes what the attributes of a batch name. */
  unpack: (attributes: number, bytes: Buffer): Buffer => {
    const bits = attributes & compressionMask
    if (bits === 0) return bytes
    const algorithm = compressionsAlgorithmsByBitmask[bits]
    if (algorithm !== undefined) return algorithm.decompressSync(bytes)
    throw new Failure('unsupported', `a batch of records is packed in the unknown way ${bits}`)
  },
}

const compressionMask = 7
