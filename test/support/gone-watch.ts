import { Repetition } from './repetition.ts'
import type { SearchIndex } from './search-index.ts'

/** Reads deleted documents all the time: none may be found. Which are gone for good is said from outside. */
export class GoneWatch {
  readonly violations: string[] = []
  looks = 0
  readonly #index: SearchIndex
  readonly #ids: string[]
  /** Those that are to go: once one is not found it must not be found again. */
  readonly #going = new Set<string>()
  readonly #looking = new Repetition(() => this.#look(), 20)

  /** `ids` are gone already. */
  constructor(index: SearchIndex, ids: readonly string[]) {
    this.#index = index
    this.#ids = [...ids]
  }

  watch(ids: readonly string[]): void {
    for (const id of ids) this.#going.add(id)
  }

  start(): void {
    this.#looking.start()
  }

  async stop(): Promise<void> {
    await this.#looking.stop()
  }

  async #look(): Promise<void> {
    const { docs } = await this.#index.ask<Found>('POST', `/${this.#index.name}/_mget?_source=false`, {
      ids: [...this.#ids, ...this.#going],
    })
    this.looks++
    for (const { _id: id, found } of docs) this.#judge(id, found)
  }

  #judge(id: string, isFound: boolean): void {
    if (!isFound && this.#going.delete(id)) this.#ids.push(id)
    else if (isFound && !this.#going.has(id)) this.violations.push(`${id} is there again`)
  }
}

interface Found {
  readonly docs: readonly { readonly _id: string; readonly found: boolean }[]
}
