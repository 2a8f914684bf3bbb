/**
 * The frames of one file, read from its beginning or from a known place on in large pieces.
 *
 * A crash, a full disk or a failed write may leave the last frame unfinished: cut short, or with whole sectors of zeros
 * where the disk had made room but not yet written. Everything else that is no frame is damage, and so is anything
 * unfinished with a frame behind it, because a frame is only written once the one before it is safe.
 */
import type { BufferPool } from '../../change/buffer-pool.ts'
import type { Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { Holders } from '../../change/holders.ts'
import { diskFailure, type DiskFile } from './disk.ts'
import { Frame, frameBytes, headerBytes, readHeader, readPayload, type FrameHeader } from './record.ts'

const sectorBytes = 512

/** What stands at a reader's place: a frame, the clean end of the file, or something else. */
export type Next =
  | { readonly kind: 'frame'; readonly frame: Frame }
  | { readonly kind: 'end' }
  | { readonly kind: 'broken'; readonly at: number; readonly why: string }

export class FrameReader {
  readonly path: string
  /** Where the next frame begins in the file. */
  at: number
  readonly #file: DiskFile
  readonly #chunkBytes: number
  readonly #pool: BufferPool | undefined
  #buffer: Buffer = Buffer.alloc(0)
  /** The part of the buffer that holds bytes of the file from `at` on. */
  #from = 0
  #to = 0

  constructor(
    file: DiskFile,
    path: string,
    { at, chunkBytes, pool }: Readonly<{ at: number; chunkBytes: number; pool?: BufferPool }>,
  ) {
    this.#file = file
    this.path = path
    this.at = at
    this.#chunkBytes = chunkBytes
    this.#pool = pool
  }

  /** Reads no byte from `limit` on, which is a frame's end or the file's. */
  async next(limit: number): Promise<Next> {
    if (this.at >= limit) return { kind: 'end' }
    if (limit - this.at < headerBytes) return this.#broken('a header is cut short')
    if (this.#to - this.#from < headerBytes) await this.#fill(headerBytes, limit)
    if (this.#to - this.#from < headerBytes) return this.#broken('a header is cut short')
    const header = readHeader(this.#buffer, this.#from, this.path)
    if (header === undefined) return this.#broken('there is no frame header')
    const bytes = frameBytes(header)
    if (limit - this.at < bytes) return this.#broken('a frame is cut short')
    if (this.#to - this.#from < bytes) await this.#fill(bytes, limit)
    if (this.#to - this.#from < bytes) return this.#broken('a frame is cut short')
    const payload = readPayload(this.#buffer, this.#from, header)
    if (payload === undefined) return this.#broken('a frame does not match its checksum')
    const frame = this.#frame(header, payload)
    this.goTo(frame.end)
    return { kind: 'frame', frame }
  }

  /** Goes on from a later byte, which is a frame's end. */
  goTo(at: number): void {
    this.#from = Math.min(this.#to, this.#from + (at - this.at))
    this.at = at
    // A buffer that one large frame needed is not kept for the small ones after it.
    if (this.#buffer.length > this.#chunkBytes)
      this.#keep(Buffer.from(this.#buffer.subarray(this.#from, this.#to)))
  }

  /** Forgets what was read ahead: what is not yet a frame may become one. */
  again(): void {
    this.#from = this.#to = 0
  }

  /** The file's size. */
  bytes(): Promise<number> {
    return this.#file.bytes()
  }

  /** Whether what stands at `at` is what an interrupted write leaves behind. */
  isUnfinished(): Promise<boolean> {
    return isUnfinished(this.#file, this.at, this.path)
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  /** In memory of its own: what is kept of a frame must not keep alive all that was read along with it. */
  #frame(header: FrameHeader, payload: Buffer): Frame {
    const pool = this.#pool
    const own = pool?.take(payload.length) ?? Buffer.allocUnsafeSlow(payload.length)
    payload.copy(own)
    const holders = pool === undefined ? undefined : new Holders(() => pool.give(own))
    return new Frame(header, this.at, own.subarray(0, payload.length), holders)
  }

  #broken(why: string): Next {
    return { kind: 'broken', at: this.at, why }
  }

  /** Makes the buffer hold at least so many bytes from `at` on, and as many more as fit. */
  async #fill(bytes: number, limit: number): Promise<void> {
    const room = Math.max(bytes, Math.min(this.#chunkBytes, limit - this.at))
    const kept = this.#buffer.subarray(this.#from, this.#to)
    const fits = this.#buffer.length >= room && this.#buffer.length <= Math.max(room, this.#chunkBytes)
    const buffer = fits ? this.#buffer : Buffer.allocUnsafe(room)
    buffer.set(kept, 0)
    this.#keep(buffer, kept.length)
    const wanted = Math.min(buffer.length, limit - this.at)
    try {
      this.#to += await this.#file.read(buffer.subarray(this.#to, wanted), this.at + this.#to)
    } catch (error) {
      throw diskFailure(error, `reading ${this.path}`)
    }
  }

  #keep(buffer: Buffer, filled = buffer.length): void {
    this.#buffer = buffer
    this.#from = 0
    this.#to = filled
  }
}

/** The frames up to `limit`; where that is undefined, up to what an interrupted write may have left at the end. */
export async function* wholeFrames(reader: FrameReader, limit: number | undefined): AsyncGenerator<Frame> {
  const bytes = limit ?? (await reader.bytes())
  for (;;) {
    const next = await reader.next(bytes)
    if (next.kind === 'frame') yield next.frame
    else if (next.kind === 'end') return
    else if (limit === undefined && (await reader.isUnfinished())) return
    else throw damaged(reader.path, next.at, next.why)
  }
}

/** Whether the bytes from `at` to the file's end are what an interrupted write leaves behind. */
async function isUnfinished(file: DiskFile, at: number, path: string): Promise<boolean> {
  const rest = Buffer.alloc((await file.bytes()) - at)
  await file.read(rest, at)
  if (rest.length < headerBytes) return true
  if (hasFrameBehind(rest, path)) return false
  const header = readHeader(rest, 0, path)
  if (header !== undefined && rest.length < frameBytes(header)) return true
  if (header !== undefined && rest.length > frameBytes(header)) return false
  return hasEmptySector(rest, at)
}

function hasFrameBehind(rest: Buffer, path: string): boolean {
  for (let at = rest.indexOf('MRL', 1, 'latin1'); at >= 0; at = rest.indexOf('MRL', at + 1, 'latin1'))
    if (at + headerBytes <= rest.length && readHeader(rest, at, path) !== undefined) return true
  return false
}

function hasEmptySector(rest: Buffer, at: number): boolean {
  for (let from = 0; from < rest.length;) {
    const to = Math.min(rest.length, from + sectorBytes - ((at + from) % sectorBytes))
    if (rest.subarray(from, to).every((byte) => byte === 0)) return true
    from = to
  }
  return false
}

export function damaged(path: string, at: number, why: string): Failure {
  return new Failure('corrupt', `${path}, byte ${at}: ${why}`, {
    remedy:
      'check the disk and put the file back from a backup; without one, move the log directory away: ' +
      'millrace then begins a new log and loads every index again',
  })
}

/** Asserts that a frame goes on where the one before it ended. */
export function assertFollows(path: string, frame: Frame, expected: Offset): void {
  if (frame.header.first !== expected)
    throw damaged(path, frame.at, `a frame begins with offset ${frame.header.first} in place of ${expected}`)
}
