/**
 * Who we were in each group, noted in a file: a process that was killed is a member until its session runs out, and its
 * lanes are nobody's till then. When it is there again it says first that the one before has left.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

export class LastMembers {
  readonly #path: string | undefined
  readonly #ids: Record<string, string>

  /** undefined = nothing is noted. */
  constructor(path: string | undefined) {
    this.#path = path
    this.#ids = path === undefined ? {} : idsIn(path)
  }

  of(group: string): string | undefined {
    return this.#ids[group]
  }

  /** Before the group hears of it. */
  note(group: string, id: string): void {
    this.#ids[group] = id
    if (this.#path === undefined) return
    mkdirSync(dirname(this.#path), { recursive: true })
    writeFileSync(`${this.#path}.new`, JSON.stringify(this.#ids))
    renameSync(`${this.#path}.new`, this.#path)
  }
}

/** Without it lanes wait for the session of the one before: what cannot be read is as good as none. */
function idsIn(path: string): Record<string, string> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>
  } catch {
    return {}
  }
}
