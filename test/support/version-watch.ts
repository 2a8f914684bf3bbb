/** Reads documents all the time and holds each one's version against the highest seen: none may ever go back. */
import { Random } from './random.ts'
import { Repetition } from './repetition.ts'
import type { SearchIndex } from './search-index.ts'

export class VersionWatch {
  readonly #index: SearchIndex
  readonly #ids: number
  readonly #random: Random
  readonly #highest = new Map<string, bigint>()
  readonly #looking = new Repetition(() => this.#look().catch(ignoreAbsence), 100)
  readonly violations: string[] = []
  #looks = 0

  /** Ids are below `ids`. */
  constructor(index: SearchIndex, ids: number, seed: number) {
    this.#index = index
    this.#ids = ids
    this.#random = new Random(seed)
  }

  /** How many documents were looked at. */
  get looks(): number {
    return this.#looks
  }

  start(): void {
    this.#looking.start()
  }

  async stop(): Promise<void> {
    await this.#looking.stop()
  }

  async #look(): Promise<void> {
    const ids = Array.from({ length: 200 }, () => String(this.#random.below(this.#ids)))
    for (const [id, seen] of (await this.#index.versionsIfServing(ids)) ?? []) {
      this.#looks++
      const highest = this.#highest.get(id) ?? 0n
      if (seen < highest) this.violations.push(`document ${id} went from version ${highest} back to ${seen}`)
      else this.#highest.set(id, seen)
    }
  }
}

/** The server may be away. */
function ignoreAbsence(error: unknown): void {
  if (!(error instanceof TypeError)) throw error
}
