/** Small state in memory. */
import type { Store, Stored } from '../../src/store/store.ts'

export class MemoryStore implements Store {
  readonly #values = new Map<string, Stored>()
  readonly #streams = new Map<string, string[]>()

  get(name: string): Promise<Stored | undefined> {
    return Promise.resolve(this.#values.get(name))
  }

  put(name: string, value: string, expectedRevision: number): Promise<Stored | undefined> {
    const revision = this.#values.get(name)?.revision ?? 0
    if (revision !== expectedRevision) return Promise.resolve(undefined)
    const stored = { name, value, revision: revision + 1 }
    this.#values.set(name, stored)
    return Promise.resolve(stored)
  }

  list(prefix: string, after: string | undefined, limit: number): Promise<readonly Stored[]> {
    const names = [...this.#values.keys()].filter((name) => name.startsWith(prefix)).toSorted(byBytes)
    const behind = names.filter((name) => after === undefined || byBytes(name, after) > 0).slice(0, limit)
    return Promise.resolve(behind.flatMap((name) => this.#values.get(name) ?? []))
  }

  append(stream: string, record: string): Promise<number> {
    const records = this.#streams.get(stream) ?? []
    this.#streams.set(stream, records)
    return Promise.resolve(records.push(record))
  }

  newest(stream: string, limit: number): ReturnType<Store['newest']> {
    const records = this.#streams.get(stream) ?? []
    const numbered = records.map((record, at) => ({ number: at + 1, record }))
    return Promise.resolve(numbered.toReversed().slice(0, limit))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** The order of UTF-8 bytes, which databases sort by. */
function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one, 'utf8'), Buffer.from(other, 'utf8'))
}
