/** The cells of a query's answer: the same JSON texts that values.ts makes of a row image. */
import { Failure } from '../../../change/failure.ts'
import { byKind, type ByKind, type ColumnType } from './column-type.ts'
import { enumCell, enumCells, refusesNumbers } from './enum-labels.ts'
import { geometryCell } from './geometry.ts'
import { labelTexts } from './row-code.ts'
import { binaryCell, doubleCell, floatCell, setCell, textCell, vectorCell } from './values.ts'

/** Makes a cell of the server's text for a value that is not NULL, a character a byte. */
export type TextFormat = (bytes: string) => string

/** What to select so that nothing is lost; `name` is quoted already. */
export function selected(name: string, type: ColumnType): string {
  // The server shows a FLOAT with six digits only, and a DOUBLE(m,d) with d.
  if (type.kind === 'float' || type.kind === 'double') return `${name} * 1e0`
  // The text of a SET would not tell an empty label from none, nor that of an ENUM which number it is of.
  const isNumber = type.kind === 'enum' && refusesNumbers(type)
  if (isNumber || type.kind === 'set' || type.kind === 'bit') return `CAST(${name} AS UNSIGNED)`
  return name
}

export function formatOf(type: ColumnType): TextFormat {
  return byKind(formats, type)
}

/**
 * How a cell may come of a value's bytes without a string: `digits` are the cell, unless they begin with a zero of several;
 * `characters` are, in quotes, if all are ASCII without escapes. undefined = not at all; a mask, for one, has none.
 */
export type Shortcut = 'digits' | 'characters' | undefined

export function shortcutOf(format: TextFormat): Shortcut {
  if (format === withoutZeroes) return 'digits'
  return format === textCell ? 'characters' : undefined
}

const same = (): TextFormat => (text) => text
const characters = (): TextFormat => textCell
const base64 = (): TextFormat => (text) => binaryCell(Buffer.from(text, 'latin1'), 0, text.length, 0)

/** MySQL 5.7 breaks the lines of bytes in base64 without escaping the breaks. */
const jsonText = (): TextFormat => (text) => (text.includes('\n') ? text.replaceAll('\n', '\\n') : text)

const formats: ByKind<TextFormat> = {
  integer: () => withoutZeroes,
  year: () => withoutZeroes,
  decimal: () => (text) => `"${withoutZeroes(text)}"`,
  float: () => (text) => floatCell(Math.fround(Number(text))),
  double: () => (text) => doubleCell(Number(text)),
  bit: same,
  json: jsonText,
  date: characters,
  time: characters,
  datetime: () => (text) => `"${text.replace(' ', 'T')}"`,
  timestamp: () => (text) => `"${text.replace(' ', 'T')}Z"`,
  string: characters,
  text: characters,
  enum: (type) => {
    if (!refusesNumbers(type)) return textCell
    const cells = enumCells(type)
    return (text) => enumCell(Number(text), cells)
  },
  binary: base64,
  blob: base64,
  set: ({ labels }) => {
    const texts = labelTexts(labels)
    return (text) => setCell(BigInt(text), texts)
  },
  vector: () => (text) => vectorCell(Buffer.from(text, 'latin1'), 0, text.length),
  geometry: () => (text) => geometryCell(Buffer.from(text, 'latin1'), 0, text.length),
  uuid: characters,
  address: characters,
}

/** ZEROFILL is a way of showing only. */
function withoutZeroes(text: string): string {
  return text.charCodeAt(0) === 48 && text.length > 1 ? text.replace(/^0+(?=\d)/, '') : text
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
  return byKind(keyValues, type)(value)
}

type ToSql = (value: unknown) => KeyValue

const asDigits = (): ToSql => digits
const asText = (): ToSql => (value) => parameter(wordOf(value))
const asBytes = (): ToSql => (value) => parameter(Buffer.from(wordOf(value), 'base64'))
const asMoment = (): ToSql => (value) => parameter(wordOf(value).replace('T', ' ').replace('Z', ''))

const keyValues: ByKind<ToSql> = {
  integer: asDigits,
  decimal: asDigits,
  // The server compares the float's exact value, of which the shortest text is only a short form.
  float: () => (value) => digits(Math.fround(Number(value))),
  double: asDigits,
  bit: asDigits,
  year: asDigits,
  date: asText,
  time: asText,
  datetime: asMoment,
  timestamp: asMoment,
  json: asText,
  string: asText,
  text: asText,
  binary: asBytes,
  blob: asBytes,
  vector: asBytes,
  geometry: asBytes,
  uuid: asText,
  address: asText,
  enum:
    ({ labels }) =>
    (value) =>
      digits(value === '' && !labels.includes('') ? 0 : labelNumber(labels, value)),
  set:
    ({ labels }) =>
    (value) => {
      const members: readonly unknown[] = Array.isArray(value) ? value : []
      return digits(
        members.reduce((sum: bigint, label) => sum | (1n << BigInt(labelNumber(labels, label) - 1)), 0n),
      )
    },
}

function parameter(value: string | Buffer): KeyValue {
  return { sql: '?', parameters: [value] }
}

function labelNumber(labels: readonly string[], label: unknown): number {
  const index = labels.findIndex((candidate) => candidate === label)
  if (index === -1) throw new Failure('corrupt', 'a key holds a label that its column does not have')
  return index + 1
}

/** Only what is a number becomes part of a statement. */
function digits(value: unknown): KeyValue {
  const text = wordOf(value)
  if (!/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text))
    throw new Failure('corrupt', 'a key holds no number where its column does')
  return { sql: text, parameters: [] }
}

function wordOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint') return value.toString()
  throw new Failure('corrupt', `a key holds a ${typeof value}`)
}
