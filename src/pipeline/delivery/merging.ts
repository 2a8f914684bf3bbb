/**
 * Batches that wait in a lane become one, where documents are built by asking others: what many small ones would ask for in
 * turn is asked for at once, and of several entries of one row only the last has an answer made for it.
 */
import type { Table } from '../../change/change.ts'
import { RecordCursor, RecordsBuilder } from '../../change/records.ts'
import { Entries, type LaneBatch } from '../../log/log.ts'

/** Puts one batch in the place of the first ones of the queue, as far as these go together, of at most about so many entries. */
export function mergeFirst(queue: LaneBatch[], entriesMax: number): void {
  const count = mergeable(queue, entriesMax)
  if (count < 2) return
  const batches = queue.slice(0, count)
  const last = batches.at(-1)
  if (last === undefined) return
  const entries = merged(batches.map((batch) => batch.entries).filter(({ length }) => length > 0))
  const bytes = batches.reduce((sum, batch) => sum + batch.bytes, 0)
  for (const { release } of batches) release?.()
  queue.splice(0, count, { lane: last.lane, entries: entries ?? last.entries, bytes, next: last.next })
}

/**
 * So many from the first on that no barrier lies between, whose offsets and versions run alike, and whose tables are the
 * same: at a changed column what came before it is delivered by itself.
 */
function mergeable(queue: readonly LaneBatch[], entriesMax: number): number {
  let entries = 0
  let kind: string | undefined
  for (const [at, batch] of queue.entries()) {
    entries += batch.entries.length
    if (batch.barrier !== undefined || (at > 0 && entries > entriesMax)) return at
    for (const own of kindsOf(batch.entries)) {
      kind ??= own
      if (own !== kind) return at
    }
  }
  return queue.length
}

/** By how much versions exceed offsets, and the table, as the first and the last entry have them. */
function kindsOf(entries: Entries): readonly string[] {
  if (entries.length === 0) return []
  const cursor = new RecordCursor(entries.records)
  return [0, entries.length - 1].map((at) => {
    cursor.seek(entries.place(at))
    return `${entries.version(at) - BigInt(entries.offset(at))} ${textOf(cursor.table)}`
  })
}

const texts = new WeakMap<Table, string>()

function textOf(table: Table): string {
  const text = texts.get(table) ?? JSON.stringify(table)
  texts.set(table, text)
  return text
}

/** undefined = there are none. */
function merged(all: readonly Entries[]): Entries | undefined {
  const [head] = all
  if (head === undefined) return undefined
  const first = { offset: head.offset(0), version: head.version(0) }
  const builder = new RecordsBuilder()
  const places: number[] = []
  const ordinals: number[] = []
  for (const entries of all) {
    const cursor = new RecordCursor(entries.records)
    for (let at = 0; at < entries.length; at++) {
      cursor.seek(entries.place(at))
      places.push(builder.at)
      ordinals.push(entries.offset(at) - first.offset)
      builder.copy(cursor)
    }
  }
  return new Entries(builder.finish(), places, ordinals, first)
}
