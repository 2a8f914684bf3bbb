/** The table definitions that a segment holds, as its writer sees them: each is written once, in the frame that needs it. */
import type { Table } from '../../change/change.ts'
import { bytesOf, textOf } from '../../change/row.ts'
import type { Definitions } from './record.ts'

export class SegmentDefinitions {
  /** By number: those that are safely written, then those that the next frame brings. */
  #texts: string[] = []
  #written = 0
  readonly #byText = new Map<string, number>()
  readonly #byTable = new Map<Table, number>()

  /** A segment that holds these and no others. */
  begin(texts: readonly string[]): void {
    this.#texts = [...texts]
    this.#written = texts.length
    this.#byTable.clear()
    this.#byText.clear()
    for (const [number, text] of texts.entries()) this.#byText.set(text, number)
  }

  numberOf(table: Table): number {
    return this.#byTable.get(table) ?? this.#numberOfNew(table)
  }

  /** What the next frame has to bring. */
  pending(): Definitions {
    return { first: this.#written, texts: this.#texts.slice(this.#written) }
  }

  /** The frame with the pending ones is safe. */
  keep(): void {
    this.#written = this.#texts.length
  }

  /** The frame with the pending ones was not written. */
  revert(): void {
    this.begin(this.#texts.slice(0, this.#written))
  }

  #numberOfNew(table: Table): number {
    const text = packTable(table)
    const number = this.#byText.get(text) ?? this.#texts.push(text) - 1
    this.#byText.set(text, number)
    if (this.#byTable.size >= tablesMax) this.#byTable.clear()
    this.#byTable.set(table, number)
    return number
  }
}

const tablesMax = 4096

/** A table's definition as JSON text, one character per byte. */
export function packTable(table: Table): string {
  return bytesOf(JSON.stringify({ name: table.name, columns: table.columns, key: table.key }))
}

export function unpackTable(packed: string): Table {
  // The text was written by packTable and has passed its frame's checksum.
  return JSON.parse(textOf(packed)) as Table
}
