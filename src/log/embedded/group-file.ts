/**
 * One group's file. It has two slots of equal size, whole pages each:
 *
 *   slot   {"format": 1, "serial": N, "checksum": CRC-32 of the rest, "group": {...}}, filled up with spaces
 *
 * The valid slot with the higher serial counts. A commit writes over the other one and syncs: a torn commit leaves the one
 * before it, and to go on from there repeats work, but skips nothing. What may move places back or takes more room replaces
 * the whole file. While the file is being written further commits gather; the next writing takes them all.
 */
import { crc32 } from 'node:zlib'
import type { Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { diskFailure, readWhole, replaceFile, type Disk, type DiskFile } from './disk.ts'
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

export interface StoredGroup {
  readonly group: GroupState
  readonly serial: number
}

export interface GroupFileParts {
  readonly disk: Disk
  readonly path: string
  /** Told when another state is durable. */
  readonly moved: () => void
}

const format = 1
const pageBytes = 4096
/** Left free in a slot: offsets grow. */
const roomBytes = 512

export class GroupFile {
  durable: GroupState | undefined
  current: GroupState | undefined
  readonly #disk: Disk
  readonly #path: string
  readonly #moved: () => void
  #serial: number
  /** Open between commits; undefined = the next writing replaces the file. */
  #file: DiskFile | undefined
  #slotBytes = 0
  #writing: Promise<void> | undefined
  /** The next writing, which begins when the one under way has ended and takes all that was put by then. */
  #gathering: Promise<void> | undefined

  constructor({ disk, path, moved }: GroupFileParts, stored?: StoredGroup) {
    this.#disk = disk
    this.#path = path
    this.#moved = moved
    this.durable = this.current = stored?.group
    this.#serial = stored?.serial ?? 0
  }

  /** A state whose places are those of the one before, or further on. Resolves when it, or a later one, is durable. */
  advance(group: GroupState): Promise<void> {
    this.current = group
    if (this.#gathering !== undefined) return this.#gathering
    if (this.#writing === undefined) return (this.#writing = this.#write())
    const before = this.#writing.catch(() => {})
    return (this.#gathering = before.then(() => {
      this.#gathering = undefined
      return (this.#writing = this.#write())
    }))
  }

  /** Any other state. Resolves when it, or a later one, is durable, and none before it can come back. */
  async replace(group: GroupState): Promise<void> {
    this.current = group
    await this.#settled()
    // A writing that began meanwhile may have taken it along, but into a slot beside the one before it.
    await this.#closeFile()
    await this.advance(this.current)
  }

  /** After the writings under way. */
  async close(): Promise<void> {
    await this.#settled()
    await this.#closeFile()
  }

  async #settled(): Promise<void> {
    while (this.#gathering !== undefined || this.#writing !== undefined)
      await (this.#gathering ?? this.#writing)?.catch(() => {})
  }

  async #write(): Promise<void> {
    const group = this.current
    const serial = this.#serial + 1
    const slot = Buffer.from(slotText(serial, group), 'utf8')
    try {
      if (this.#file === undefined || slot.length > this.#slotBytes) await this.#writeAll(slot)
      else await this.#writeSlot(this.#file, serial, slot)
      this.#serial = serial
      this.durable = group
      this.#moved()
    } catch (error) {
      await this.#closeFile()
      throw error
    } finally {
      this.#writing = undefined
    }
  }

  async #writeAll(slot: Buffer): Promise<void> {
    await this.#closeFile()
    const slotBytes = Math.ceil((slot.length + roomBytes) / pageBytes) * pageBytes
    const content = Buffer.alloc(2 * slotBytes, ' ')
    content.set(slot, slotPlace(this.#serial + 1, slotBytes))
    await replaceFile(this.#disk, this.#path, content)
    this.#file = await this.#disk.open(this.#path, 'write')
    this.#slotBytes = slotBytes
  }

  async #writeSlot(file: DiskFile, serial: number, slot: Buffer): Promise<void> {
    const content = Buffer.alloc(this.#slotBytes, ' ')
    content.set(slot, 0)
    try {
      await file.write(content, slotPlace(serial, this.#slotBytes))
      await file.sync()
    } catch (error) {
      throw diskFailure(error, `writing ${this.#path}`)
    }
  }

  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }
}

/** undefined = there is no such file. */
export async function readGroupFile(disk: Disk, path: string): Promise<StoredGroup | undefined> {
  const bytes = await readWhole(disk, path)
  if (bytes === undefined) return undefined
  const half = bytes.length / 2
  const slots = [bytes.subarray(0, half), bytes.subarray(half)].flatMap((slot) => readSlot(path, slot) ?? [])
  const newest = slots.toSorted((one, other) => other.serial - one.serial)[0]
  if (newest === undefined) throw damaged(path, 0, 'the group does not match its checksum')
  return newest
}

function slotPlace(serial: number, slotBytes: number): number {
  return (serial % 2) * slotBytes
}

function slotText(serial: number, group: GroupState | undefined): string {
  const text = JSON.stringify(group)
  return `{"format":${format},"serial":${serial},"checksum":${checksumOf(format, serial, text)},"group":${text}}\n`
}

/** undefined = it is empty, torn or damaged. */
function readSlot(path: string, bytes: Buffer): StoredGroup | undefined {
  // Its own checksum says whether the text is what was written; until then nothing of it is believed.
  const slot = parse(bytes.toString('utf8')) as
    | {
        readonly format?: unknown
        readonly serial?: unknown
        readonly checksum?: unknown
        readonly group?: GroupState
      }
    | undefined
  if (typeof slot?.serial !== 'number' || typeof slot.format !== 'number' || slot.group === undefined)
    return undefined
  if (slot.checksum !== checksumOf(slot.format, slot.serial, JSON.stringify(slot.group))) return undefined
  if (slot.format !== format)
    throw new Failure('unsupported', `${path} is not of format ${format}, which this program knows`, {
      remedy: 'run the version of millrace that wrote it, or a newer one',
    })
  return { group: slot.group, serial: slot.serial }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function checksumOf(written: number, serial: number, text: string): number {
  return crc32(Buffer.from(`${written} ${serial} ${text}`, 'utf8'))
}
