import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileLock } from './lock.ts'

const prefix = 'millrace-stack-'
const lockName = 'owner.lock'
/** A younger directory may belong to a run that has not locked it yet. */
const sweepAgeMs = 60_000

/** A folder for one run's data, removed at its end. What runs that were killed left behind is removed as well. */
export class RunDirectory implements AsyncDisposable {
  readonly path: string
  readonly #lock: FileLock

  private constructor(path: string, lock: FileLock) {
    this.path = path
    this.#lock = lock
  }

  static async create(): Promise<RunDirectory> {
    await sweep()
    const path = await mkdtemp(join(tmpdir(), prefix))
    // Servers that refuse to run as root run as another user, who must be able to reach the folders in here.
    await chmod(path, 0o711)
    const lock = FileLock.try(join(path, lockName))
    if (lock === undefined) throw new Error(`the new folder ${path} is already locked by another process`)
    return new RunDirectory(path, lock)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lock[Symbol.dispose]()
    await rm(this.path, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (name.startsWith(prefix)) await removeIfAbandoned(join(tmpdir(), name))
  }
}

async function removeIfAbandoned(path: string): Promise<void> {
  const status = await stat(path).catch(() => undefined)
  if (status === undefined || Date.now() - status.ctimeMs < sweepAgeMs) return
  // Another user's folder, or one that vanishes meanwhile, is not ours to remove.
  if (status.uid !== process.getuid?.()) return
  try {
    using lock = FileLock.try(join(path, lockName))
    if (lock === undefined) return
  } catch {
    return
  }
  await rm(path, { recursive: true, force: true, maxRetries: 5 })
}
