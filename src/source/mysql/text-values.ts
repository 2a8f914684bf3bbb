/** The cells of a query's answer: the same JSON texts that values.ts makes of a row image. */
import { Failure } from '../../change/failure.ts'
import type { ColumnType } from './column-type.ts'
import { labelTexts } from './row-code.ts'
import { binaryCell, doubleCell, floatCell, setCell, textCell, vectorCell } from './values.ts'

/** Makes a cell of the server's text for a value that is not NULL, a character a byte. */
export type TextFormat = (bytes: string) => string

/**
 * What to select so that nothing is lost: the server shows a FLOAT with six digits only, and a DOUBLE(m,d) with d; labels
 * of a SET may be empty. `name` is quoted already.
 */
export function selected(name: string, type: ColumnType): string {
  switch (type.kind) {
    case 'float':
    case 'double':
      return `${name} * 1e0`
    case 'set':
    case 'bit':
      return `CAST(${name} AS UNSIGNED)`
    default:
      return name
  }
}

export function formatOf(type: ColumnType): TextFormat {
  switch (type.kind) {
    case 'integer':
    case 'year':
      return integerText
    case 'decimal':
      return (text) => `"${withoutZeroes(text)}"`
    case 'float':
      return (text) => floatCell(Math.fround(Number(text)))
    case 'double':
      return (text) => doubleCell(Number(text))
    case 'datetime':
      return (text) => `"${text.replace(' ', 'T')}"`
    case 'timestamp':
      return (text) => `"${text.replace(' ', 'T')}Z"`
    case 'date':
    case 'time':
      return (text) => `"${text}"`
    case 'string':
    case 'text':
    case 'enum':
      return textCell
    case 'set': {
      const labels = labelTexts(type.labels)
      return (text) => setCell(BigInt(text), labels)
    }
    case 'binary':
    case 'blob':
      return (text) => binaryCell(Buffer.from(text, 'latin1'), 0, text.length, 0)
    case 'vector':
      return (text) => vectorCell(Buffer.from(text, 'latin1'), 0, text.length)
    case 'bit':
    case 'json':
      return (text) => text
  }
}

/** A value of a key as SQL: digits stand in the statement, all else is a parameter. */
export interface KeyValue {
  readonly sql: string
  readonly parameters: readonly (string | Buffer)[]
}

/**
 * The value of a key column, from its JSON: numbers as their digits, so that none is rounded. Enums and sets compare as
 * the numbers by which the server sorts them. Throws a Failure, `corrupt`, for what the column cannot hold.
 */
export function keyValue(type: ColumnType, value: unknown): KeyValue {
  switch (type.kind) {
    case 'integer':
    case 'year':
    case 'bit':
    case 'double':
      return digits(value)
    case 'float':
      // The server compares the float's exact value, of which the shortest text is only a short form.
      return digits(String(Math.fround(Number(value))))
    case 'decimal':
      return digits(value)
    case 'enum':
      return digits(String(value === '' && !type.labels.includes('') ? 0 : labelNumber(type.labels, value)))
    case 'set': {
      const members = Array.isArray(value) ? value : []
      const mask = members.reduce((sum: bigint, label) => sum | (1n << BigInt(labelNumber(type.labels, label) - 1)), 0n)
      return digits(String(mask))
    }
    case 'binary':
    case 'blob':
    case 'vector':
      return { sql: '?', parameters: [Buffer.from(String(value), 'base64')] }
    case 'datetime':
    case 'timestamp':
      return { sql: '?', parameters: [String(value).replace('T', ' ').replace('Z', '')] }
    default:
      return { sql: '?', parameters: [String(value)] }
  }
}

function labelNumber(labels: readonly string[], label: unknown): number {
  const index = labels.findIndex((candidate) => candidate === label)
  if (index === -1) throw new Failure('corrupt', 'a key holds a label that its column does not have')
  return index + 1
}

/** Only what is a number becomes part of a statement. */
function digits(value: unknown): KeyValue {
  const text = String(value)
  if (!/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) throw new Failure('corrupt', 'a key holds no number where its column does')
  return { sql: text, parameters: [] }
}

/** ZEROFILL is a way of showing only. */
function integerText(text: string): string {
  return withoutZeroes(text)
}

function withoutZeroes(text: string): string {
  return text.charCodeAt(0) === 48 && text.length > 1 ? text.replace(/^0+(?=\d)/, '') : text
}
