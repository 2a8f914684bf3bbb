/**
 * A disk in memory that is as treacherous as POSIX allows. What was not synced may be gone after a crash, wholly or in part:
 * of a file's unsynced bytes nothing, all, a beginning, or all but some sectors, which are zeros then; of a directory's
 * unsynced changes the first few. A full disk takes the part of a write that fits. A failed sync leaves it open what is
 * durable.
 */
import { dirname } from 'node:path'
import type { Disk, DiskFile } from '../../src/log/embedded/disk.ts'

export type DiskOperation =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'unlink'
  | 'syncDirectory'

export interface MemoryDiskOptions {
  /** 0 to below 1; decides what survives a crash. */
  readonly random?: () => number
  /** All files together. */
  readonly capacityBytes?: number
  /** Asked before each operation: an error's code (`EIO`, `ENOSPC`) makes it fail. */
  readonly fault?: (operation: DiskOperation, path: string) => string | undefined
}

const sectorBytes = 512

class Inode {
  /** As the running system sees it. */
  bytes: Buffer = Buffer.alloc(0)
  /** As it is after a crash. */
  durable: Buffer = Buffer.alloc(0)
}

/** A name in a directory that was set or removed (undefined) and not yet synced. */
interface Change {
  readonly path: string
  readonly inode: Inode | undefined
}

export class MemoryDisk implements Disk {
  capacityBytes: number
  fault: (operation: DiskOperation, path: string) => string | undefined
  readonly #random: () => number
  #names = new Map<string, Inode>()
  #durableNames = new Map<string, Inode>()
  /** Each is one step of the file system's journal. */
  #pending: (readonly Change[])[] = []
  #directories = new Set<string>()
  #locks = new Set<string>()
  /** Files that were opened before the last crash are of no use. */
  #boot = 0

  constructor(options: MemoryDiskOptions = {}) {
    this.#random = options.random ?? (() => 0)
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY
    this.fault = options.fault ?? (() => undefined)
  }

  /** The machine loses power and comes back. */
  crash(): void {
    this.#boot++
    this.#locks.clear()
    const kept = this.#pending.slice(0, Math.floor(this.#random() * (this.#pending.length + 1)))
    for (const change of kept.flat()) setName(this.#durableNames, change)
    this.#pending = []
    this.#names = new Map(this.#durableNames)
    for (const inode of new Set(this.#names.values())) {
      inode.durable = this.#torn(inode.durable, inode.bytes)
      inode.bytes = Buffer.from(inode.durable)
    }
  }

  /** The process dies, the system lives on: nothing is forgotten, all files are closed and locks let go. */
  kill(): void {
    this.#boot++
    this.#locks.clear()
  }

  /** Names of files below a directory, sorted. */
  files(directory: string): string[] {
    return [...this.#names.keys()].filter((path) => path.startsWith(`${directory}/`)).toSorted()
  }

  /** For tests that damage what is there: the file's bytes, changed in place and durable. */
  alter(path: string, change: (bytes: Buffer) => Buffer): void {
    const inode = this.#inode(path)
    inode.bytes = Buffer.from(change(Buffer.from(inode.bytes)))
    inode.durable = Buffer.from(inode.bytes)
  }

  contents(path: string): Buffer {
    return Buffer.from(this.#inode(path).bytes)
  }

  async open(path: string, _access: 'read' | 'write'): Promise<DiskFile> {
    await this.#ask('open', path)
    return this.#file(path, this.#inode(path))
  }

  async create(path: string): Promise<DiskFile> {
    await this.#ask('create', path)
    if (!this.#directories.has(dirname(path))) throw failed('ENOENT', path)
    const inode = this.#names.get(path) ?? new Inode()
    inode.bytes = Buffer.alloc(0)
    this.#change({ path, inode })
    return this.#file(path, inode)
  }

  async list(directory: string): Promise<readonly string[]> {
    await Promise.resolve()
    const prefix = `${directory}/`
    const below = [...this.#names.keys()].filter((path) => dirname(path) === directory)
    return below.map((path) => path.slice(prefix.length))
  }

  async makeDirectory(directory: string): Promise<void> {
    await Promise.resolve()
    for (let each = directory; !this.#directories.has(each); each = dirname(each)) this.#directories.add(each)
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#ask('rename', from)
    const inode = this.#inode(from)
    this.#change({ path: to, inode }, { path: from, inode: undefined })
  }

  async unlink(path: string): Promise<void> {
    await this.#ask('unlink', path)
    this.#inode(path)
    this.#change({ path, inode: undefined })
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.#ask('syncDirectory', directory)
    const isHere = (step: readonly Change[]): boolean =>
      step.some((change) => dirname(change.path) === directory)
    for (const change of this.#pending.filter(isHere).flat()) setName(this.#durableNames, change)
    this.#pending = this.#pending.filter((step) => !isHere(step))
  }

  async lock(path: string): Promise<(() => void) | undefined> {
    await Promise.resolve()
    if (this.#locks.has(path)) return undefined
    const boot = this.#boot
    this.#locks.add(path)
    return () => {
      if (boot === this.#boot) this.#locks.delete(path)
    }
  }

  #file(path: string, inode: Inode): DiskFile {
    const boot = this.#boot
    const ask = async (operation: DiskOperation): Promise<void> => {
      if (boot !== this.#boot) throw failed('EBADF', path)
      await this.#ask(operation, path)
      if (boot !== this.#boot) throw failed('EBADF', path)
    }
    return {
      read: async (buffer, at) => {
        await ask('read')
        return inode.bytes.copy(buffer, 0, at, Math.min(inode.bytes.length, at + buffer.length))
      },
      write: async (buffer, at) => {
        const copied = Buffer.from(buffer)
        await ask('write')
        const grows = Math.max(0, at + copied.length - inode.bytes.length)
        const room = Math.max(0, this.capacityBytes - this.#usedBytes())
        const fits = grows <= room ? copied : copied.subarray(0, copied.length - (grows - room))
        inode.bytes = written(inode.bytes, fits, at)
        if (fits.length < copied.length) throw failed('ENOSPC', path)
      },
      sync: async () => {
        try {
          await ask('sync')
        } catch (error) {
          if (boot === this.#boot) inode.durable = this.#torn(inode.durable, inode.bytes)
          throw error
        }
        inode.durable = Buffer.from(inode.bytes)
      },
      truncate: async (bytes) => {
        await ask('truncate')
        inode.bytes = Buffer.from(inode.bytes.subarray(0, bytes))
      },
      bytes: async () => {
        await Promise.resolve()
        return inode.bytes.length
      },
      close: () => Promise.resolve(),
    }
  }

  async #ask(operation: DiskOperation, path: string): Promise<void> {
    await Promise.resolve()
    const code = this.fault(operation, path)
    if (code !== undefined) throw failed(code, path)
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path)
    if (inode === undefined) throw failed('ENOENT', path)
    return inode
  }

  #change(...changes: readonly Change[]): void {
    for (const change of changes) setName(this.#names, change)
    this.#pending.push(changes)
  }

  #usedBytes(): number {
    let used = 0
    for (const inode of new Set(this.#names.values())) used += inode.bytes.length
    return used
  }

  /** What is left of the bytes where only `durable` was synced. A disk writes whole sectors. */
  #torn(durable: Buffer, bytes: Buffer): Buffer {
    if (durable.equals(bytes)) return durable
    const fate = this.#random()
    if (fate < 0.25) return durable
    if (fate < 0.5 || bytes.length < durable.length) return Buffer.from(bytes)
    const torn = Buffer.from(bytes)
    const beginning = Math.floor(this.#random() * (bytes.length / sectorBytes + 1))
    for (let sector = 0; sector * sectorBytes < torn.length; sector++) {
      const isKept = fate < 0.75 ? sector < beginning : this.#random() < 0.5
      if (!isKept) restore(torn, durable, sector * sectorBytes)
    }
    const cut = Math.max(durable.length, beginning * sectorBytes)
    return fate < 0.75 ? torn.subarray(0, cut) : torn
  }
}

/** The sector at `from` as it was: what was never there is zeros. */
function restore(torn: Buffer, durable: Buffer, from: number): void {
  torn.fill(0, from, Math.min(torn.length, from + sectorBytes))
  if (from < durable.length) durable.copy(torn, from, from, Math.min(durable.length, from + sectorBytes))
}

function setName(names: Map<string, Inode>, { path, inode }: Change): void {
  if (inode === undefined) names.delete(path)
  else names.set(path, inode)
}

function written(before: Buffer, part: Buffer, at: number): Buffer {
  const after = Buffer.alloc(Math.max(before.length, at + part.length))
  before.copy(after)
  part.copy(after, at)
  return after
}

function failed(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}
