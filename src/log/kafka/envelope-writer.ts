/** Writes envelopes (envelope.ts) from packed rows by copying: measured first, then written to where they are sent from. */
import { copyBytes, type Writing } from '../../change/bytes.ts'
import type { Table } from '../../change/change.ts'
import { operations, type RecordCursor } from '../../change/records.ts'
import { absentCell, findCells, nullCell } from '../../change/row.ts'
import { afterName, beforeName, endOfValue, isNull, memberName, nullText, opName } from './envelope.ts'

export interface EnvelopeSource {
  /** Of the program. */
  readonly version: string
  /** Of the source, in the settings. */
  readonly name: string
}

/** What is the same in all envelopes of a table. */
interface Template {
  readonly table: Table
  /** Of all columns, each behind a comma. */
  readonly names: readonly Buffer[]
  /** Those of the key. */
  readonly key: readonly Buffer[]
  /** The columns that hold JSON. */
  readonly json: readonly number[]
  /** Where the cells of the row before lie, and those of the row after. */
  readonly before: Int32Array
  readonly after: Int32Array
  readonly sourceFrom: string
  readonly sourceTo: string
}

/** What follows the rows; the changes of a transaction have it alike. */
interface Tail {
  readonly template: Template
  readonly operation: number
  readonly committedAtMs: number
  readonly nowMs: number
  readonly bytes: Buffer
}

export class EnvelopeWriter {
  /** The key that was written last. */
  readonly key: { bytes: Buffer; at: number } = { bytes: Buffer.allocUnsafeSlow(1024), at: 0 }
  /** Columns that hold a JSON null, in the value that was measured last: `a3` = the fourth of the row after. */
  jsonNulls = ''
  readonly #source: EnvelopeSource
  readonly #templates = new WeakMap<Table, Template>()
  #template: Template | undefined
  #tail: Tail | undefined

  constructor(source: EnvelopeSource) {
    this.#source = source
  }

  /** Writes the key, as an object. */
  writeKey(cursor: RecordCursor): void {
    const names = this.#templateOf(cursor.table).key
    const { bytes } = cursor.records
    const { key } = this
    const needed = names.reduce((sum, name) => sum + name.length, cursor.end - cursor.keyAt)
    if (key.bytes.length < needed) key.bytes = Buffer.allocUnsafeSlow(2 * needed)
    key.at = 0
    let from = cursor.keyAt + 1
    for (const [at, name] of names.entries()) {
      copyName(name, at === 0, key)
      const to = at === names.length - 1 ? cursor.end - 1 : endOfValue(bytes, from, cursor.end)
      copyBytes(bytes, from, to, key)
      from = to + 1
    }
    key.bytes[key.at++] = closingBrace
  }

  /** How many bytes the value takes; `nowMs` is when it is written. */
  measure(cursor: RecordCursor, nowMs: number): number {
    const template = this.#templateOf(cursor.table)
    this.jsonNulls = ''
    return (
      beforeName.length +
      this.#measureRow(cursor, 'before', template) +
      afterName.length +
      this.#measureRow(cursor, 'after', template) +
      this.#tailOf(template, cursor, nowMs).bytes.length
    )
  }

  /** Writes the value that was measured last. */
  write({ records: { bytes }, beforeAt, afterAt, keyAt }: RecordCursor, into: Writing): void {
    const template = this.#template
    const tail = this.#tail
    if (template === undefined || tail === undefined)
      throw new Error('a value is measured before it is written')
    copyAll(beforeName, into)
    if (beforeAt === afterAt) copyAll(nullText, into)
    else writeRow(bytes, template.before, template.names, into)
    copyAll(afterName, into)
    if (afterAt === keyAt) copyAll(nullText, into)
    else writeRow(bytes, template.after, template.names, into)
    copyAll(tail.bytes, into)
  }

  #measureRow(cursor: RecordCursor, side: 'before' | 'after', template: Template): number {
    const { bytes } = cursor.records
    const [from, to] = side === 'before' ? [cursor.beforeAt, cursor.afterAt] : [cursor.afterAt, cursor.keyAt]
    if (from === to) return nullText.length
    const spans = template[side]
    findCells(bytes, from, to, spans)
    for (const column of template.json)
      if (isNull(bytes, spans[2 * column] ?? absentCell, spans[2 * column + 1] ?? 0))
        this.jsonNulls += `${side.slice(0, 1)}${column},`
    return rowBytes(spans, template.names)
  }

  #tailOf(template: Template, { operation, committedAtMs }: RecordCursor, nowMs: number): Tail {
    const last = this.#tail
    if (
      last?.template === template &&
      last.operation === operation &&
      last.committedAtMs === committedAtMs &&
      last.nowMs === nowMs
    )
      return last
    const snapshot = operation === operations.read ? 'true' : 'false'
    const bytes = Buffer.from(
      `${template.sourceFrom}${committedAtMs},"snapshot":"${snapshot}"${template.sourceTo}"op":"${opName(operation)}","ts_ms":${nowMs},"transaction":null}`,
    )
    return (this.#tail = { template, operation, committedAtMs, nowMs, bytes })
  }

  #templateOf(table: Table): Template {
    if (this.#template?.table === table) return this.#template
    const known = this.#templates.get(table) ?? this.#made(table)
    this.#templates.set(table, known)
    return (this.#template = known)
  }

  #made(table: Table): Template {
    const { version, name } = this.#source
    const [schema = '', ...rest] = table.name.split('.')
    const names = table.columns.map((column) => Buffer.from(`,${memberName(column)}`))
    const where = `"db":${JSON.stringify(schema)},"sequence":null,"table":${JSON.stringify(rest.join('.'))}`
    return {
      table,
      names,
      key: table.key.map((at) => names[at] ?? nothing),
      json: [...table.columns.keys()].filter((at) => table.columns[at]?.kind === 'json'),
      before: new Int32Array(2 * names.length),
      after: new Int32Array(2 * names.length),
      sourceFrom: `,"source":{"version":${JSON.stringify(version)},"connector":"millrace","name":${JSON.stringify(name)},"ts_ms":`,
      sourceTo: `,${where},"server_id":0,"gtid":null,"file":"","pos":0,"row":0},`,
    }
  }
}

/** What `writeRow` writes. */
function rowBytes(spans: Int32Array, names: readonly Buffer[]): number {
  let size = 1
  for (let column = 0; column < names.length; column++) {
    const begin = spans[2 * column] ?? absentCell
    if (begin === absentCell) continue
    size += (names[column] ?? nothing).length
    size += begin === nullCell ? nullText.length : (spans[2 * column + 1] ?? 0) - begin
  }
  // Without any column, both braces stand alone.
  return Math.max(size, 2)
}

/** The cells as an object; those that are absent are left out. */
function writeRow(bytes: Buffer, spans: Int32Array, names: readonly Buffer[], into: Writing): void {
  let isFirst = true
  for (let column = 0; column < names.length; column++) {
    const begin = spans[2 * column] ?? absentCell
    if (begin === absentCell) continue
    copyName(names[column] ?? nothing, isFirst, into)
    isFirst = false
    if (begin === nullCell) copyAll(nullText, into)
    else copyBytes(bytes, begin, spans[2 * column + 1] ?? 0, into)
  }
  if (isFirst) into.bytes[into.at++] = openingBrace
  into.bytes[into.at++] = closingBrace
}

/** The first name stands behind a brace, in the place of its comma. */
function copyName(name: Buffer, isFirst: boolean, into: Writing): void {
  const { at } = into
  copyAll(name, into)
  if (isFirst) into.bytes[at] = openingBrace
}

function copyAll(bytes: Buffer, into: Writing): void {
  into.bytes.set(bytes, into.at)
  into.at += bytes.length
}

const nothing = Buffer.alloc(0)
const openingBrace = 0x7b
const closingBrace = 0x7d
