/**
 * Changes as bytes, one after the other, lossless. Sources write them, logs store them as they are and deliverers read
 * them in place: a change becomes an object only where somebody asks for one.
 *
 *   record   byte  size
 *               0     1  operation: 0 insert, 1 read, 2 update, 3 delete, 4 touch
 *               1     1  zero
 *               2     2  number of the table among the tables of these records
 *               4     6  committedAtMs
 *              10     4  bytes of the row before; 0 = there is none
 *              14     4  bytes of the row after; 0 = there is none
 *              18     4  bytes of the key
 *              22        row before, row after (change/row.ts), key (UTF-8)
 *
 * Numbers are little-endian. Each record can be read without those before it.
 */
import type { Change, Key, Row, Table } from './change.ts'
import { Failure } from './failure.ts'
import { noOrigins, transactionAt, type Origin } from './origins.ts'

export const recordHeadBytes = 22

/** The numbers of the operations. */
export const operations = { insert: 0, read: 1, update: 2, delete: 3, touch: 4 } as const

/** A run of records; nobody changes it any more. */
export class Records {
  readonly bytes: Buffer
  /** By the number that stands in the records. */
  readonly tables: readonly Table[]
  readonly count: number
  /** Ascending; empty where nobody asks which transactions the changes come from. */
  readonly origins: readonly Origin[]

  constructor(
    bytes: Buffer,
    tables: readonly Table[],
    count: number,
    origins: readonly Origin[] = noOrigins,
  ) {
    this.bytes = bytes
    this.tables = tables
    this.count = count
    this.origins = origins
  }

  cursor(): RecordCursor {
    return new RecordCursor(this)
  }

  *[Symbol.iterator](): Generator<Change> {
    for (const cursor = this.cursor(); cursor.next();) yield cursor.change()
  }
}

/** Walks over records, or goes to one whose place is known; the fields describe the record that it stands on. */
export class RecordCursor {
  readonly records: Records
  readonly #bytes: Buffer
  /** Where the record begins in the bytes; -1 before the first. */
  place = -1
  /** As in `operations`. */
  operation = 0
  tableNumber = 0
  beforeAt = 0
  /** The row before ends here. */
  afterAt = 0
  /** The row after ends here. */
  keyAt = 0
  /** The record ends here, and so does its key. */
  end = 0

  constructor(records: Records) {
    this.records = records
    this.#bytes = records.bytes
  }

  get committedAtMs(): number {
    return committedAtMsOf(this.records, this.place)
  }

  get table(): Table {
    const table = this.records.tables[this.tableNumber]
    if (table === undefined) throw new Failure('corrupt', `a record of the unknown table ${this.tableNumber}`)
    return table
  }

  get key(): Key {
    return this.#bytes.toString('latin1', this.keyAt, this.end) as Key
  }

  /** To the next record; false = there is none. */
  next(): boolean {
    if (this.end >= this.#bytes.length) return false
    this.seek(this.end)
    return true
  }

  seek(place: number): void {
    const bytes = this.#bytes
    this.place = place
    this.operation = bytes[place] ?? 255
    this.tableNumber = (bytes[place + 2] ?? 0) | ((bytes[place + 3] ?? 0) << 8)
    this.beforeAt = place + recordHeadBytes
    this.afterAt = this.beforeAt + lengthAt(bytes, place + 10)
    this.keyAt = this.afterAt + lengthAt(bytes, place + 14)
    this.end = this.keyAt + lengthAt(bytes, place + 18)
    if (this.end > bytes.length) throw new Failure('corrupt', `a record at byte ${place} is cut short`)
  }

  /** The record as a change. */
  change(): Change {
    const { table, committedAtMs, key } = this
    switch (this.operation) {
      case operations.insert:
        return { table, committedAtMs, op: 'insert', key, before: undefined, after: this.#after() }
      case operations.read:
        return { table, committedAtMs, op: 'read', key, before: undefined, after: this.#after() }
      case operations.update:
        return { table, committedAtMs, op: 'update', key, before: this.#before(), after: this.#after() }
      case operations.delete:
        return { table, committedAtMs, op: 'delete', key, before: this.#before(), after: undefined }
      case operations.touch:
        return { table, committedAtMs, op: 'touch', key, before: undefined, after: undefined }
      default:
        throw new Failure('unsupported', `a record has the unknown operation ${this.operation}`, {
          remedy: 'run the version of millrace that wrote it, or a newer one',
        })
    }
  }

  #before(): Row {
    return this.#bytes.toString('latin1', this.beforeAt, this.afterAt) as Row
  }

  #after(): Row {
    return this.#bytes.toString('latin1', this.afterAt, this.keyAt) as Row
  }
}

/** When the record at this place was committed, ms since 1970; 0 = a row that was read. */
export function committedAtMsOf(records: Records, place: number): number {
  return records.bytes.readUIntLE(place + 4, 6)
}

/** Says of all of them that they were committed then, before anybody else has them. */
export function commitAt(records: Records, committedAtMs: number): void {
  for (const cursor = records.cursor(); cursor.next();)
    records.bytes.writeUIntLE(committedAtMs, cursor.place + 4, 6)
}

function lengthAt(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24)) >>>
    0
  )
}

/**
 * Makes records. Decoders write rows straight into `bytes` at `at`:
 *
 *   begin() · row before, row after, key, written at `at` · end(...)
 */
export class RecordsBuilder {
  bytes: Buffer = nothing
  /** Of the same bytes. */
  view = viewOf(nothing)
  /** Where the next byte goes. */
  at = 0
  count = 0
  #start = 0
  readonly #usualBytes: number
  /** Buffers of the usual size that came back. */
  readonly #spare: Buffer[] = []
  #tables: Table[] = []
  #table: Table | undefined
  #tableNumber = 0
  #transaction = ''
  #origins: Origin[] = []

  /** `usualBytes`: what one run of records takes at most, as a rule. */
  constructor(usualBytes = 4096) {
    this.#usualBytes = usualBytes
  }

  /** Makes room for so many bytes from `at` on; `bytes` is another buffer then. */
  room(needed: number): Buffer {
    if (this.at + needed > this.bytes.length) this.#grow(this.at + needed)
    return this.bytes
  }

  /** What comes from here on is of this transaction of the source; empty = of none that is known. */
  within(transaction: string): void {
    if (transaction === this.#transaction) return
    this.#transaction = transaction
    if (this.#origins.at(-1)?.from === this.at) this.#origins.pop()
    this.#origins.push({ from: this.at, transaction })
  }

  /** A record begins: its head will stand here. */
  begin(): void {
    this.room(recordHeadBytes)
    this.#start = this.at
    this.at += recordHeadBytes
  }

  /** The record ends at `at`; `afterAt` and `keyAt` say where its row after and its key begin. */
  end(
    operation: number,
    { table, committedAtMs }: Pick<Change, 'table' | 'committedAtMs'>,
    afterAt: number,
    keyAt: number,
  ): void {
    const { bytes, at } = this
    const start = this.#start
    if (table !== this.#table) this.#enter(table)
    const number = this.#tableNumber
    bytes[start] = operation
    bytes[start + 1] = 0
    bytes[start + 2] = number & 255
    bytes[start + 3] = number >> 8
    writeLow32(bytes, committedAtMs, start + 4)
    const high = Math.floor(committedAtMs / 0x1_0000_0000)
    bytes[start + 8] = high
    bytes[start + 9] = high >> 8
    writeLow32(bytes, afterAt - start - recordHeadBytes, start + 10)
    writeLow32(bytes, keyAt - afterAt, start + 14)
    writeLow32(bytes, at - keyAt, start + 18)
    if (at > bytes.length || at - start > recordBytesMax) throw new Error('a record beyond its bounds')
    this.count++
  }

  add(change: Change): void {
    const { op, before = '', after = '', key } = change
    this.room(recordHeadBytes + before.length + after.length + key.length)
    this.begin()
    this.#write(before)
    const afterAt = this.at
    this.#write(after)
    const keyAt = this.at
    this.#write(key)
    this.end(operations[op], change, afterAt, keyAt)
  }

  /** The record of a row that was read, as it lies in other bytes. */
  addRead(table: Table, key: Key, row: { bytes: Buffer; from: number; to: number }): void {
    this.room(recordHeadBytes + row.to - row.from + key.length)
    this.begin()
    const rowAt = this.at
    this.at += row.bytes.copy(this.bytes, this.at, row.from, row.to)
    const keyAt = this.at
    this.#write(key)
    this.end(operations.read, { table, committedAtMs: 0 }, rowAt, keyAt)
  }

  /** A record like the one that the cursor stands on. */
  copy(cursor: RecordCursor): void {
    const { records, beforeAt, afterAt, keyAt, end, place } = cursor
    this.within(transactionAt(records.origins, place))
    this.room(recordHeadBytes + end - beforeAt)
    this.begin()
    const moved = this.at - beforeAt
    records.bytes.copy(this.bytes, this.at, beforeAt, end)
    this.at += end - beforeAt
    this.end(cursor.operation, cursor, afterAt + moved, keyAt + moved)
  }

  /** What was made since the last call. */
  finish(): Records {
    const origins = this.#cutOrigins()
    const records = new Records(this.#cut(), this.#tables, this.count, origins)
    this.at = this.count = 0
    this.#tables = []
    this.#table = undefined
    return records
  }

  /**
   * Takes back the buffer of records of this builder at which nobody looks any more, to write others into it. The first
   * record is broken, so that somebody who does look all the same finds that out.
   */
  reuse({ bytes }: Records): void {
    const { buffer, byteOffset } = bytes
    if (byteOffset !== 0 || buffer.byteLength !== this.#usualBytes || this.#spare.length >= spareMax) return
    bytes.fill(0xff, 0, recordHeadBytes)
    this.#spare.push(Buffer.from(buffer))
  }

  /** The transaction goes on in the next records. */
  #cutOrigins(): readonly Origin[] {
    const origins = this.#origins
    if (origins.length === 0) return noOrigins
    if (origins.at(-1)?.from === this.at) origins.pop()
    this.#origins = this.#transaction === '' ? [] : [{ from: 0, transaction: this.#transaction }]
    return origins
  }

  /** A buffer that is well filled goes out itself; a few bytes are copied, and the buffer is used again. */
  #cut(): Buffer {
    const { bytes, at } = this
    const isFull = at * 2 >= bytes.length
    if (isFull || bytes.length > 2 * this.#usualBytes) this.#use(nothing)
    return isFull ? bytes.subarray(0, at) : Buffer.from(bytes.subarray(0, at))
  }

  #grow(needed: number): void {
    const size = Math.max(needed, this.#usualBytes, 2 * this.bytes.length)
    const spare = size === this.#usualBytes ? this.#spare.pop() : undefined
    const bytes = spare ?? Buffer.allocUnsafeSlow(size)
    this.bytes.copy(bytes, 0, 0, this.at)
    this.#use(bytes)
  }

  #use(bytes: Buffer): void {
    this.bytes = bytes
    this.view = viewOf(bytes)
  }

  #write(text: string): void {
    if (notBytes.test(text)) throw new Error('a key or row has characters that are not bytes')
    this.at += this.bytes.write(text, this.at, 'latin1')
  }

  #enter(table: Table): void {
    const known = this.#tables.indexOf(table)
    this.#tableNumber = known < 0 ? this.#tables.push(table) - 1 : known
    this.#table = table
    if (this.#tableNumber > tableNumberMax) throw new Error('too many tables in one run of records')
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}

function writeLow32(bytes: Buffer, value: number, at: number): void {
  bytes[at] = value
  bytes[at + 1] = value >> 8
  bytes[at + 2] = value >> 16
  bytes[at + 3] = value >> 24
}

const nothing = Buffer.alloc(0)
/** What comes back beyond this goes to the garbage. */
const spareMax = 8
const tableNumberMax = 0xff_ff
/** Lengths have 32 bits; no row of the source comes near. */
const recordBytesMax = 0xffff_ffff
/** Cheap: the engine knows that a string of one byte per character cannot match. */
const notBytes = /[\u0100-\uffff]/

export const noRecords = new Records(Buffer.alloc(0), [], 0)

export function countOf(runs: readonly Records[]): number {
  return runs.reduce((sum, { count }) => sum + count, 0)
}

export function packRecords(changes: Iterable<Change>): Records {
  const builder = new RecordsBuilder()
  for (const change of changes) builder.add(change)
  return builder.finish()
}
