/** Groups: who reads the log and how far each has come; one file each, `groups/<name>.json` (group-file.ts). */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { Signal } from '../../change/signal.ts'
import { diskFailure, type Disk } from './disk.ts'
import { GroupFile, readGroupFile, type GroupState, type StoredGroup } from './group-file.ts'

/** The next offset to deliver, lane by lane. */
export function placesOf(group: GroupState, lanes: number): Offset[] {
  return Array.from({ length: lanes }, (_, lane) => group.lanes[lane] ?? group.start)
}

/** The first offset that some lane may still need. */
export function oldestPlace(group: GroupState, lanes: number | undefined): Offset {
  return lanes === undefined ? group.start : Math.min(...placesOf(group, lanes))
}

export function unknownGroup(name: string): Failure {
  return new Failure('configuration', `the log knows no group ${name}`, { remedy: 'define the group first' })
}

/** The groups as they are in the files: for processes that do not write the log. */
export async function readGroups(disk: Disk, directory: string): Promise<GroupState[]> {
  return (await storedGroups(disk, directory)).map(({ group }) => group)
}

async function storedGroups(disk: Disk, directory: string): Promise<StoredGroup[]> {
  const found: StoredGroup[] = []
  for (const name of [...(await disk.list(directory))].toSorted()) {
    const stored = name.endsWith('.json') ? await readGroupFile(disk, join(directory, name)) : undefined
    if (stored !== undefined) found.push(stored)
  }
  return found
}

/** The groups of the process that writes the log. */
export class Groups {
  /** What is durable of some group is another than before. */
  readonly moved = new Signal()
  readonly #disk: Disk
  readonly #directory: string
  readonly #files = new Map<string, GroupFile>()

  constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#directory = directory
  }

  async recover(): Promise<void> {
    for (const found of await storedGroups(this.#disk, this.#directory)) {
      const path = this.#path(found.group.name)
      await this.#makeDurable(path)
      this.#files.set(found.group.name, this.#file(path, found))
    }
    await this.#makeNamesDurable()
  }

  /** A process that died may have left bytes and names that are in the system's memory alone. */
  async #makeDurable(path: string): Promise<void> {
    try {
      const file = await this.#disk.open(path, 'write')
      try {
        await file.sync()
      } finally {
        await file.close()
      }
    } catch (error) {
      throw diskFailure(error, `looking after ${path}`)
    }
  }

  async #makeNamesDurable(): Promise<void> {
    try {
      await this.#disk.syncDirectory(this.#directory)
    } catch (error) {
      throw diskFailure(error, `looking after ${this.#directory}`)
    }
  }

  /** What is durable of every group. */
  durable(): readonly GroupState[] {
    return [...this.#files.values()].flatMap((file) => file.durable ?? [])
  }

  /** A group as it is, committed but not yet durable places included. */
  current(name: string): GroupState | undefined {
    return this.#files.get(name)?.current
  }

  async define(group: GroupState): Promise<void> {
    const file = this.#files.get(group.name) ?? this.#file(this.#path(group.name))
    this.#files.set(group.name, file)
    await file.replace(group)
  }

  /** Refuses to go backward. Resolves when the place is durable. */
  commit(
    name: string,
    lanes: number,
    place: { readonly lane: number; readonly next: Offset },
  ): Promise<void> {
    const file = this.#files.get(name)
    const group = file?.current
    if (file === undefined || group === undefined) return Promise.reject(unknownGroup(name))
    const places = placesOf(group, lanes)
    const before = places[place.lane]
    assert(before !== undefined, `lane ${place.lane} is one of ${lanes}`)
    assert(place.next >= before, `${name}, lane ${place.lane}: ${place.next} comes before ${before}`)
    if (place.next === before && file.durable === group) return Promise.resolve()
    places[place.lane] = place.next
    return file.advance({ ...group, lanes: places })
  }

  async markLost(name: string): Promise<void> {
    const file = this.#files.get(name)
    if (file?.current !== undefined) await file.replace({ ...file.current, lost: true })
  }

  async forget(name: string): Promise<void> {
    const file = this.#files.get(name)
    if (file === undefined) throw unknownGroup(name)
    this.#files.delete(name)
    this.moved.notify()
    await file.close()
    try {
      await this.#disk.unlink(this.#path(name))
      await this.#disk.syncDirectory(this.#directory)
    } catch (error) {
      throw diskFailure(error, `removing the group ${name}`)
    }
  }

  /** After the writings under way. */
  async close(): Promise<void> {
    for (const file of this.#files.values()) await file.close()
  }

  #file(path: string, stored?: StoredGroup): GroupFile {
    return new GroupFile({ disk: this.#disk, path, moved: () => this.moved.notify() }, stored)
  }

  #path(name: string): string {
    return join(this.#directory, `${encodeURIComponent(name)}.json`)
  }
}
