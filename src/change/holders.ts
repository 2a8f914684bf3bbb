/** Counts those who still look at something, and frees it when the last of them has let go. */
export class Holders {
  #count = 1
  readonly #free: (() => void) | undefined

  /** Whoever makes it holds it, too. */
  constructor(free?: () => void) {
    this.#free = free
  }

  add(): void {
    if (this.#count === 0) throw new Error('nobody can hold what was freed')
    this.#count++
  }

  drop(): void {
    if (this.#count === 0) throw new Error('more let go than held')
    this.#count--
    if (this.#count === 0) this.#free?.()
  }
}
