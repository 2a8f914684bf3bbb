/** Room on a disk for bytes that nobody needs after the process: a file in the system's folder for such, without a name. */
import { randomUUID } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Failure } from '../../../change/failure.ts'

export class ScratchFile {
  readonly #directory: string
  readonly #descriptor: number
  #size = 0

  /** Throws a Failure, as `write` does: `full` where the disk has no room, `configuration` where it cannot be written to. */
  constructor(directory = tmpdir()) {
    this.#directory = directory
    const path = join(directory, `millrace-${randomUUID()}`)
    this.#descriptor = this.#try(() => openSync(path, 'wx+', 0o600))
    // An open file stays without its name, and is gone with the process however that ends.
    this.#try(() => unlinkSync(path))
  }

  /** Appends; answers where the bytes begin. */
  write(bytes: Buffer): number {
    const start = this.#size
    for (let done = 0; done < bytes.length;)
      done += this.#try(() => writeSync(this.#descriptor, bytes, done, bytes.length - done, start + done))
    this.#size += bytes.length
    return start
  }

  read(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(length)
    this.fill(bytes, at)
    return bytes
  }

  /** Reads from there what the buffer has room for. */
  fill(bytes: Buffer, at: number): void {
    for (let done = 0; done < bytes.length;) {
      const count = this.#try(() => readSync(this.#descriptor, bytes, done, bytes.length - done, at + done))
      if (count === 0) throw new Failure('transient', `a scratch file in ${this.#directory} was cut short`)
      done += count
    }
  }

  close(): void {
    closeSync(this.#descriptor)
  }

  #try<Result>(work: () => Result): Result {
    try {
      return work()
    } catch (error) {
      throw failureOf(error, this.#directory)
    }
  }
}

function failureOf(error: unknown, directory: string): unknown {
  if (!(error instanceof Error && 'code' in error)) return error
  const what = `a scratch file in ${directory}: ${error.message}`
  const another = 'let the environment variable TMPDIR name another folder, and start again'
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT')
    return new Failure('full', what, { cause: error, remedy: `free space on that disk; or ${another}` })
  if (error.code === 'EIO') return new Failure('transient', what, { cause: error })
  return new Failure('configuration', what, { cause: error, remedy: `make it writable; or ${another}` })
}
