/**
 * Changes as JSON for everybody: key and value as Debezium writes them without schemas, our documented forms of values
 * inside. Written from packed rows by copying, and read back into packed rows by the definition of the table: what a
 * row holds comes back to the byte.
 *
 *   key    {"id":42}
 *   value  {"before":{...}|null,"after":{...}|null,"source":{...,"ts_ms":...},"op":"c","ts_ms":...,"transaction":null}
 *
 * An absent column is left out. A JSON null, which is not SQL NULL, looks like one: a header of its own names it.
 */
import type { Column, Key, Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { operations, type RecordCursor, type RecordsBuilder } from '../../change/records.ts'
import { absentCell, findCells, keyCells, nullCell } from '../../change/row.ts'

export interface EnvelopeSource {
  /** Of the program. */
  readonly version: string
  /** Of the source, in the settings. */
  readonly name: string
}

/** As they stand in the `op` of an envelope, by the number of the operation. */
const opNames: Readonly<Record<number, string>> = {
  [operations.insert]: 'c',
  [operations.read]: 'r',
  [operations.update]: 'u',
  [operations.delete]: 'd',
  [operations.touch]: 'touch',
}
const opNumbers = new Map(Object.entries(opNames).map(([number, name]) => [name, Number(number)]))

export function opName(operation: number): string {
  const name = opNames[operation]
  if (name === undefined) throw new Failure('unsupported', `a record has the unknown operation ${operation}`)
  return name
}

/** What is the same in all envelopes of a table. */
interface Template {
  readonly columns: readonly Column[]
  /** `"name":`, with a comma in front where it is not the first. */
  readonly first: readonly Buffer[]
  readonly later: readonly Buffer[]
  readonly key: readonly Buffer[]
  readonly spans: Int32Array
  readonly sourceFrom: Buffer
  readonly sourceTo: Buffer
  readonly hasJson: boolean
}

export class EnvelopeWriter {
  readonly #source: EnvelopeSource
  readonly #templates = new WeakMap<Table, Template>()
  #bytes = Buffer.allocUnsafeSlow(64 * 1024)
  #at = 0
  /** Columns that hold a JSON null, in the value that was written last: `a3` = the fourth of the row after. */
  jsonNulls = ''

  constructor(source: EnvelopeSource) {
    this.#source = source
  }

  /** The key as an object; looked at before the next call. */
  key(cursor: RecordCursor): Buffer {
    const { key } = this.#template(cursor.table)
    const { bytes } = cursor.records
    this.#at = 0
    this.#room(cursor.end - cursor.keyAt + key.reduce((sum, name) => sum + name.length, 2))
    this.#byte(0x7b)
    let from = cursor.keyAt + 1
    for (const [at, name] of key.entries()) {
      if (at > 0) this.#byte(0x2c)
      this.#copy(name)
      const to = at === key.length - 1 ? cursor.end - 1 : endOfValue(bytes, from, cursor.end)
      this.#at += bytes.copy(this.#bytes, this.#at, from, to)
      from = to + 1
    }
    this.#byte(0x7d)
    return this.#bytes.subarray(0, this.#at)
  }

  /** The value; looked at before the next call. `nowMs` is when it is written. */
  value(cursor: RecordCursor, nowMs: number): Buffer {
    const template = this.#template(cursor.table)
    const { operation, beforeAt, afterAt, keyAt, committedAtMs } = cursor
    this.#at = 0
    this.jsonNulls = ''
    this.#text('{"before":')
    this.#row(cursor, template, { side: 'b', from: beforeAt, to: afterAt })
    this.#text(',"after":')
    this.#row(cursor, template, { side: 'a', from: afterAt, to: keyAt })
    this.#room(template.sourceFrom.length + template.sourceTo.length + 200)
    this.#copy(template.sourceFrom)
    const snapshot = operation === operations.read ? 'true' : 'false'
    this.#text(`${committedAtMs},"snapshot":"${snapshot}"`)
    this.#copy(template.sourceTo)
    this.#text(`"op":"${opName(operation)}","ts_ms":${nowMs},"transaction":null}`)
    return this.#bytes.subarray(0, this.#at)
  }

  #row(
    { records: { bytes } }: RecordCursor,
    template: Template,
    { side, from, to }: { readonly side: string; readonly from: number; readonly to: number },
  ): void {
    if (from === to) return this.#text('null')
    const { spans, first, later, columns, hasJson } = template
    findCells(bytes, from, to, spans)
    this.#byte(0x7b)
    let names = first
    for (let column = 0; column < columns.length; column++) {
      const begin = spans[2 * column] ?? absentCell
      if (begin === absentCell) continue
      const end = spans[2 * column + 1] ?? 0
      const name = names[column] ?? nothing
      names = later
      this.#room(name.length + (end - begin) + 6)
      this.#copy(name)
      if (begin === nullCell) this.#text('null')
      else {
        if (hasJson && isNull(bytes, begin, end) && columns[column]?.kind === 'json')
          this.jsonNulls += `${side}${column},`
        this.#at += bytes.copy(this.#bytes, this.#at, begin, end)
      }
    }
    this.#byte(0x7d)
  }

  #template(table: Table): Template {
    const known = this.#templates.get(table)
    if (known !== undefined) return known
    const { version, name } = this.#source
    const [schema = '', ...rest] = table.name.split('.')
    const names = table.columns.map((column) => `${JSON.stringify(column.name)}:`)
    const where = `"db":${JSON.stringify(schema)},"sequence":null,"table":${JSON.stringify(rest.join('.'))}`
    const made: Template = {
      columns: table.columns,
      first: names.map((text) => Buffer.from(text)),
      later: names.map((text) => Buffer.from(`,${text}`)),
      key: table.key.map((at) => Buffer.from(names[at] ?? '')),
      spans: new Int32Array(2 * table.columns.length),
      sourceFrom: Buffer.from(
        `,"source":{"version":${JSON.stringify(version)},"connector":"millrace","name":${JSON.stringify(name)},"ts_ms":`,
      ),
      sourceTo: Buffer.from(`,${where},"server_id":0,"gtid":null,"file":"","pos":0,"row":0},`),
      hasJson: table.columns.some(({ kind }) => kind === 'json'),
    }
    this.#templates.set(table, made)
    return made
  }

  #room(needed: number): void {
    if (this.#at + needed <= this.#bytes.length) return
    const bytes = Buffer.allocUnsafeSlow(Math.max(this.#at + needed, 2 * this.#bytes.length))
    this.#bytes.copy(bytes, 0, 0, this.#at)
    this.#bytes = bytes
  }

  #byte(value: number): void {
    this.#room(1)
    this.#bytes[this.#at++] = value
  }

  #copy(bytes: Buffer): void {
    this.#at += bytes.copy(this.#bytes, this.#at)
  }

  #text(text: string): void {
    this.#room(text.length)
    this.#at += this.#bytes.write(text, this.#at, 'latin1')
  }
}

/** The key of a record of this table, as `EnvelopeWriter.key` writes it. */
export function keyBytes(table: Table, key: Key): Buffer {
  const cells = keyCells(key)
  const members = table.key.map((column, at) => {
    const name = Buffer.from(JSON.stringify(table.columns[column]?.name ?? '')).toString('latin1')
    return `${name}:${cells[at] ?? 'null'}`
  })
  return Buffer.from(`{${members.join(',')}}`, 'latin1')
}

const nothing = Buffer.alloc(0)

/** Reads envelopes of one table into records. */
export class EnvelopeReader {
  readonly table: Table
  readonly #first: readonly Buffer[]
  readonly #later: readonly Buffer[]
  readonly #key: readonly Buffer[]

  constructor(table: Table) {
    this.table = table
    const names = table.columns.map(({ name }) => `${JSON.stringify(name)}:`)
    this.#first = names.map((text) => Buffer.from(text))
    this.#later = names.map((text) => Buffer.from(`,${text}`))
    this.#key = table.key.map((at) => Buffer.from(names[at] ?? ''))
  }

  /** Adds the record; throws a Failure of kind `corrupt` where the bytes are not an envelope of this table. */
  read(
    into: RecordsBuilder,
    key: Buffer,
    value: Buffer,
    { op, jsonNulls }: { readonly op: string; readonly jsonNulls: string },
  ): void {
    const operation = opNumbers.get(op)
    if (operation === undefined) throw this.#corrupt(`has the unknown operation ${op}`)
    into.begin()
    const nulls = jsonNulls === '' ? undefined : new Set(jsonNulls.split(','))
    let at = this.#row(into, value, { at: this.#expect(value, 0, beforeName), side: 'b', nulls })
    const afterAt = into.at
    at = this.#row(into, value, { at: this.#expect(value, at, afterName), side: 'a', nulls })
    const keyAt = into.at
    this.#readKey(into, key)
    into.end(operation, { table: this.table, committedAtMs: this.#committedAtMs(value, at) }, afterAt, keyAt)
  }

  #row(
    into: RecordsBuilder,
    value: Buffer,
    {
      at: from,
      side,
      nulls,
    }: { readonly at: number; readonly side: string; readonly nulls: Set<string> | undefined },
  ): number {
    if (value[from] === 0x6e) return this.#expect(value, from, nullText)
    if (value[from] !== 0x7b) throw this.#corrupt('has a row that is no object')
    let at = from + 1
    let names = this.#first
    for (let column = 0; column < names.length; column++) {
      const name = names[column] ?? nothing
      if (!startsWith(value, at, name)) {
        into.room(1)[into.at++] = 1
        continue
      }
      names = this.#later
      const begin = at + name.length
      at = endOfValue(value, begin, value.length)
      const isSqlNull = isNull(value, begin, at) && nulls?.has(`${side}${column}`) !== true
      if (isSqlNull) into.room(1)[into.at++] = 0
      else writeCell(into, value, begin, at)
    }
    if (value[at] !== 0x7d) throw this.#corrupt('has a column that its definition lacks')
    return at + 1
  }

  #readKey(into: RecordsBuilder, key: Buffer): void {
    const bytes = into.room(key.length + 2)
    bytes[into.at++] = 0x5b
    let at = 1
    for (const [number, name] of this.#key.entries()) {
      if (number > 0) {
        bytes[into.at++] = 0x2c
        at++
      }
      if (!startsWith(key, at, name)) throw this.#corrupt('has a key of other columns')
      const begin = at + name.length
      at = number === this.#key.length - 1 ? key.length - 1 : endOfValue(key, begin, key.length)
      into.at += key.copy(bytes, into.at, begin, at)
    }
    bytes[into.at++] = 0x5d
  }

  #committedAtMs(value: Buffer, from: number): number {
    const at = value.indexOf(timeName, from)
    if (at < 0) throw this.#corrupt('has no time')
    let time = 0
    for (let digit = at + timeName.length; ; digit++) {
      const code = (value[digit] ?? 0) - 0x30
      if (code < 0 || code > 9) return time
      time = 10 * time + code
    }
  }

  #expect(value: Buffer, at: number, text: Buffer): number {
    if (!startsWith(value, at, text)) throw this.#corrupt(`lacks ${text.toString()} at byte ${at}`)
    return at + text.length
  }

  #corrupt(what: string): Failure {
    return new Failure('corrupt', `a record of ${this.table.name} ${what}`, {
      remedy:
        'nothing but millrace may write to the topics of its log: find out what did, then reload the pipelines',
    })
  }
}

const beforeName = Buffer.from('{"before":')
const afterName = Buffer.from(',"after":')
const nullText = Buffer.from('null')
const timeName = Buffer.from('"ts_ms":')

function writeCell(into: RecordsBuilder, value: Buffer, from: number, to: number): void {
  const bytes = into.room(to - from + 6)
  let code = to - from + 2
  for (; code > 127; code = Math.floor(code / 128)) bytes[into.at++] = (code & 127) | 128
  bytes[into.at++] = code
  into.at += value.copy(bytes, into.at, from, to)
}

function isNull(bytes: Buffer, from: number, to: number): boolean {
  return to - from === 4 && bytes[from] === 0x6e
}

function startsWith(bytes: Buffer, at: number, text: Buffer): boolean {
  if (at + text.length > bytes.length) return false
  for (let index = 0; index < text.length; index++) if (bytes[at + index] !== text[index]) return false
  return true
}

/** Where the JSON value that begins at `from` ends. */
function endOfValue(bytes: Buffer, from: number, end: number): number {
  let depth = 0
  for (let at = from; at < end; at++) {
    const sign = bytes[at]
    if (sign === 0x22) {
      at = endOfString(bytes, at)
    } else if (sign === 0x7b || sign === 0x5b) depth++
    else if (sign === 0x2c && depth === 0) return at
    else if (sign === 0x7d || sign === 0x5d) {
      if (depth === 0) return at
      depth--
    }
  }
  return end
}

/** At the closing quote of the string whose opening one is at `from`. */
function endOfString(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(0x22, from + 1); at >= 0; at = bytes.indexOf(0x22, at + 1)) {
    let slashes = 0
    while (bytes[at - 1 - slashes] === 0x5c) slashes++
    if (slashes % 2 === 0) return at
  }
  return bytes.length
}
