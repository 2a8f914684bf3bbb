import { setTimeout as delay } from 'node:timers/promises'
import { DatabaseSync } from 'node:sqlite'

/**
 * An exclusive lock on a file, held by the kernel for this process: it is free again the moment its owner ends, however
 * that happens, so a dead owner's lock needs no taking over. SQLite's own file lock is used because Node has no other.
 */
export class FileLock implements Disposable {
  readonly #database: DatabaseSync

  private constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** Takes the lock, or returns undefined at once when someone else holds it. */
  static try(path: string): FileLock | undefined {
    const database = new DatabaseSync(path, { timeout: 0 })
    try {
      database.exec('BEGIN EXCLUSIVE')
      return new FileLock(database)
    } catch (failure) {
      database.close()
      if (isBusy(failure)) return undefined
      throw new Error(`cannot lock ${path}`, { cause: failure })
    }
  }

  /** Takes the lock as soon as it is free; `waiting` is called once when it is not free at once. */
  static async hold(path: string, waiting: () => void): Promise<FileLock> {
    for (let attempt = 0; ; attempt += 1) {
      const lock = FileLock.try(path)
      if (lock !== undefined) return lock
      if (attempt === 0) waiting()
      await delay(150)
    }
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }
}

const sqliteBusy = 5

function isBusy(failure: unknown): boolean {
  return (failure as { errcode?: number }).errcode === sqliteBusy
}
