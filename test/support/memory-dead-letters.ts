/** Dead letters in memory, as the log in memory keeps them. */
import type { DeadLetter, DeadLetters } from '../../src/log/log.ts'

export class MemoryDeadLetters implements DeadLetters {
  readonly #groups: Map<string, Map<string, DeadLetter>>

  constructor(groups: Map<string, Map<string, DeadLetter>>) {
    this.#groups = groups
  }

  async put(group: string, letters: readonly DeadLetter[]): Promise<void> {
    await Promise.resolve()
    const kept = this.#groups.get(group) ?? new Map<string, DeadLetter>()
    this.#groups.set(group, kept)
    for (const letter of letters) {
      const before = kept.get(letter.id)
      const attempts = letter.attempts + (before?.attempts ?? 0)
      kept.set(letter.id, { ...letter, attempts, firstAtMs: before?.firstAtMs ?? letter.firstAtMs })
    }
  }

  async settle(group: string, ids: readonly string[]): Promise<void> {
    await Promise.resolve()
    for (const id of ids) this.#groups.get(group)?.delete(id)
  }

  count(group: string): Promise<number> {
    return Promise.resolve(this.#groups.get(group)?.size ?? 0)
  }

  async *list(group: string): AsyncGenerator<DeadLetter> {
    await Promise.resolve()
    yield* this.#groups.get(group)?.values() ?? []
  }
}
