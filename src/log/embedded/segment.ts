/**
 * Segments: files of frames, `segments/<offset of the first record>.<ordinal>.log`. Offsets and ordinals go on from file
 * to file without a hole; a segment whose frames hold control records alone shares its offset with the next one.
 */
import { join } from 'node:path'
import { BufferPool } from '../../change/buffer-pool.ts'
import type { Offset, Table } from '../../change/change.ts'
import { unpackTable } from './definitions.ts'
import { diskFailure, type Disk } from './disk.ts'
import { assertFollows, damaged, FrameReader } from './frames.ts'
import { headerBytes, readHeader, type Frame } from './record.ts'

export interface Segment {
  readonly name: string
  readonly path: string
  readonly first: Offset
  /** Counts the segments since the log began. */
  readonly ordinal: number
}

/** A segment and what its writer knows of it. */
export interface WrittenSegment extends Segment {
  readonly bytes: number
  readonly firstAppendedAtMs: number | undefined
}

const namePattern = /^(\d{16})\.(\d{8})\.log$/

export function segmentAt(directory: string, first: Offset, ordinal: number): Segment {
  const name = `${String(first).padStart(16, '0')}.${String(ordinal).padStart(8, '0')}.log`
  return { name, path: join(directory, name), first, ordinal }
}

/** Oldest first. Throws where a file in the middle is missing. */
async function listSegments(disk: Disk, directory: string): Promise<Segment[]> {
  const segments: Segment[] = []
  for (const name of [...(await disk.list(directory))].toSorted()) {
    const match = namePattern.exec(name)
    if (match === null) continue
    const segment = { name, path: join(directory, name), first: Number(match[1]), ordinal: Number(match[2]) }
    const before = segments.at(-1)
    if (before !== undefined && before.ordinal + 1 !== segment.ordinal)
      throw damaged(segment.path, 0, `the segment before it, number ${segment.ordinal - 1}, is missing`)
    segments.push(segment)
  }
  return segments
}

/** A place to begin reading in a segment. */
interface Mark {
  readonly offset: Offset
  readonly at: number
}

/** What is known of a segment from reading it: its tables, and places to begin at. Grows as readers pass. */
export class SegmentIndex {
  readonly segment: Segment
  /** By the number of their definition. */
  readonly tables: Table[] = []
  readonly texts: string[] = []
  /** Everything before this byte has been learnt. */
  learntTo = 0
  /** The offset after the last record learnt. */
  next: Offset
  /** Where the last frame learnt begins. */
  lastFrameAt: number | undefined
  firstAppendedAtMs: number | undefined
  readonly #marks: Mark[]
  readonly #intern: (text: string) => Table

  constructor(segment: Segment, intern: (text: string) => Table) {
    this.segment = segment
    this.next = segment.first
    this.#marks = [{ offset: segment.first, at: 0 }]
    this.#intern = intern
  }

  learn(frame: Frame): void {
    if (frame.at !== this.learntTo) return
    assertFollows(this.segment.path, frame, this.next)
    this.firstAppendedAtMs ??= frame.header.appendedAtMs
    for (const text of frame.definitions?.texts ?? []) {
      this.texts.push(text)
      this.tables.push(this.#intern(text))
    }
    const last = this.#marks.at(-1)
    if (last !== undefined && frame.at - last.at >= markBytes)
      this.#marks.push({ offset: frame.header.first, at: frame.at })
    this.lastFrameAt = frame.at
    this.learntTo = frame.end
    this.next = frame.next
  }

  /** The best known place to begin at in order to meet the record of that offset. */
  markBefore(offset: Offset): Mark {
    let best: Mark = { offset: this.segment.first, at: 0 }
    for (const mark of this.#marks) if (mark.offset <= offset) best = mark
    return best
  }
}

const markBytes = 2 ** 20

/** Opens the log's files for reading, and remembers what was learnt of the last few. */
export class SegmentFiles {
  readonly disk: Disk
  readonly directory: string
  readonly #chunkBytes: number
  readonly #indexes = new Map<string, SegmentIndex>()
  /** Memory of frames. */
  readonly pool: BufferPool
  readonly #tables = new Map<string, Table>()

  constructor(disk: Disk, directory: string, chunkBytes: number) {
    this.disk = disk
    this.directory = directory
    this.#chunkBytes = chunkBytes
    this.pool = new BufferPool({ stepBytes: Math.ceil(chunkBytes / 8), freeMax: freeFramesMax })
  }

  list(): Promise<Segment[]> {
    return listSegments(this.disk, this.directory)
  }

  async reader(segment: Segment, at: number): Promise<FrameReader> {
    try {
      const file = await this.disk.open(segment.path, 'read')
      return new FrameReader(file, segment.path, { at, chunkBytes: this.#chunkBytes, pool: this.pool })
    } catch (error) {
      throw diskFailure(error, `opening ${segment.path}`)
    }
  }

  /** A segment's size, and when its first frame was appended (undefined = it has none yet). */
  async measure(segment: Segment): Promise<{ bytes: number; firstAppendedAtMs: number | undefined }> {
    try {
      const file = await this.disk.open(segment.path, 'read')
      try {
        const start = Buffer.alloc(headerBytes)
        const read = await file.read(start, 0)
        const header = read < headerBytes ? undefined : readHeader(start, 0, segment.path)
        return { bytes: await file.bytes(), firstAppendedAtMs: header?.appendedAtMs }
      } finally {
        await file.close()
      }
    } catch (error) {
      throw diskFailure(error, `reading ${segment.path}`)
    }
  }

  index(segment: Segment): SegmentIndex {
    const index = this.#indexes.get(segment.name) ?? new SegmentIndex(segment, (text) => this.#intern(text))
    this.forget(segment)
    this.#indexes.set(segment.name, index)
    for (const name of this.#indexes.keys()) if (this.#indexes.size > indexesMax) this.#indexes.delete(name)
    return index
  }

  forget(segment: Segment): void {
    this.#indexes.delete(segment.name)
  }

  /** One object per definition, so that those who keep something by table keep it once. */
  #intern(text: string): Table {
    let table = this.#tables.get(text)
    if (table === undefined) {
      if (this.#tables.size >= tablesMax) this.#tables.clear()
      this.#tables.set(text, (table = unpackTable(text)))
    }
    return table
  }
}

/** About as many as lanes hold while they catch up. */
const freeFramesMax = 12
const indexesMax = 4
const tablesMax = 4096
