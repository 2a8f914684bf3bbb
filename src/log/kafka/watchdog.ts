/** Notices what is ours, has more, and gets nothing: a fetch that goes on and on without what it was asked for. */

/** A partition that has records which have not come, and room for them. */
export interface Starved {
  readonly name: string
  /** The last sequence number that came. */
  readonly arrivedTo: number
}

export class Watchdog {
  readonly #patienceMs: number
  readonly #seen = new Map<string, { readonly arrivedTo: number; readonly sinceMs: number }>()

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs
  }

  /** The first that has been silent for too long, of those that starve now; to be asked every now and then. */
  silent(starved: readonly Starved[], nowMs: number): string | undefined {
    const names = new Set(starved.map(({ name }) => name))
    for (const name of this.#seen.keys()) if (!names.has(name)) this.#seen.delete(name)
    for (const { name, arrivedTo } of starved) {
      const seen = this.#seen.get(name)
      if (seen === undefined || seen.arrivedTo !== arrivedTo)
        this.#seen.set(name, { arrivedTo, sinceMs: nowMs })
      else if (nowMs - seen.sinceMs > this.#patienceMs) return name
    }
    return undefined
  }
}
