/** Reads envelopes (envelope.ts) of one table into records, by copying. */
import { copyBytes } from '../../change/bytes.ts'
import type { Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import type { RecordsBuilder } from '../../change/records.ts'
import { afterName, beforeName, endOfValue, isNull, memberName, nullText, opNumber } from './envelope.ts'

/** Where a key and a value lie. */
export interface EnvelopePlace {
  readonly bytes: Buffer
  readonly keyAt: number
  readonly keyEnd: number
  readonly valueAt: number
  readonly valueEnd: number
}

export class EnvelopeReader {
  readonly table: Table
  /** Of all columns, each behind a comma. */
  readonly #names: readonly Buffer[]
  readonly #key: readonly Buffer[]
  /** What is read: up to `#end`, and `#at` comes next. */
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0
  /** How far the time stood behind the rows in the value before. */
  #timeDistance = 0

  constructor(table: Table) {
    this.table = table
    this.#names = table.columns.map((column) => Buffer.from(`,${memberName(column)}`))
    this.#key = table.key.map((at) => this.#names[at] ?? nothing)
  }

  /** Adds the record; throws a Failure of kind `corrupt` where the bytes are not an envelope of this table. */
  read(
    into: RecordsBuilder,
    place: EnvelopePlace,
    { op, jsonNulls }: { readonly op: string; readonly jsonNulls: string },
  ): void {
    const operation = opNumber(op)
    if (operation === undefined) throw this.#corrupt(`has the unknown operation ${op}`)
    if (place.valueEnd < place.valueAt) throw this.#corrupt('has no value')
    const nulls = jsonNulls === '' ? noNulls : new Set(jsonNulls.split(','))
    this.#bytes = place.bytes
    this.#at = place.valueAt
    this.#end = place.valueEnd
    into.begin()
    // A name takes more bytes than the length that a cell has instead, and a column that is absent takes one.
    into.room(place.valueEnd - place.valueAt + place.keyEnd - place.keyAt + 2 * this.#names.length)
    this.#expect(beforeName)
    this.#row(into, nulls, 'b')
    const afterAt = into.at
    this.#expect(afterName)
    this.#row(into, nulls, 'a')
    const keyAt = into.at
    const committedAtMs = this.#time()
    this.#at = place.keyAt
    this.#end = place.keyEnd
    this.#readKey(into)
    into.end(operation, { table: this.table, committedAtMs }, afterAt, keyAt)
  }

  #row(into: RecordsBuilder, nulls: ReadonlySet<string>, side: string): void {
    const bytes = this.#bytes
    if (bytes[this.#at] === nullText[0]) return this.#expect(nullText)
    if (bytes[this.#at] !== openingBrace) throw this.#corrupt('has a row that is no object')
    const from = this.#at
    if (bytes[from + 1] === closingBrace) this.#at++
    for (let column = 0; column < this.#names.length; column++) {
      const name = this.#names[column] ?? nothing
      // The first one stands behind a brace.
      if (!this.#isNext(name, this.#at === from ? openingBrace : comma)) {
        into.bytes[into.at++] = absentCode
        continue
      }
      const begin = this.#at + name.length
      this.#at = endOfValue(bytes, begin, this.#end)
      if (isNull(bytes, begin, this.#at) && !nulls.has(`${side}${column}`)) into.bytes[into.at++] = nullCode
      else writeCell(into, bytes, begin, this.#at)
    }
    if (bytes[this.#at++] !== closingBrace) throw this.#corrupt('has a column that its definition lacks')
  }

  #readKey(into: RecordsBuilder): void {
    for (const [number, name] of this.#key.entries()) {
      into.bytes[into.at++] = number === 0 ? openingBracket : comma
      if (!this.#isNext(name, number === 0 ? openingBrace : comma))
        throw this.#corrupt('has a key of other columns')
      const begin = this.#at + name.length
      this.#at = endOfValue(this.#bytes, begin, this.#end)
      copyBytes(this.#bytes, begin, this.#at, into)
    }
    if (this.#bytes[this.#at++] !== closingBrace || this.#at !== this.#end)
      throw this.#corrupt('has a key of other columns')
    into.bytes[into.at++] = closingBracket
  }

  /** When it was committed. */
  #time(): number {
    const from = this.#at
    this.#at += this.#timeDistance
    if (!this.#isNext(timeName, timeName[0])) {
      this.#at = this.#bytes.indexOf(timeName, from)
      if (this.#at < 0 || this.#at >= this.#end) throw this.#corrupt('has no time')
      this.#timeDistance = this.#at - from
    }
    let time = 0
    for (let digit = this.#at + timeName.length; ; digit++) {
      const code = (this.#bytes[digit] ?? 0) - 0x30
      if (code < 0 || code > 9) return time
      time = 10 * time + code
    }
  }

  #expect(text: Buffer): void {
    if (!this.#isNext(text, text[0])) throw this.#corrupt(`lacks ${text.toString()}`)
    this.#at += text.length
  }

  /** Whether this byte comes next, and then all but the first one of the text. */
  #isNext(text: Buffer, first: number | undefined): boolean {
    const bytes = this.#bytes
    const at = this.#at
    if (at + text.length > this.#end || bytes[at] !== first) return false
    for (let index = 1; index < text.length; index++) if (bytes[at + index] !== text[index]) return false
    return true
  }

  #corrupt(what: string): Failure {
    return new Failure('corrupt', `a record of ${this.table.name} ${what}`, {
      remedy:
        'nothing but millrace may write to the topics of its log: find out what did, then reload the pipelines',
    })
  }
}

const noNulls: ReadonlySet<string> = new Set()
const timeName = Buffer.from('"ts_ms":')
const nothing = Buffer.alloc(0)
const openingBrace = 0x7b
const closingBrace = 0x7d
const openingBracket = 0x5b
const closingBracket = 0x5d
const comma = 0x2c
/** Of cells (change/row.ts). */
const nullCode = 0
const absentCode = 1

function writeCell(into: RecordsBuilder, value: Buffer, from: number, to: number): void {
  let code = to - from + 2
  for (; code > 127; code = Math.floor(code / 128)) into.bytes[into.at++] = (code & 127) | 128
  into.bytes[into.at++] = code
  copyBytes(value, from, to, into)
}
