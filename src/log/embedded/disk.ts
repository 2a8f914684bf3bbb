/**
 * What the log asks of a file system. The log never touches node:fs itself, so that a simulation can give it a disk that
 * tears writes, fills up and forgets what was not synced.
 */
import * as fs from 'node:fs'
import { dirname } from 'node:path'
import { Failure, type FailureKind } from '../../change/failure.ts'
import { lockFile } from '../lock.ts'

export interface DiskFile {
  /** Reads from byte `at` until the buffer is full or the file ends; answers how many bytes were read. */
  read(buffer: Uint8Array, at: number): Promise<number>
  /** Writes all of it from byte `at` on. After a rejection any part of it may have been written. */
  write(buffer: Uint8Array, at: number): Promise<void>
  /** Resolved = everything written before survives a crash (the file's name needs `syncDirectory`). */
  sync(): Promise<void>
  truncate(bytes: number): Promise<void>
  bytes(): Promise<number>
  close(): Promise<void>
}

export interface Disk {
  /** Of a file that exists. */
  open(path: string, access: 'read' | 'write'): Promise<DiskFile>
  /** A new, empty file to write to; whatever had the name is emptied. */
  create(path: string): Promise<DiskFile>
  /** The names in a directory, in no order; none where there is no such directory. */
  list(directory: string): Promise<readonly string[]>
  /** With its parents; resolved = it survives a crash. */
  makeDirectory(directory: string): Promise<void>
  /** Replaces what has the name `to`. */
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Resolved = the names that were made, changed and removed in it survive a crash. */
  syncDirectory(directory: string): Promise<void>
  /** Keeps every other process out for as long as this one lives; undefined = someone has it. Answers the release. */
  lock(path: string): Promise<(() => void) | undefined>
}

/** The file system of the machine. */
export const nodeDisk: Disk = {
  async open(path, access) {
    return new NodeFile(await fs.promises.open(path, access === 'read' ? 'r' : 'r+'))
  },
  async create(path) {
    return new NodeFile(await fs.promises.open(path, 'w+'))
  },
  async list(directory) {
    try {
      return await fs.promises.readdir(directory)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return []
      throw error
    }
  },
  async makeDirectory(directory) {
    const first = await fs.promises.mkdir(directory, { recursive: true })
    if (first === undefined) return
    for (let made = directory; ; made = dirname(made)) {
      await nodeDisk.syncDirectory(dirname(made))
      if (made === first || made === dirname(made)) return
    }
  },
  rename: (from, to) => fs.promises.rename(from, to),
  unlink: (path) => fs.promises.unlink(path),
  async syncDirectory(directory) {
    // Windows cannot open directories; its file system journals names by itself.
    if (process.platform === 'win32') return
    const handle = await fs.promises.open(directory, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
  lock: (path) => Promise.resolve(lockFile(path)),
}

class NodeFile implements DiskFile {
  readonly #handle: fs.promises.FileHandle

  constructor(handle: fs.promises.FileHandle) {
    this.#handle = handle
  }

  async read(buffer: Uint8Array, at: number): Promise<number> {
    let done = 0
    while (done < buffer.length) {
      const { bytesRead } = await this.#handle.read(buffer, done, buffer.length - done, at + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return done
  }

  async write(buffer: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < buffer.length;) {
      const { bytesWritten } = await this.#handle.write(buffer, done, buffer.length - done, at + done)
      done += bytesWritten
    }
  }

  sync(): Promise<void> {
    return this.#handle.datasync()
  }

  truncate(bytes: number): Promise<void> {
    return this.#handle.truncate(bytes)
  }

  async bytes(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

/** A small file, whole; undefined where there is none. */
export async function readWhole(disk: Disk, path: string): Promise<Buffer | undefined> {
  let file: DiskFile
  try {
    file = await disk.open(path, 'read')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw diskFailure(error, `opening ${path}`)
  }
  try {
    const buffer = Buffer.alloc(await file.bytes())
    return buffer.subarray(0, await file.read(buffer, 0))
  } catch (error) {
    throw diskFailure(error, `reading ${path}`)
  } finally {
    await file.close()
  }
}

/** Puts a new content in place of a small file: after a crash there is the old one or the new one, whole. */
export async function replaceFile(disk: Disk, path: string, content: string | Uint8Array): Promise<void> {
  const draft = `${path}.new`
  try {
    const file = await disk.create(draft)
    try {
      await file.write(typeof content === 'string' ? Buffer.from(content, 'utf8') : content, 0)
      await file.sync()
    } finally {
      await file.close()
    }
    await disk.rename(draft, path)
    await disk.syncDirectory(dirname(path))
  } catch (error) {
    throw diskFailure(error, `writing ${path}`)
  }
}

/** An operating system's error in our words; anything that is none is given back as it was. */
export function diskFailure(error: unknown, attempt: string): unknown {
  const code = codeOf(error)
  if (code === undefined) return error
  const known = diskFailures[code] ?? { kind: 'transient', remedy: 'see what the kernel says about the disk' }
  return new Failure(known.kind, `${attempt} failed: ${code}`, { remedy: known.remedy, cause: error })
}

const noRoom = {
  kind: 'full',
  remedy:
    'free space on that disk or give it more; millrace goes on by itself. To need less, lower the retention',
} as const
const noAccess = {
  kind: 'configuration',
  remedy: 'let the user that millrace runs as read and write it',
} as const
const diskFailures: Readonly<Record<string, { readonly kind: FailureKind; readonly remedy: string }>> = {
  ENOSPC: noRoom,
  EDQUOT: noRoom,
  EACCES: noAccess,
  EPERM: noAccess,
  EROFS: { kind: 'configuration', remedy: 'mount that file system for writing' },
  EMFILE: { kind: 'overload', remedy: 'raise the limit of open files (ulimit -n)' },
}

export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  return /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined
}
