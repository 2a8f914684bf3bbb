/**
 * Finds the slot of a text. As the engine's own maps do, but for slots that come by thousands and go together: nothing is
 * allocated for one of them, and nothing taken out. A text that comes again in another slot is found there from then on.
 */
export class PlaceTable {
  /** One more than the slot; 0 = free. */
  #cells = new Int32Array(cellsMin)
  #taken = 0
  /** By slot; whoever fills it tells the table. */
  readonly #texts: readonly string[]

  constructor(texts: readonly string[]) {
    this.#texts = texts
  }

  /** -1 = it has none. */
  find(text: string): number {
    return (this.#cells[this.#cellOf(text)] ?? 0) - 1
  }

  /** The text that was just written down for the slot is found there. */
  put(slot: number): void {
    if (2 * this.#taken >= this.#cells.length) this.#grow()
    this.#enter(slot)
  }

  clear(): void {
    this.#cells.fill(0)
    this.#taken = 0
  }

  #enter(slot: number): void {
    const cell = this.#cellOf(this.#texts[slot] ?? '')
    if (this.#cells[cell] === 0) this.#taken++
    this.#cells[cell] = slot + 1
  }

  /** Where the text stands, or would. */
  #cellOf(text: string): number {
    const mask = this.#cells.length - 1
    for (let cell = hashOf(text) & mask; ; cell = (cell + 1) & mask) {
      const entry = this.#cells[cell] ?? 0
      if (entry === 0 || this.#texts[entry - 1] === text) return cell
    }
  }

  #grow(): void {
    const before = this.#cells
    this.#cells = new Int32Array(2 * before.length)
    this.#taken = 0
    for (const entry of before) if (entry !== 0) this.#enter(entry - 1)
  }
}

/** A power of two, as every size. */
const cellsMin = 1024

/** FNV-1a, mixed so that the lower bits depend on all. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash ^ (hash >>> 15)
}
