/** The one writer of a log: mends what a crash left behind, then appends frames and says how far they are safe. */
import assert from 'node:assert/strict'
import type { Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { Holders } from '../../change/holders.ts'
import { countOf } from '../../change/records.ts'
import type { Control, LogBatch } from '../log.ts'
import { SegmentDefinitions } from './definitions.ts'
import { diskFailure, type DiskFile } from './disk.ts'
import { damaged, wholeFrames } from './frames.ts'
import { encodeFrame, packHead, piecesOf } from './frame-writing.ts'
import { RecentFrames } from './recent.ts'
import { Frame, headerBytes, readHeader } from './record.ts'
import {
  segmentAt,
  type Segment,
  type SegmentFiles,
  type SegmentIndex,
  type WrittenSegment,
} from './segment.ts'

/** `unread`: what the last append left is not known, `tail` must be called. */
type State = 'unread' | 'ready' | 'appending' | 'closed'

export interface WriterOptions {
  readonly segmentBytes: number
  readonly now: () => number
}

export class Writer {
  /** One more with each append, and at the close. */
  generation = 0
  readonly recent = new RecentFrames()
  readonly #files: SegmentFiles
  readonly #options: WriterOptions
  readonly #definitions = new SegmentDefinitions()
  readonly #waiting = new Set<() => void>()
  #state: State = 'unread'
  #segments: WrittenSegment[] = []
  #file: DiskFile | undefined
  #writing: Promise<void> = Promise.resolve()
  #control: Control | undefined
  #next: Offset = 0

  constructor(files: SegmentFiles, options: WriterOptions) {
    this.#files = files
    this.#options = options
  }

  /** One past the newest record that is safe. */
  get next(): Offset {
    return this.#next
  }

  get control(): Control | undefined {
    return this.#control
  }

  get written(): readonly WrittenSegment[] {
    return this.#segments
  }

  /** How many bytes of the segment are safe. */
  limit(segment: Segment): number | undefined {
    return this.#segments.find((written) => written.ordinal === segment.ordinal)?.bytes
  }

  /** Resolves when the generation is no longer the one seen, or when the signal aborts. */
  grown(seen: number, signal: AbortSignal): Promise<void> {
    if (this.generation !== seen || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  /** Finds what the files hold and cuts off an unfinished last frame. Called once, before anything is read. */
  async recover(): Promise<void> {
    const segments = await this.#files.list()
    const last = segments.at(-1)
    if (last === undefined) return
    const found: WrittenSegment[] = []
    for (const segment of segments.slice(0, -1))
      found.push({ ...segment, ...(await this.#files.measure(segment)) })
    const { index, lastFrame } = await this.#scan(last)
    this.#segments = [...found, writtenSegment(last, index)]
    this.#next = index.next
    this.#definitions.begin(index.texts)
    this.#control = lastFrame?.control() ?? (await this.#controlBefore(last))
    await this.#mend()
  }

  /** Cuts off what an append of this process left that is not known to be safe, and answers the last control record. */
  async tail(): Promise<Control | undefined> {
    assert(this.#state !== 'closed' && this.#state !== 'appending', 'tail is not called during an append')
    if (this.#state === 'unread') {
      await this.#mend()
      this.#state = 'ready'
    }
    return this.#control
  }

  async append(batch: LogBatch): Promise<Offset> {
    if (this.#state !== 'ready')
      throw new Failure('conflict', `the log does not take an append while it is ${this.#state}`, {
        remedy: 'call tail first and go on from what it says',
      })
    this.#check(batch)
    this.#state = 'appending'
    try {
      await (this.#writing = this.#write(batch))
      this.#state = 'ready'
    } catch (error) {
      this.#state = 'unread'
      this.#definitions.revert()
      throw diskFailure(error, `appending to the log in ${this.#files.directory}`)
    }
    this.#wake()
    return this.#next
  }

  /** The oldest segment goes. The caller has seen to it that nobody needs it. */
  async unlinkOldest(): Promise<void> {
    const oldest = this.#segments[0]
    assert(oldest !== undefined && this.#segments.length > 1, 'the last segment holds the control record')
    try {
      await this.#files.disk.unlink(oldest.path)
      this.#segments = this.#segments.slice(1)
      this.#files.forget(oldest)
      await this.#files.disk.syncDirectory(this.#files.directory)
    } catch (error) {
      throw diskFailure(error, `unlinking ${oldest.path}`)
    }
  }

  /** After the append under way, if there is one. */
  async close(): Promise<void> {
    await this.#writing.catch(() => {})
    this.#state = 'closed'
    await this.#closeFile()
    this.#wake()
  }

  #wake(): void {
    this.generation++
    for (const wake of this.#waiting) wake()
  }

  #check(batch: LogBatch): void {
    const { control } = batch
    const before = this.#control
    const count = countOf(batch.records) + batch.barriers.length
    assert(control.epoch >= 1 && control.epoch <= 32767, 'epochs are 1 to 32767')
    assert(control.seq < 2 ** 48 && control.lanes >= 1, 'seq is below 2^48 and there is a lane')
    assert(count === 0 || batch.firstSeq + count - 1 <= control.seq, 'the control record covers its records')
    if (before === undefined) return
    assert.equal(control.lineage, before.lineage, 'a log has one lineage')
    assert.equal(control.lanes, before.lanes, 'the lanes are fixed when a log begins')
    assert(control.epoch >= before.epoch, 'epochs never go back')
    if (control.epoch > before.epoch) return
    assert(control.seq >= before.seq, 'sequence numbers never go back')
    assert(count === 0 || batch.firstSeq > before.seq, 'versions ascend')
  }

  /** The frame becomes known, in memory too, once it is safe and not before. */
  async #write(batch: LogBatch): Promise<void> {
    let segment = this.#segments.at(-1)
    if (segment === undefined || segment.bytes >= this.#options.segmentBytes) segment = await this.#roll()
    assert(this.#file !== undefined, 'the last segment is open')
    const bytes = this.#encode(batch)
    await this.#file.write(bytes, segment.bytes)
    await this.#file.sync()
    this.#definitions.keep()
    const frame = this.#frameOf(bytes, segment)
    this.#files.index(segment).learn(frame)
    this.recent.keep(segment, frame)
    this.#segments[this.#segments.length - 1] = {
      ...segment,
      bytes: frame.end,
      firstAppendedAtMs: segment.firstAppendedAtMs ?? frame.header.appendedAtMs,
    }
    this.#next = frame.next
    this.#control = batch.control
  }

  #encode(batch: LogBatch): Buffer {
    // The pieces come first: they decide which definitions are pending.
    const pieces = piecesOf(batch.records, (table) => this.#definitions.numberOf(table))
    const { head, flags } = packHead(batch, this.#definitions.pending())
    const fields = {
      count: countOf(batch.records) + batch.barriers.length,
      first: this.#next,
      appendedAtMs: this.#options.now(),
      firstSeq: batch.firstSeq,
      epoch: batch.control.epoch,
      flags,
    }
    return encodeFrame(head, pieces, fields, this.#files.pool.take)
  }

  /** The frame that was just written at the end of the segment, as whoever reads the file gets it. */
  #frameOf(bytes: Buffer, segment: WrittenSegment): Frame {
    const header = readHeader(bytes, 0, segment.path)
    assert(header !== undefined, 'what was encoded is a frame')
    const payload = bytes.subarray(headerBytes, headerBytes + header.payloadBytes)
    return new Frame(header, segment.bytes, payload, new Holders(() => this.#files.pool.give(bytes)))
  }

  /** A new, empty segment at the end. */
  async #roll(): Promise<WrittenSegment> {
    const { disk, directory } = this.#files
    const last = this.#segments.at(-1)
    const segment = segmentAt(directory, this.#next, last === undefined ? 1 : last.ordinal + 1)
    await this.#closeFile()
    this.#file = await disk.create(segment.path)
    await disk.syncDirectory(directory)
    this.#definitions.begin([])
    const empty = { ...segment, bytes: 0, firstAppendedAtMs: undefined }
    this.#segments = [...this.#segments, empty]
    return empty
  }

  /** Makes the files hold what is known to be safe, no more, and the last one ready to be written to. */
  async #mend(): Promise<void> {
    const { disk, directory } = this.#files
    const last = this.#segments.at(-1)
    try {
      await this.#closeFile()
      for (const segment of await this.#files.list())
        if (last === undefined || segment.ordinal > last.ordinal) await disk.unlink(segment.path)
      await disk.syncDirectory(directory)
      if (last === undefined) return
      this.#file = await disk.open(last.path, 'write')
      const bytes = await this.#file.bytes()
      if (bytes < last.bytes)
        throw damaged(last.path, bytes, `the file ends here, though ${last.bytes} bytes of it were safe`)
      if (bytes > last.bytes) await this.#file.truncate(last.bytes)
      // A process that died may have left bytes that are in the system's memory alone.
      await this.#file.sync()
    } catch (error) {
      throw diskFailure(error, `mending the end of the log in ${directory}`)
    }
  }

  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  /** Reads a segment to the end of its last whole frame. */
  async #scan(segment: Segment): Promise<{ index: SegmentIndex; lastFrame: Frame | undefined }> {
    const index = this.#files.index(segment)
    const reader = await this.#files.reader(segment, 0)
    let lastFrame: Frame | undefined
    try {
      for await (const frame of wholeFrames(reader, undefined)) {
        index.learn(frame)
        lastFrame = frame
      }
      return { index, lastFrame }
    } finally {
      await reader.close()
    }
  }

  /** The last control record where the last segment was begun but holds no frame. */
  async #controlBefore(last: Segment): Promise<Control | undefined> {
    const before = this.#segments.at(-2)
    if (before === undefined) return undefined
    const { index, lastFrame } = await this.#scan(before)
    if (index.learntTo !== before.bytes) throw damaged(before.path, index.learntTo, 'there is no frame')
    if (lastFrame === undefined || index.next !== last.first)
      throw damaged(last.path, 0, `the segment before it ends with offset ${index.next}`)
    return lastFrame.control()
  }
}

function writtenSegment(segment: Segment, index: SegmentIndex): WrittenSegment {
  return { ...segment, bytes: index.learntTo, firstAppendedAtMs: index.firstAppendedAtMs }
}
