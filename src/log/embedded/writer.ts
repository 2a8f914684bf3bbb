/** The one writer of a log: mends what a crash left behind, then appends frames and says how far they are safe. */
import assert from 'node:assert/strict'
import type { Offset, Table } from '../../change/change.ts'
import { packChanges, packTable } from '../../change/codec.ts'
import { Failure } from '../../change/failure.ts'
import type { Control, LogBatch } from '../log.ts'
import type { Extent } from './cursor.ts'
import { diskFailure, type DiskFile } from './disk.ts'
import { damaged } from './frames.ts'
import { FrameEncoder, packPayload } from './record.ts'
import { segmentAt, type Segment, type SegmentFiles, type SegmentIndex } from './segment.ts'

/** A segment as its writer knows it. */
export interface WrittenSegment extends Segment {
  readonly bytes: number
  readonly firstAppendedAtMs: number | undefined
}

/** `unread`: what the last append left is not known, `tail` must be called. */
type State = 'unread' | 'ready' | 'appending' | 'closed'

export interface WriterOptions {
  readonly segmentBytes: number
  readonly now: () => number
}

export class Writer implements Extent {
  generation = 0
  readonly seesUnfinished = false
  readonly #files: SegmentFiles
  readonly #options: WriterOptions
  readonly #encoder = new FrameEncoder()
  readonly #waiting = new Set<() => void>()
  #state: State = 'unread'
  #segments: WrittenSegment[] = []
  #file: DiskFile | undefined
  #control: Control | undefined
  #next: Offset = 0
  /** The definitions that the last segment holds, by their text and by the objects met so far. */
  #numbers = new Map<string, number>()
  #known = new Map<Table, number>()

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

  segments(): Promise<readonly Segment[]> {
    return Promise.resolve(this.#segments)
  }

  limit(segment: Segment): number | undefined {
    return this.#segments.find((written) => written.ordinal === segment.ordinal)?.bytes
  }

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

  /** What is in the files, after cutting off an unfinished last frame. Called at the start, before anything is read. */
  async recover(): Promise<void> {
    const segments = await this.#files.list()
    const found: WrittenSegment[] = []
    for (const segment of segments) found.push(await this.#measure(segment))
    const last = segments.at(-1)
    if (last !== undefined) {
      const index = await this.#mend(last)
      found[found.length - 1] = { ...last, bytes: index.learntTo, firstAppendedAtMs: index.firstAppendedAtMs }
      this.#next = index.next
      this.#control = await this.#lastControl(segments, index)
      this.#adoptDefinitions(index.texts)
    }
    this.#segments = found
  }

  /** Cuts off what an append of this process left that is not known to be safe, and answers the last control record. */
  async tail(): Promise<Control | undefined> {
    assert(this.#state !== 'closed' && this.#state !== 'appending', 'tail is not called during an append')
    if (this.#state === 'unread') {
      await this.#reopen()
      this.#state = 'ready'
    }
    return this.#control
  }

  async append(batch: LogBatch): Promise<void> {
    if (this.#state !== 'ready')
      throw new Failure('conflict', `the log does not take an append while it is ${this.#state}`, {
        remedy: 'call tail first and go on from what it says',
      })
    this.#check(batch)
    this.#state = 'appending'
    try {
      await this.#write(batch)
      this.#state = 'ready'
    } catch (error) {
      this.#state = 'unread'
      throw diskFailure(error, `appending to the log in ${this.#files.directory}`)
    }
    this.#wake()
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

  async close(): Promise<void> {
    this.#state = 'closed'
    await this.#file?.close()
    this.#file = undefined
    this.#wake()
  }

  #wake(): void {
    this.generation++
    for (const wake of this.#waiting) wake()
  }

  #check(batch: LogBatch): void {
    const { control } = batch
    const before = this.#control
    const count = batch.changes.length
    assert(control.epoch >= 1 && control.epoch <= 32767, 'epochs are 1 to 32767')
    assert(control.seq < 2 ** 48 && control.lanes >= 1, 'seq is below 2^48 and there is a lane')
    assert(count === 0 || batch.firstSeq + count - 1 <= control.seq, 'the control record covers its records')
    if (before === undefined) return
    assert.equal(control.lineage, before.lineage, 'a log has one lineage')
    assert.equal(control.lanes, before.lanes, 'the lanes are fixed when a log begins')
    assert(control.epoch >= before.epoch && control.seq >= before.seq, 'numbering never goes back')
    assert(count === 0 || batch.firstSeq > before.seq || control.epoch > before.epoch, 'versions ascend')
  }

  async #write(batch: LogBatch): Promise<void> {
    let segment = this.#segments.at(-1)
    if (segment === undefined || segment.bytes >= this.#options.segmentBytes) segment = await this.#roll()
    assert(this.#file !== undefined, 'the last segment is open')
    const added: { table: Table; text: string; number: number }[] = []
    const packed =
      batch.changes.length === 0 ? '' : packChanges(batch.changes, (table) => this.#number(table, added))
    const texts = [...new Set(added.filter((one) => !this.#numbers.has(one.text)).map((one) => one.text))]
    const { payload, flags } = packPayload(batch, { first: this.#numbers.size, texts }, packed)
    const appendedAtMs = this.#options.now()
    const bytes = this.#encoder.encode(payload, {
      count: batch.changes.length,
      first: this.#next,
      appendedAtMs,
      firstSeq: batch.firstSeq,
      epoch: batch.control.epoch,
      flags,
    })
    await this.#file.write(bytes, segment.bytes)
    await this.#file.sync()
    for (const { table, text, number } of added) {
      this.#numbers.set(text, number)
      this.#remember(table, number)
    }
    this.#segments[this.#segments.length - 1] = {
      ...segment,
      bytes: segment.bytes + bytes.length,
      firstAppendedAtMs: segment.firstAppendedAtMs ?? appendedAtMs,
    }
    this.#next += batch.changes.length
    this.#control = batch.control
  }

  /** The number of a table's definition in this segment; a new one is added to the list that goes into the frame. */
  #number(table: Table, added: { table: Table; text: string; number: number }[]): number {
    const known = this.#known.get(table)
    if (known !== undefined) return known
    const before = added.find((one) => one.table === table)
    if (before !== undefined) return before.number
    const text = packTable(table)
    const number =
      this.#numbers.get(text) ??
      added.find((one) => one.text === text)?.number ??
      this.#numbers.size + new Set(added.filter((one) => !this.#numbers.has(one.text)).map((one) => one.text)).size
    added.push({ table, text, number })
    return number
  }
}
