/**
 * What rows ask for whose documents are nothing but their rows. Each operation is made when it is asked for: thousands are
 * on their way at once, and until one is written its id is all that there need be of it.
 */
import type { Table } from '../change/change.ts'
import type { List } from '../change/list.ts'
import { RecordCursor } from '../change/records.ts'
import type { Entries } from '../log/log.ts'
import type { Body, Operation } from '../sink/sink.ts'
import type { Work } from './enricher.ts'
import type { RowDocument } from './row-document.ts'

export class RowWorks implements List<Work> {
  readonly #entries: Entries
  readonly #cursor: RecordCursor
  readonly #documentOf: (table: Table) => RowDocument
  readonly #numbers: number[] = []
  readonly #ids: string[] = []
  readonly #isDelete: boolean[] = []

  constructor(entries: Entries, documentOf: (table: Table) => RowDocument) {
    this.#entries = entries
    this.#cursor = new RecordCursor(entries.records)
    this.#documentOf = documentOf
  }

  /** The entry with this number asks for this. */
  add(number: number, op: Operation['op'], id: string): void {
    this.#numbers.push(number)
    this.#ids.push(id)
    this.#isDelete.push(op === 'delete')
  }

  get length(): number {
    return this.#numbers.length
  }

  at(index: number): Work | undefined {
    const number = this.#numbers[index]
    return number === undefined ? undefined : new RowWork(this, index, number)
  }

  *[Symbol.iterator](): Generator<Work> {
    for (let index = 0; index < this.length; index++) {
      const work = this.at(index)
      if (work !== undefined) yield work
    }
  }

  bytesMax(number: number): number {
    const { table, afterAt, keyAt } = this.#seek(number)
    return this.#documentOf(table).bytesMaxOf(keyAt - afterAt)
  }

  write(number: number, target: Buffer, at: number): number {
    const { records, table, afterAt, keyAt } = this.#seek(number)
    const document = this.#documentOf(table)
    document.read(records.bytes, afterAt, keyAt)
    return document.write(target, at)
  }

  operation(work: RowWork, index: number): Operation {
    const id = this.#ids[index] ?? ''
    const version = this.#entries.version(work.at)
    return this.#isDelete[index] === true
      ? { op: 'delete', id, version, routing: undefined, repeatable: true, body: undefined }
      : { op: 'index', id, version, routing: undefined, repeatable: true, body: work }
  }

  #seek(number: number): RecordCursor {
    this.#cursor.seek(this.#entries.place(number))
    return this.#cursor
  }
}

class RowWork implements Work, Body {
  readonly at: number
  readonly #works: RowWorks
  readonly #index: number

  constructor(works: RowWorks, index: number, at: number) {
    this.#works = works
    this.#index = index
    this.at = at
  }

  get operation(): Operation {
    return this.#works.operation(this, this.#index)
  }

  get bytesMax(): number {
    return this.#works.bytesMax(this.at)
  }

  write(target: Buffer, at: number): number {
    return this.#works.write(this.at, target, at)
  }
}
