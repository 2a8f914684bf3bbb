/**
 * Groups: who reads the log and how far each has come. One file per group, `groups/<name>.json`, replaced as a whole. While
 * it is being written further commits gather; the next writing takes them all.
 *
 *   {"format": 1, "checksum": CRC-32 of the group's JSON text, "group": {...}}
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { diskFailure, readWhole, replaceFile, type Disk } from './disk.ts'
import { damaged } from './frames.ts'

export interface GroupState {
  readonly name: string
  readonly tables: readonly string[]
  /** Where the lanes that have committed nothing yet begin: a group may be made before the number of lanes is known. */
  readonly start: Offset
  /** By lane; may be shorter than the number of lanes. */
  readonly lanes: readonly Offset[]
  readonly attributes: Readonly<Record<string, string>>
  readonly lost: boolean
}

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
  const groups: GroupState[] = []
  for (const name of [...(await disk.list(directory))].toSorted()) {
    if (!name.endsWith('.json')) continue
    const group = await readGroup(disk, join(directory, name))
    if (group !== undefined) groups.push(group)
  }
  return groups
}

/** The groups of the process that writes the log. */
export class Groups {
  readonly #disk: Disk
  readonly #directory: string
  readonly #files = new Map<string, GroupFile>()

  constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#directory = directory
  }

  async recover(): Promise<void> {
    for (const group of await readGroups(this.#disk, this.#directory))
      this.#files.set(group.name, new GroupFile(this.#disk, this.#path(group.name), group))
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
    const file = this.#files.get(group.name) ?? new GroupFile(this.#disk, this.#path(group.name), undefined)
    this.#files.set(group.name, file)
    await file.put(group)
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
    return file.put({ ...group, lanes: places })
  }

  async markLost(name: string): Promise<void> {
    const file = this.#files.get(name)
    if (file?.current !== undefined) await file.put({ ...file.current, lost: true })
  }

  async forget(name: string): Promise<void> {
    const file = this.#files.get(name)
    if (file === undefined) throw unknownGroup(name)
    this.#files.delete(name)
    await file.settled()
    try {
      await this.#disk.unlink(this.#path(name))
      await this.#disk.syncDirectory(this.#directory)
    } catch (error) {
      throw diskFailure(error, `removing the group ${name}`)
    }
  }

  async settled(): Promise<void> {
    for (const file of this.#files.values()) await file.settled()
  }

  #path(name: string): string {
    return join(this.#directory, `${encodeURIComponent(name)}.json`)
  }
}

/** One group's file, and the writing that is under way. */
class GroupFile {
  durable: GroupState | undefined
  current: GroupState | undefined
  readonly #disk: Disk
  readonly #path: string
  #writing: Promise<void> | undefined
  /** The next writing, which begins when the one under way has ended and takes all that was put by then. */
  #gathering: Promise<void> | undefined

  constructor(disk: Disk, path: string, group: GroupState | undefined) {
    this.#disk = disk
    this.#path = path
    this.durable = this.current = group
  }

  /** Resolves when the group, or a later state of it, is durable. */
  put(group: GroupState): Promise<void> {
    this.current = group
    if (this.#gathering !== undefined) return this.#gathering
    if (this.#writing === undefined) return (this.#writing = this.#write())
    const before = this.#writing.catch(() => {})
    return (this.#gathering = before.then(() => {
      this.#gathering = undefined
      return (this.#writing = this.#write())
    }))
  }

  /** Resolves when no writing is under way. */
  async settled(): Promise<void> {
    await (this.#gathering ?? this.#writing)?.catch(() => {})
  }

  async #write(): Promise<void> {
    const group = this.current
    const text = JSON.stringify(group)
    try {
      const file = `{"format":${format},"checksum":${checksumOf(text)},"group":${text}}\n`
      await replaceFile(this.#disk, this.#path, file)
      this.durable = group
    } finally {
      this.#writing = undefined
    }
  }
}

const format = 1

async function readGroup(disk: Disk, path: string): Promise<GroupState | undefined> {
  const bytes = await readWhole(disk, path)
  if (bytes === undefined) return undefined
  // Its own checksum says whether the text is what was written; until then nothing of it is believed.
  const stored = parse(bytes.toString('utf8')) as
    | { readonly format?: unknown; readonly checksum?: unknown; readonly group?: GroupState }
    | undefined
  if (typeof stored?.format === 'number' && stored.format !== format)
    throw new Failure('unsupported', `${path} has format ${stored.format}; this program knows ${format}`, {
      remedy: 'run the version of millrace that wrote it, or a newer one',
    })
  if (
    stored?.group === undefined ||
    stored.format !== format ||
    stored.checksum !== checksumOf(JSON.stringify(stored.group))
  )
    throw damaged(path, 0, 'the group does not match its checksum')
  return stored.group
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function checksumOf(text: string): number {
  return crc32(Buffer.from(text, 'utf8'))
}
