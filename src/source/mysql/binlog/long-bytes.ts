/** Bytes that come in parts and may be more than memory is kept for: the first stay there, the rest is in a scratch file. */
import { ScratchFile } from './scratch-file.ts'

const inMemoryMax = 1024 * 1024
/** What is read from the scratch file at once. */
const pieceBytes = 64 * 1024

export class LongBytes {
  readonly #inMemory: Buffer[] = []
  #inMemoryBytes = 0
  readonly #inMemoryMax: number
  readonly #directory: string | undefined
  #scratch: ScratchFile | undefined
  #scratchBytes = 0

  /** `directory` is for tests. */
  constructor({
    bytesMax = inMemoryMax,
    directory,
  }: { readonly bytesMax?: number; readonly directory?: string } = {}) {
    this.#inMemoryMax = bytesMax
    this.#directory = directory
  }

  get length(): number {
    return this.#inMemoryBytes + this.#scratchBytes
  }

  /** The buffer is not written to any more. Throws a Failure when a disk that is needed has no room. */
  add(part: Buffer): void {
    if (this.#scratch === undefined && this.#inMemoryBytes + part.length <= this.#inMemoryMax) {
      this.#inMemory.push(part)
      this.#inMemoryBytes += part.length
      return
    }
    this.#scratch ??= new ScratchFile(this.#directory)
    this.#scratch.write(part)
    this.#scratchBytes += part.length
  }

  /** The bytes `from` to `to`, piece by piece; a piece holds until the next one is asked for. */
  *between(from: number, to: number): Generator<Buffer> {
    let at = 0
    for (const part of this.#inMemory) {
      const piece = part.subarray(Math.max(0, from - at), Math.max(0, to - at))
      if (piece.length > 0) yield piece
      at += part.length
    }
    if (Math.max(from, at) >= to) return
    const room = Buffer.allocUnsafeSlow(pieceBytes)
    for (let next = Math.max(from, at); next < to; next += pieceBytes) {
      const piece = room.subarray(0, Math.min(pieceBytes, to - next))
      if (this.#scratch === undefined) throw new Error('bytes were asked for after their end')
      this.#scratch.fill(piece, next - at)
      yield piece
    }
  }

  /** It is not asked for any more. */
  close(): void {
    this.#scratch?.close()
    this.#scratch = undefined
    this.#inMemory.length = 0
  }
}
