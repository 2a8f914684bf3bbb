/** Changes of joined tables that were read and not yet followed to their roots; what several of them concern stands here once. */
import type { Key, Offset, Table } from '../../change/change.ts'
import { RecordCursor } from '../../change/records.ts'
import type { ChildChanges } from '../../document/enricher.ts'
import type { Entries } from '../../log/log.ts'
import type { Climb } from './climb.ts'

/** Beyond so many changes no more is taken in for now. */
const changesMax = 20_000

export class Gathered {
  changes = 0
  /** The next place of each lane. */
  readonly places = new Map<number, Offset>()
  /** By table, rows that are known by their keys alone. */
  readonly untold = new Map<string, { readonly table: Table; readonly keys: Set<Key> }>()
  /** By ascent, combinations of values under their text. */
  readonly #values = new Map<number, Map<string, readonly string[]>>()

  get isFull(): boolean {
    return this.changes >= changesMax
  }

  take(changes: ChildChanges, entries: Entries): void {
    const cursor = new RecordCursor(entries.records)
    for (let at = 0; at < entries.length; at++) {
      cursor.seek(entries.place(at))
      this.takeOne(changes, cursor)
    }
  }

  /** The record that the cursor stands on. */
  takeOne(changes: ChildChanges, cursor: RecordCursor): void {
    for (const { ascent, values } of changes.concerns(cursor)) {
      if (values === undefined) this.#addUntold(cursor.table, cursor.key)
      else this.#add(ascent, values)
    }
    this.changes++
  }

  climbs(): readonly Climb[] {
    return [...this.#values].map(([ascent, values]) => ({ ascent, values: [...values.values()] }))
  }

  #add(ascent: number, values: readonly string[]): void {
    const known = this.#values.get(ascent) ?? new Map<string, readonly string[]>()
    this.#values.set(ascent, known)
    known.set(values.join('\n'), values)
  }

  #addUntold(table: Table, key: Key): void {
    const known = this.untold.get(table.name) ?? { table, keys: new Set<Key>() }
    this.untold.set(table.name, known)
    known.keys.add(key)
  }
}
