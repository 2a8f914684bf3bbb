/**
 * The forms that a column's value can take in a document, beside the one that it has in a change event (ARCHITECTURE.md,
 * "Values"). Cells are JSON texts with one character per UTF-8 byte, before and after. Pure.
 *
 * | column                   | its own form          | other forms                                                   |
 * |--------------------------|-----------------------|---------------------------------------------------------------|
 * | integers, BIT            | number                | string; boolean: whether it is not 0                          |
 * | YEAR, FLOAT, DOUBLE      | number                | string                                                        |
 * | DECIMAL                  | string                | number: all digits; scaled: `"12.30"` is 1230                 |
 * | DATE, DATETIME, TIMESTAMP| string                | epoch_millis, epoch_second: numbers, as UTC                   |
 * | TIME                     | string                | seconds: number                                               |
 * | CHAR, VARCHAR, TEXT      | string                | json: the value where the text is JSON, else the string       |
 * | ENUM                     | string: the label     | number: of the label, from 1 on; 0 of an invalid value        |
 * | SET                      | array                 | string: labels with commas between them; number: the bits     |
 * | BINARY, VARBINARY, BLOB  | base64                | hex; uuid: 16 bytes as 8-4-4-4-12, others as base64           |
 * | JSON                     | json                  | string: its text                                              |
 * | VECTOR                   | array                 | string                                                        |
 * | UUID                     | string                | hex                                                           |
 * | geometries               | GeoJSON with its SRID | geojson: without; wkt; wkb: base64, little-endian; x before y |
 */
import type { Column, ColumnKind } from '../change/change.ts'
import { bytesOf } from '../change/row.ts'
import type { Form } from './definition.ts'
import { wellKnownBinary, wellKnownText } from './well-known.ts'

/** Gives a cell that is not NULL another form. */
export type CellForm = (cell: string) => string

/** The forms that a column can have, its own first where that has a name. */
export function formsOf(column: Column): readonly Form[] {
  const names = Object.keys(formsByKind[column.kind]) as readonly Form[]
  return names.filter((name) => {
    if (name === 'uuid') return column.kind !== 'binary' || column.length === uuidBytes
    return name !== 'number' || !isLabelled(column) || areDistinct(column)
  })
}

/** Undefined = the cell stays as it is. A form that the column cannot have leaves it so too. */
export function cellForm(column: Column, form: Form | undefined): CellForm | undefined {
  if (form === undefined || !formsOf(column).includes(form)) return undefined
  if (form === 'number' && isLabelled(column)) return labelNumbers(column)
  const convert = formsByKind[column.kind][form]
  return convert === same ? undefined : convert
}

const uuidBytes = 16

const same: CellForm = (cell) => cell
const quoted: CellForm = (cell) => `"${cell}"`
const unquoted: CellForm = (cell) => cell.slice(1, -1)
const truth: CellForm = (cell) => (cell === '0' ? 'false' : 'true')
/** A JSON text as a JSON string. */
const textOfJson: CellForm = (cell) => JSON.stringify(cell)

const numbers = { number: same, string: quoted, boolean: truth }
const floats = { number: same, string: quoted }
const dates = {
  string: same,
  epoch_millis: (cell: string) => decimalText(epochMicros(cell), 3),
  epoch_second: (cell: string) => decimalText(epochMicros(cell), 6),
}
const texts = { string: same, json: jsonInText }
const binaries = { base64: same, hex: (cell: string) => `"${hexOf(cell)}"`, uuid: uuidText }

const formsByKind: Readonly<Record<ColumnKind, Readonly<Partial<Record<Form, CellForm>>>>> = {
  integer: numbers,
  bit: numbers,
  year: floats,
  float: floats,
  double: floats,
  decimal: { string: same, number: unquoted, scaled },
  date: dates,
  datetime: dates,
  timestamp: dates,
  time: { string: same, seconds },
  string: texts,
  text: texts,
  // The numbers follow from the column's own labels.
  enum: { string: same, number: same },
  set: { array: same, string: labelText, number: same },
  binary: binaries,
  blob: binaries,
  json: { json: same, string: textOfJson },
  vector: { array: same, string: quoted },
  uuid: { string: same, hex: (cell) => cell.replaceAll('-', '') },
  address: { string: same },
  geometry: { geojson: withoutSrid, wkt: wellKnownText, wkb: wellKnownBinary },
}

function scaled(cell: string): string {
  const digits = cell.slice(1, -1).replace('.', '')
  const whole = digits.replace(/^(-?)0+(?=\d)/, '$1')
  return whole === '-0' ? '0' : whole
}

/** Microseconds since 1970 of `"2024-05-31T12:34:56.789Z"`, of which only the day need be there. */
function epochMicros(cell: string): bigint {
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = ''] =
    dateForm.exec(cell) ?? []
  const date = new Date(0)
  // Unlike the constructor, this takes the years before 100 for what they are.
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  date.setUTCHours(Number(hour), Number(minute), Number(second))
  return BigInt(date.getTime()) * 1000n + BigInt(fraction.padEnd(6, '0'))
}

const dateForm = /^"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?/

/** The value with so many digits behind the point, without idle zeroes. */
function decimalText(value: bigint, places: number): string {
  const size = String(value < 0n ? -value : value).padStart(places + 1, '0')
  const fraction = size.slice(-places).replace(/0+$/, '')
  return `${value < 0n ? '-' : ''}${size.slice(0, -places)}${fraction === '' ? '' : `.${fraction}`}`
}

function seconds(cell: string): string {
  const [, sign = '', hour, minute, second, fraction = ''] = timeForm.exec(cell) ?? []
  const whole = Number(hour) * 3600 + Number(minute) * 60 + Number(second)
  const rest = fraction.replace(/0+$/, '')
  return `${sign}${whole}${rest === '' ? '' : `.${rest}`}`
}

const timeForm = /^"(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?"$/

/** Only blanks may be line ends here, and a document has none. */
function jsonInText(cell: string): string {
  const text = String(JSON.parse(cell))
  try {
    JSON.parse(text)
  } catch {
    return cell
  }
  return text.replace(/[\n\r]/g, ' ')
}

function labelText(cell: string): string {
  return JSON.stringify((JSON.parse(cell) as readonly string[]).join(','))
}

function isLabelled({ kind }: Column): boolean {
  return kind === 'enum' || kind === 'set'
}

/** Whether the number follows from the label; the invalid value of an ENUM is shown as an empty one. */
function areDistinct(column: Column): boolean {
  const labels = labelsOf(column)
  const isEmptyTaken = column.kind === 'enum' && labels.includes('')
  return !isEmptyTaken && new Set(labels).size === labels.length
}

function labelNumbers(column: Column): CellForm {
  const labels = labelsOf(column)
  if (column.kind === 'enum') {
    const numberOf = new Map(labels.map((label, at) => [JSON.stringify(label), String(at + 1)]))
    return (cell) => numberOf.get(cell) ?? '0'
  }
  const bits = new Map(labels.map((label, at) => [label, 1n << BigInt(at)]))
  return (cell) => {
    const members = JSON.parse(cell) as readonly string[]
    return String(members.reduce((sum, label) => sum | (bits.get(label) ?? 0n), 0n))
  }
}

/** In order, with one character per byte, as cells have them. */
function labelsOf({ type }: Column): readonly string[] {
  return Array.from(type.matchAll(/'((?:[^']|'')*)'/g), ([, label = '']) =>
    bytesOf(label.replaceAll("''", "'")),
  )
}

function hexOf(cell: string): string {
  return Buffer.from(cell, 'base64').toString('hex')
}

function uuidText(cell: string): string {
  const hex = hexOf(cell)
  if (hex.length !== 2 * uuidBytes) return cell
  return `"${hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}"`
}

function withoutSrid(cell: string): string {
  return cell.replace(/,"srid":\d+\}$/, '}')
}
