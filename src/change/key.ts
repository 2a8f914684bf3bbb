/**
 * Keys that people and programs name, in the very bytes that captured changes of the row bear: otherwise a key would go to
 * another lane, past the order of its row's changes.
 */
import type { Column, Key, Table } from './change.ts'
import { parseDigits } from './exact-json.ts'
import { Failure } from './failure.ts'
import { bytesOf } from './row.ts'

/**
 * A key from the text of a JSON array of its values, or, where it has one value, from that value alone, quoted or not:
 * `["de",7]`, `[42]`, `42`, `2026-11-22 10:00:00`. Throws a Failure of kind `configuration` that says what is wrong.
 *
 * What only the server can decide, such as whether it takes two spellings for the same text, is left as it is.
 */
export function keyFrom(table: Table, text: string): Key {
  const values = valuesOf(text.trim())
  const columns = table.key.map((at) => table.columns[at])
  if (values.length !== columns.length) {
    const names = columns.map((column) => column?.name).join(', ')
    const count = values.length === 1 ? '1 value' : `${values.length} values`
    throw malformed(`${count}, but the key of ${table.name} is ${names}`)
  }
  const cells = columns.map((column, at) => {
    if (column === undefined) throw new Error(`${table.name}: its key names a column that it lacks`)
    return cellOf(column, values[at])
  })
  return `[${cells.join(',')}]` as Key
}

/** Numbers come as the text that they are: parsed ones would lose digits. */
function valuesOf(text: string): readonly unknown[] {
  if (text === '') throw malformed('nothing is there')
  if (!text.startsWith('[') && !text.startsWith('"')) return [text]
  let value: unknown
  try {
    value = parseDigits(text)
  } catch {
    throw malformed(`${short(text)} is not JSON`)
  }
  return Array.isArray(value) ? value : [value]
}

/** The cell as both ways of reading rows make it (ARCHITECTURE.md, "Values"). */
function cellOf(column: Column, value: unknown): string {
  if (column.kind === 'set') return labelsOf(column, value)
  if (typeof value !== 'string')
    throw malformed(`${column.name} (${column.type}) is ${short(JSON.stringify(value))}`)
  const cell = writers[column.kind]?.(value, column)
  if (cell === undefined) throw malformed(`${column.name} (${column.type}) is ${short(value)}`)
  return cell
}

type Writer = (text: string, column: Column) => string | undefined

const quoted: Writer = (text) => bytesOf(JSON.stringify(text))
const bytes: Writer = (text, { type, length = 0 }) => {
  const decoded = Buffer.from(text, 'base64')
  if (decoded.toString('base64').replaceAll('=', '') !== text.replaceAll('=', '')) return undefined
  const padded = type.startsWith('binary(') ? Math.max(0, length - decoded.length) : 0
  return `"${Buffer.concat([decoded, Buffer.alloc(padded)]).toString('base64')}"`
}

/** undefined = the column holds no such value. What has no entry is never part of a key. */
const writers: Partial<Record<Column['kind'], Writer>> = {
  integer,
  bit: integer,
  year: integer,
  decimal,
  float: number,
  double: number,
  date: (text) => (/^\d{4}-\d\d-\d\d$/.test(text) ? `"${text}"` : undefined),
  datetime: moment,
  timestamp: moment,
  time: (text, { precision }) => {
    const [, clock, fraction] = /^(-?\d{2,3}:\d\d:\d\d)(?:\.(\d{1,6}))?$/.exec(text) ?? []
    const digits = fractionOf(fraction, precision)
    return clock === undefined || digits === undefined ? undefined : `"${clock}${digits}"`
  },
  string: quoted,
  text: quoted,
  enum: quoted,
  binary: bytes,
  blob: bytes,
  uuid: (text) => `"${bytesOf(text.toLowerCase())}"`,
  address: (text) => `"${bytesOf(text.toLowerCase())}"`,
}

function integer(text: string, { unsigned, kind }: Column): string | undefined {
  if (!/^-?\d{1,40}$/.test(text)) return undefined
  const value = BigInt(text)
  const isNegative = value < 0n
  return isNegative && (unsigned === true || kind !== 'integer') ? undefined : String(value)
}

/** As many digits behind the point as the column has; others must be zeroes. */
function decimal(text: string, { scale = 0 }: Column): string | undefined {
  const [, sign, whole, fraction] = /^(-?)0*(\d+?)(?:\.(\d*))?$/.exec(text) ?? []
  if (whole === undefined) return undefined
  const digits = fractionOf(fraction, scale)
  if (digits === undefined) return undefined
  const size = whole + digits
  return `"${/[1-9]/.test(size) ? sign : ''}${size}"`
}

function number(text: string): string | undefined {
  const value = Number(text)
  return text.trim() === '' || !Number.isFinite(value) ? undefined : String(value)
}

function moment(text: string, { kind, precision }: Column): string | undefined {
  const form = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z?)$/
  const [, day, clock, fraction, zone] = form.exec(text) ?? []
  const digits = fractionOf(fraction, precision)
  if (clock === undefined || digits === undefined || (zone === 'Z' && kind === 'datetime')) return undefined
  return `"${day}T${clock}${digits}${kind === 'timestamp' ? 'Z' : ''}"`
}

/** The point and so many digits; undefined = there are more that count. */
function fractionOf(fraction = '', digits = 0): string | undefined {
  if (/[1-9]/.test(fraction.slice(digits))) return undefined
  return digits === 0 ? '' : `.${fraction.slice(0, digits).padEnd(digits, '0')}`
}

function labelsOf({ name, type }: Column, value: unknown): string {
  const labels: unknown[] | undefined = Array.isArray(value) ? value : undefined
  if (labels === undefined || labels.some((label) => typeof label !== 'string'))
    throw malformed(`${name} (${type}) is an array of labels, not ${short(JSON.stringify(value))}`)
  return bytesOf(JSON.stringify(labels))
}

function malformed(why: string): Failure {
  return new Failure('configuration', why, {
    remedy: 'write a key as a JSON array of its values in the order of the key: [42] or ["de",7]',
  })
}

function short(text: string | undefined): string {
  return text === undefined || text.length <= 80 ? `${text}` : `${text.slice(0, 80)}…`
}
