/**
 * One group's dead letters: a file of frames as in record.ts. A frame has no pieces, and its head is a row of items:
 *
 *   "P", serial number, string (JSON text of a letter)     a letter was put aside
 *   "S", string (id)                                       its id was settled
 *
 * A later item of an id takes the place of an earlier one. Of a letter only its serial number, time and attempts are kept
 * in memory. When most of a file is dead it is written anew: the letters keep their serial numbers, so that a listing that
 * reads the old file on still knows which of them are alive.
 */
import { dirname } from 'node:path'
import { packNumber, packString, Unpacker } from '../../change/packing.ts'
import { bytesOf, textOf } from '../../change/row.ts'
import type { DeadLetter } from '../log.ts'
import { codeOf, diskFailure, type Disk, type DiskFile } from './disk.ts'
import { FrameReader, wholeFrames } from './frames.ts'
import { encodeFrame } from './frame-writing.ts'

export interface LetterFileOptions {
  readonly disk: Disk
  readonly now: () => number
  /** Files below this size are not written anew, however much of them is dead. */
  readonly compactBytes: number
}

/** What is kept in memory of a letter. */
export interface Alive {
  readonly serial: number
  readonly firstAtMs: number
  readonly attempts: number
}

export type Item =
  | { readonly kind: 'put'; readonly serial: number; readonly letter: DeadLetter }
  | { readonly kind: 'settled'; readonly id: string }

export class LetterFile {
  readonly #options: LetterFileOptions
  readonly #path: string
  readonly #alive = new Map<string, Alive>()
  /** undefined until first used, and after a failure: what the file holds must be looked up. */
  #file: DiskFile | undefined
  #bytes = 0
  #items = 0
  #serial = 0
  /** Work on the file is done one after the other. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: LetterFileOptions, path: string) {
    this.#options = options
    this.#path = path
  }

  /** Letters of ids that have one already take its first time and add to its attempts. */
  put(letters: readonly DeadLetter[]): Promise<void> {
    return this.#inTurn(async () => {
      for (let from = 0; from < letters.length; from += frameItemsMax)
        await this.#write(this.#merged(letters.slice(from, from + frameItemsMax)))
    })
  }

  settle(ids: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      const known = [...new Set(ids)].filter((id) => this.#alive.has(id))
      if (known.length > 0) await this.#write(known.map((id) => ({ kind: 'settled', id })))
    })
  }

  count(): Promise<number> {
    return this.#inTurn(() => Promise.resolve(this.#alive.size))
  }

  async *list(): AsyncGenerator<DeadLetter> {
    const limit = await this.#inTurn(() => Promise.resolve(this.#bytes))
    for await (const { item } of itemsIn(this.#options.disk, this.#path, limit))
      if (item.kind === 'put' && this.#alive.get(item.letter.id)?.serial === item.serial) yield item.letter
  }

  close(): Promise<void> {
    const closed = this.#last.then(() => this.#closeFile())
    this.#last = closed.catch(() => {})
    return closed
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(async () => {
      try {
        if (this.#file === undefined) await this.#open()
        return await work()
      } catch (error) {
        await this.#closeFile()
        throw diskFailure(error, `keeping dead letters in ${this.#path}`)
      }
    })
    this.#last = done.catch(() => {})
    return done
  }

  #merged(letters: readonly DeadLetter[]): Item[] {
    const merged = new Map<string, DeadLetter>()
    for (const letter of letters) {
      const before = merged.get(letter.id) ?? this.#alive.get(letter.id)
      const attempts = letter.attempts + (before?.attempts ?? 0)
      merged.set(letter.id, { ...letter, attempts, firstAtMs: before?.firstAtMs ?? letter.firstAtMs })
    }
    return [...merged.values()].map((letter) => ({ kind: 'put', serial: ++this.#serial, letter }))
  }

  /** Reads what is there and cuts off an unfinished end. */
  async #open(): Promise<void> {
    const { disk } = this.#options
    this.#alive.clear()
    this.#bytes = this.#items = 0
    try {
      this.#file = await disk.open(this.#path, 'write')
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      this.#file = await disk.create(this.#path)
      await disk.syncDirectory(dirname(this.#path))
      return
    }
    // A process that died may have left the name in the system's memory alone.
    await disk.syncDirectory(dirname(this.#path))
    for await (const { item, end } of itemsIn(disk, this.#path, undefined)) {
      this.#note(item)
      this.#bytes = end
    }
    await this.#file.truncate(this.#bytes)
    await this.#file.sync()
    await this.#compact()
  }

  async #write(items: readonly Item[]): Promise<void> {
    const file = this.#file
    if (file === undefined) throw new Error(`${this.#path} is not open`)
    const bytes = this.#encode(items)
    await file.write(bytes, this.#bytes)
    await file.sync()
    this.#bytes += bytes.length
    for (const item of items) this.#note(item)
    await this.#compact()
  }

  #note(item: Item): void {
    this.#items++
    if (item.kind === 'put') this.#serial = Math.max(this.#serial, item.serial)
    note(this.#alive, item)
  }

  #encode(items: readonly Item[]): Uint8Array {
    const appendedAtMs = this.#options.now()
    return encodeFrame(items.map(packItem).join(''), [], {
      count: items.length,
      first: 0,
      appendedAtMs,
      firstSeq: 0,
      epoch: 0,
      flags: 0,
    })
  }

  /** Writes the living alone to a new file when most of this one is dead. */
  async #compact(): Promise<void> {
    if (this.#bytes < this.#options.compactBytes || this.#items < 2 * this.#alive.size) return
    const { disk } = this.#options
    const draftPath = `${this.#path}.new`
    const draft = await disk.create(draftPath)
    let bytes = 0
    let living: Item[] = []
    const flush = async () => {
      const frame = this.#encode(living)
      await draft.write(frame, bytes)
      bytes += frame.length
      living = []
    }
    try {
      for await (const { item } of itemsIn(disk, this.#path, this.#bytes)) {
        if (item.kind !== 'put' || this.#alive.get(item.letter.id)?.serial !== item.serial) continue
        living.push(item)
        if (living.length >= frameItemsMax) await flush()
      }
      if (living.length > 0) await flush()
      await draft.sync()
      await disk.rename(draftPath, this.#path)
      await disk.syncDirectory(dirname(this.#path))
    } catch (error) {
      await draft.close()
      throw error
    }
    await this.#closeFile()
    this.#file = draft
    this.#bytes = bytes
    this.#items = this.#alive.size
  }

  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }
}

/** Letters can be large; so many of them go into one frame. */
const frameItemsMax = 100
const chunkBytes = 2 ** 18

/** Lets an item take the place of what was there of its id. */
export function note(alive: Map<string, Alive>, item: Item): void {
  if (item.kind === 'settled') alive.delete(item.id)
  else {
    const { id, firstAtMs, attempts } = item.letter
    alive.set(id, { serial: item.serial, firstAtMs, attempts })
  }
}

/**
 * The items of a file in order, each with the end of its frame, up to byte `limit` (undefined = up to the last whole frame).
 * None where there is no file.
 */
export async function* itemsIn(
  disk: Disk,
  path: string,
  limit: number | undefined,
): AsyncGenerator<{ readonly item: Item; readonly end: number }> {
  let file: DiskFile
  try {
    file = await disk.open(path, 'read')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw diskFailure(error, `opening ${path}`)
  }
  const reader = new FrameReader(file, path, { at: 0, chunkBytes })
  try {
    for await (const frame of wholeFrames(reader, limit))
      for (const item of unpackItems(frame.head)) yield { item, end: frame.end }
  } finally {
    await reader.close()
  }
}

function packItem(item: Item): string {
  if (item.kind === 'settled') return `S${packString(bytesOf(item.id))}`
  return `P${packNumber(item.serial)}${packString(bytesOf(JSON.stringify(item.letter)))}`
}

function* unpackItems(text: string): Generator<Item> {
  const unpacker = new Unpacker(text, 0)
  while (unpacker.at < text.length) {
    const isPut = text[unpacker.at++] === 'P'
    if (!isPut) {
      yield { kind: 'settled', id: textOf(unpacker.string()) }
      continue
    }
    const serial = unpacker.number()
    // The text was written by packItem and has passed its frame's checksum.
    const letter = JSON.parse(textOf(unpacker.string())) as DeadLetter
    // JSON leaves out members that are undefined.
    yield { kind: 'put', serial, letter: { ...letter, document: letter.document } }
  }
}
