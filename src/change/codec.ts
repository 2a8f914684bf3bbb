/**
 * Changes as packed text (one character per byte), lossless. The text goes to disk by one copy, and readers cut keys and
 * rows out of it without copying them again.
 *
 *   text   = version, record*
 *   record = head, [table], [time], key length, [before length], [after length], key, [before], [after]
 *
 *   head     bits 0 to 2: operation (0 insert, 1 read, 2 update, 3 delete); bit 3: a table follows; bit 4: a time follows
 *   table    the number of the table's definition, else that of the record before (0 at first)
 *   time     committedAtMs, else that of the record before (0 at first)
 *   lengths  in bytes; before: update and delete, after: all but delete
 *
 * All lengths stand before all bytes, so that a reader passes over a record that it does not want in a few steps.
 *
 * Format history: version 1, the above.
 */
import type { Change, Key, Row, Table } from './change.ts'
import { Failure } from './failure.ts'
import { packNumber, Unpacker } from './packing.ts'
import { bytesOf, textOf } from './row.ts'

const version = 1

const operations = { insert: 0, read: 1, update: 2, delete: 3 } as const
const operationBits = 7
const tableFollows = 8
const timeFollows = 16

/** The number of each table's definition comes from the caller, who keeps the definitions with the text. */
export function packChanges(changes: readonly Change[], numberOf: (table: Table) => number): string {
  let packed = packNumber(version)
  let table: Table | undefined
  let committedAtMs = 0
  for (const change of changes) {
    let head: number = operations[change.op]
    let context = ''
    if (change.table !== table) {
      head |= tableFollows
      context = packNumber(numberOf((table = change.table)))
    }
    if (change.committedAtMs !== committedAtMs) {
      head |= timeFollows
      context += packNumber((committedAtMs = change.committedAtMs))
    }
    packed += packNumber(head) + context + packImages(change)
  }
  assertBytes(packed)
  return packed
}

function packImages(change: Change): string {
  const { key, before, after } = change
  let lengths = packNumber(key.length)
  if (before !== undefined) lengths += packNumber(before.length)
  if (after !== undefined) lengths += packNumber(after.length)
  return lengths + key + (before ?? '') + (after ?? '')
}

/** Cheap: V8 knows that a string of one byte per character cannot match. */
function assertBytes(text: string): void {
  if (/[\u0100-\uffff]/.test(text)) throw new Error('a key or row has characters that are not bytes')
}

/** Walks over packed changes; the fields describe the record that `next` found. */
export class PackedChanges {
  /** Operation number, as in the table above. */
  operation = 0
  /** The number of the table's definition. */
  tableNumber = 0
  committedAtMs = 0
  /** Where the key begins in the text. */
  keyAt = 0
  keyLength = 0
  beforeLength = 0
  afterLength = 0
  readonly text: string
  readonly #unpacker: Unpacker
  readonly #end: number

  constructor(text: string, at: number) {
    this.text = text
    this.#unpacker = new Unpacker(text, at)
    this.#end = text.length
    const found = this.#unpacker.number()
    if (found !== version)
      throw new Failure('unsupported', `packed changes of version ${found}; this program knows ${version}`, {
        remedy: 'run the version of millrace that wrote them, or a newer one',
      })
  }

  next(): boolean {
    const unpacker = this.#unpacker
    if (unpacker.at >= this.#end) {
      if (unpacker.at > this.#end) throw new Failure('corrupt', 'packed changes end inside a record')
      return false
    }
    const head = unpacker.number()
    if ((head & tableFollows) !== 0) this.tableNumber = unpacker.number()
    if ((head & timeFollows) !== 0) this.committedAtMs = unpacker.number()
    const operation = (this.operation = head & operationBits)
    this.keyLength = unpacker.number()
    this.beforeLength = operation >= operations.update ? unpacker.number() : 0
    this.afterLength = operation === operations.delete ? 0 : unpacker.number()
    this.keyAt = unpacker.at
    unpacker.at += this.keyLength + this.beforeLength + this.afterLength
    return true
  }

  /** The record as a change of the table that its number stands for. */
  change(table: Table): Change {
    const { text, committedAtMs } = this
    const beforeAt = this.keyAt + this.keyLength
    const afterAt = beforeAt + this.beforeLength
    const key = text.slice(this.keyAt, beforeAt) as Key
    switch (this.operation) {
      case operations.insert:
        return { table, committedAtMs, op: 'insert', key, before: undefined, after: this.#after(afterAt) }
      case operations.read:
        return { table, committedAtMs, op: 'read', key, before: undefined, after: this.#after(afterAt) }
      case operations.update: {
        const before = text.slice(beforeAt, afterAt) as Row
        return { table, committedAtMs, op: 'update', key, before, after: this.#after(afterAt) }
      }
      case operations.delete: {
        const before = text.slice(beforeAt, afterAt) as Row
        return { table, committedAtMs, op: 'delete', key, before, after: undefined }
      }
      default:
        throw new Failure('unsupported', `a packed change has the unknown operation ${this.operation}`)
    }
  }

  #after(at: number): Row {
    return this.text.slice(at, at + this.afterLength) as Row
  }
}

/** A table's definition as JSON text, one character per byte. */
export function packTable(table: Table): string {
  return bytesOf(JSON.stringify({ name: table.name, columns: table.columns, key: table.key }))
}

export function unpackTable(packed: string): Table {
  // The text was written by packTable and has passed its frame's checksum.
  return JSON.parse(textOf(packed)) as Table
}
