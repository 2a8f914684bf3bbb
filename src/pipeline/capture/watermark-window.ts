/**
 * A chunk is read while changes flow. Whatever was appended between its low and its high watermark is at least as new as
 * the row that the chunk saw, so those keys are left out of the chunk:
 *
 *   log  ─────┬───────────────┬──────────▶
 *            low   window    high: the chunk's rows less the window's keys go in here
 *                 └ chunk read ┘
 */
import type { Key } from '../../change/change.ts'
import type { Records } from '../../change/records.ts'

export type WindowState = 'open' | 'repeat' | 'closed'

export class WatermarkWindow {
  readonly table: string
  readonly #keys = new Set<Key>()
  readonly #keysMax: number
  #state: WindowState = 'open'

  constructor(table: string, keysMax: number) {
    this.table = table
    this.#keysMax = keysMax
  }

  get state(): WindowState {
    return this.#state
  }

  /** Sees everything that is appended while the window is open. */
  observe(runs: readonly Records[]): void {
    if (this.#state !== 'open') return
    for (const records of runs) {
      if (!records.tables.some(({ name }) => name === this.table)) continue
      for (const cursor = records.cursor(); cursor.next();)
        if (cursor.table.name === this.table) this.#keys.add(cursor.key)
    }
    if (this.#keys.size > this.#keysMax) this.repeat()
  }

  /** The chunk cannot be used: it must be read again under a new window. */
  repeat(): void {
    if (this.#state !== 'open') return
    this.#state = 'repeat'
    this.#keys.clear()
  }

  /** Ends the window; the rows that nothing overtook. */
  close<R extends { readonly key: Key }>(rows: readonly R[]): R[] {
    this.#state = 'closed'
    return rows.filter(({ key }) => !this.#keys.has(key))
  }
}
