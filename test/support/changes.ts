/** Tables and changes for tests of the log. */
import type { Change, Key, Table } from '../../src/change/change.ts'
import { bytesOf, packRow } from '../../src/change/row.ts'
import { packRecords } from '../../src/change/records.ts'
import type { ChangeLog, Control, Entry, LaneBatch, LogAdmin, LogBatch } from '../../src/log/log.ts'

export function testTable(name: string): Table {
  return {
    name,
    columns: [
      { name: 'id', kind: 'integer', type: 'int', nullable: false },
      { name: 'text', kind: 'string', type: 'varchar(100)', nullable: true },
    ],
    key: [0],
  }
}

export function insertOf(table: Table, id: number, text = `row ${id}`): Change {
  const after = packRow([String(id), bytesOf(JSON.stringify(text))])
  return {
    table,
    committedAtMs: 1_700_000_000_000 + id,
    op: 'insert',
    key: keyFor(id),
    before: undefined,
    after,
  }
}

/** A row that was read, not changed. */
export function readOf(table: Table, id: number): Change {
  const { key, after } = insertOf(table, id)
  if (after === undefined) throw new Error('an insert has a row')
  return { table, committedAtMs: 0, op: 'read', key, before: undefined, after }
}

export function updateOf(table: Table, id: number, text: string): Change {
  const { key, committedAtMs, after: before } = insertOf(table, id)
  const { after } = insertOf(table, id, text)
  if (before === undefined || after === undefined) throw new Error('an insert has a row')
  return { table, committedAtMs, op: 'update', key, before, after }
}

export function deleteOf(table: Table, id: number): Change {
  const { key, committedAtMs, after: before } = insertOf(table, id)
  if (before === undefined) throw new Error('an insert has a row')
  return { table, committedAtMs, op: 'delete', key, before, after: undefined }
}

export function keyFor(id: number): Key {
  return `[${id}]` as Key
}

/** Numbers batches as the one capture of a log does. */
export class Numbering {
  control: Control

  constructor(lanes = 4) {
    this.control = { lineage: 'test', epoch: 1, seq: 0, lanes, producers: {} }
  }

  batch(changes: readonly Change[], more: Partial<Pick<LogBatch, 'addressee' | 'barriers'>> = {}): LogBatch {
    const firstSeq = this.control.seq + 1
    const seq = this.control.seq + changes.length + (more.barriers?.length ?? 0)
    const producers = { 'source:main': `after ${seq}` }
    this.control = { ...this.control, seq, producers }
    const records = changes.length === 0 ? [] : [packRecords(changes)]
    return { records, firstSeq, addressee: undefined, barriers: [], control: this.control, ...more }
  }
}

/** Begins a log of four lanes, with the group `orders@main` of the table `shop.orders` at its beginning. */
export async function begunLog(log: ChangeLog & LogAdmin): Promise<Numbering> {
  await log.tail()
  const numbering = new Numbering()
  await log.append(numbering.batch([]))
  await log.define({ name: 'orders@main', tables: ['shop.orders'], at: 0, attributes: {} })
  return numbering
}

/** Reads until the condition holds of all that was read so far. */
export async function readUntil(
  batches: AsyncIterable<LaneBatch>,
  done: (read: readonly LaneBatch[]) => boolean,
): Promise<LaneBatch[]> {
  const read: LaneBatch[] = []
  for await (const batch of batches) {
    read.push(batch)
    if (done(read)) break
  }
  return read
}

/** The entries of all batches, in the order of the log. */
export function entriesOf(batches: readonly LaneBatch[]): Entry[] {
  return batches.flatMap(({ entries }) => [...entries]).toSorted((one, other) => one.offset - other.offset)
}

/** Every lane has been told that everything before the offset is its own or nobody's. */
export function allReached(next: number, lanes: number): (read: readonly LaneBatch[]) => boolean {
  return (read) =>
    Array.from({ length: lanes }, (_, lane) => lane).every((lane) =>
      read.some((batch) => batch.lane === lane && batch.next >= next),
    )
}
