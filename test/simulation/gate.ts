/**
 * The only way out of a simulated process. While it is open, every call takes a moment before it acts and before its answer
 * arrives; once it is closed the process is dead: no call acts any more, and no answer arrives.
 */
import type { Disk, DiskFile } from '../../src/log/embedded/disk.ts'
import type { Clock } from '../../src/pipeline/clock.ts'

export class Gate {
  readonly #linger: () => Promise<void>
  #open = true

  constructor(linger: () => Promise<void>) {
    this.#linger = linger
  }

  get isOpen(): boolean {
    return this.#open
  }

  close(): void {
    this.#open = false
  }

  /** A call to the outside. */
  async call<T>(act: () => Promise<T>): Promise<T> {
    await this.#linger()
    if (!this.#open) return await never()
    try {
      const answer = await act()
      await this.#linger()
      return this.#open ? answer : await never()
    } catch (error) {
      if (!this.#open) return await never()
      throw error
    }
  }

  /** A wait for something that happens inside the process. */
  async wait<T>(waiting: Promise<T>): Promise<T> {
    try {
      const answer = await waiting
      return this.#open ? answer : await never()
    } catch (error) {
      if (!this.#open) return await never()
      throw error
    }
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined)
}

export function gatedClock(clock: Clock, gate: Gate): Clock {
  return {
    now: () => clock.now(),
    elapsed: () => clock.elapsed(),
    random: () => clock.random(),
    sleep: (durationMs, signal) => gate.wait(clock.sleep(durationMs, signal)),
  }
}

export function gatedDisk(disk: Disk, gate: Gate): Disk {
  return {
    open: async (path, access) => gatedFile(await gate.call(() => disk.open(path, access)), gate),
    create: async (path) => gatedFile(await gate.call(() => disk.create(path)), gate),
    list: (directory) => gate.call(() => disk.list(directory)),
    makeDirectory: (directory) => gate.call(() => disk.makeDirectory(directory)),
    rename: (from, to) => gate.call(() => disk.rename(from, to)),
    unlink: (path) => gate.call(() => disk.unlink(path)),
    syncDirectory: (directory) => gate.call(() => disk.syncDirectory(directory)),
    lock: (path) => gate.call(() => disk.lock(path)),
  }
}

function gatedFile(file: DiskFile, gate: Gate): DiskFile {
  return {
    read: (buffer, at) => gate.call(() => file.read(buffer, at)),
    write: (buffer, at) => {
      // What is written is what the buffer holds now, whatever becomes of it meanwhile.
      const copied = Uint8Array.from(buffer)
      return gate.call(() => file.write(copied, at))
    },
    sync: () => gate.call(() => file.sync()),
    truncate: (bytes) => gate.call(() => file.truncate(bytes)),
    bytes: () => gate.call(() => file.bytes()),
    close: () => gate.call(() => file.close()),
  }
}
