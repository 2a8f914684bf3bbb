/** Dead letters outside retention: one file per group, `dead-letters/<group>.log` (letter-file.ts). */
import { join } from 'node:path'
import type { DeadLetter, DeadLetters } from '../log.ts'
import type { Disk } from './disk.ts'
import { itemsIn, LetterFile, note, type Alive, type LetterFileOptions } from './letter-file.ts'

/** The dead letters of the process that writes the log. */
export class OwnDeadLetters implements DeadLetters {
  readonly #options: LetterFileOptions
  readonly #directory: string
  readonly #files = new Map<string, LetterFile>()

  constructor(directory: string, options: LetterFileOptions) {
    this.#directory = directory
    this.#options = options
  }

  put(group: string, letters: readonly DeadLetter[]): Promise<void> {
    return this.#file(group).put(letters)
  }

  settle(group: string, ids: readonly string[]): Promise<void> {
    return this.#file(group).settle(ids)
  }

  count(group: string): Promise<number> {
    return this.#file(group).count()
  }

  list(group: string): AsyncIterable<DeadLetter> {
    return this.#file(group).list()
  }

  async close(): Promise<void> {
    for (const file of this.#files.values()) await file.close()
  }

  #file(group: string): LetterFile {
    let file = this.#files.get(group)
    if (file === undefined) {
      file = new LetterFile(this.#options, pathOf(this.#directory, group))
      this.#files.set(group, file)
    }
    return file
  }
}

/** The dead letters as another process sees them: each question reads the file anew. */
export class ForeignDeadLetters implements DeadLetters {
  readonly #disk: Disk
  readonly #directory: string
  readonly #refuse: () => Promise<never>

  constructor(disk: Disk, directory: string, refuse: () => Promise<never>) {
    this.#disk = disk
    this.#directory = directory
    this.#refuse = refuse
  }

  put(): Promise<void> {
    return this.#refuse()
  }

  settle(): Promise<void> {
    return this.#refuse()
  }

  async count(group: string): Promise<number> {
    const alive = await this.#alive(group)
    return alive.size
  }

  async *list(group: string): AsyncGenerator<DeadLetter> {
    const alive = await this.#alive(group)
    for await (const { item } of itemsIn(this.#disk, pathOf(this.#directory, group), undefined))
      if (item.kind === 'put' && alive.get(item.letter.id)?.serial === item.serial) yield item.letter
  }

  async #alive(group: string): Promise<Map<string, Alive>> {
    const alive = new Map<string, Alive>()
    for await (const { item } of itemsIn(this.#disk, pathOf(this.#directory, group), undefined))
      note(alive, item)
    return alive
  }
}

function pathOf(directory: string, group: string): string {
  return join(directory, `${encodeURIComponent(group)}.log`)
}
