/**
 * A lock that the kernel lets go when its owner dies. Node has no flock, and a file with a process id in it is not
 * sound: ids are used again, and two containers that share a volume cannot see each other's processes. SQLite takes
 * the system's own record lock, so an exclusive transaction that is never committed is the lock.
 */
import { DatabaseSync } from 'node:sqlite'

/** Answers the release; undefined = another process, or another part of this one, has it. */
export function lockFile(path: string): (() => void) | undefined {
  const database = new DatabaseSync(path)
  try {
    // Nothing is ever written, so no journal file is wanted; OFF would not do, node forbids it.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (isBusy(error)) return undefined
    throw error
  }
  return () => {
    database.close()
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 5
}
