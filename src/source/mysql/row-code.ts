/** For each kind of column, the expression that makes its cell in a compiled decoder (row-decoder.ts). */
import { Failure } from '../../change/failure.ts'
import { bytesOf } from '../../change/row.ts'
import { charsetOf, decoderOf, holdsAscii, type TextDecode } from './charset.ts'
import type { ColumnType } from './column-type.ts'
import { jsonCell } from './json.ts'
import {
  binaryCell,
  bitCell,
  dateCell,
  datetimeCell,
  decimalCell,
  decodedCell,
  doubleCell,
  floatCell,
  oldDatetimeCell,
  oldTimeCell,
  oldTimestampCell,
  setCell,
  signed64Cell,
  textCell,
  timeCell,
  timestampCell,
  unsigned64Cell,
  vectorCell,
} from './values.ts'
import { CODE, type WireColumn } from './wire-column.ts'

/** What generated code may call. */
export const helpers = {
  binaryCell,
  bitCell,
  dateCell,
  datetimeCell,
  decimalCell,
  doubleCell,
  floatCell,
  foreignCell,
  jsonCell,
  labelCell,
  oldDatetimeCell,
  oldTimeCell,
  oldTimestampCell,
  signed64Cell,
  textCell,
  timeCell,
  timestampCell,
  unsigned64Cell,
  labelsCell,
  vectorCell,
}

/** Text of another character set: `plain` = its ASCII is ASCII. */
interface Foreign {
  readonly decode: TextDecode
  readonly plain: boolean
}

/** What the value's expression needs beyond numbers: labels as JSON texts, or the decoder of a character set. */
export function parameterOf(type: ColumnType, collation: number | undefined): readonly string[] | Foreign | undefined {
  if (type.kind === 'enum') return ['""', ...labelTexts(type.labels)]
  if (type.kind === 'set') return labelTexts(type.labels)
  if (type.kind !== 'string' && type.kind !== 'text') return undefined
  const charset = charsetOf(collation ?? 0) ?? 'utf8mb4'
  const decode = decoderOf(charset)
  return decode === undefined ? undefined : { decode, plain: holdsAscii(charset) }
}

/** JSON texts of labels, one character per byte. */
export function labelTexts(labels: readonly string[]): readonly string[] {
  return labels.map((label) => JSON.stringify(bytesOf(label)))
}

/** An expression over `body`, `text`, `at` and `size`; the column's parameter is `parameters[index]`. */
export function valueCode(
  type: ColumnType,
  { column, collation }: { readonly column: WireColumn; readonly collation: number | undefined },
  index: number,
): string {
  switch (type.kind) {
    case 'integer':
      return integerCode(type.bytes, type.unsigned)
    case 'decimal':
      return `decimalCell(body, at, ${type.precision}, ${type.scale})`
    case 'float':
      return 'floatCell(body.readFloatLE(at))'
    case 'double':
      return 'doubleCell(body.readDoubleLE(at))'
    case 'bit':
      return `bitCell(body, at, ${(type.bits + 7) >> 3})`
    case 'year':
      return "(body[at] === 0 ? '0' : '' + (body[at] + 1900))"
    case 'enum':
      return `labelCell(${unsignedCode(column.metadata)}, parameters[${index}])`
    case 'set':
      return `labelsCell(body, at, ${column.metadata}, parameters[${index}])`
    case 'json':
      return 'jsonCell(body, at, at + size)'
    case 'binary':
      return `binaryCell(body, at, at + size, ${type.fixed ? type.bytes : 0})`
    case 'blob':
      return 'binaryCell(body, at, at + size, 0)'
    case 'vector':
      return 'vectorCell(body, at, at + size)'
    case 'string':
    case 'text':
      return parameterOf(type, collation) === undefined
        ? 'textCell(text.slice(at, at + size))'
        : `foreignCell(body, text.slice(at, at + size), at, parameters[${index}])`
    default:
      return temporalCode(column.code, column.metadata)
  }
}

function temporalCode(code: number, digits: number): string {
  switch (code) {
    case CODE.timestamp2:
      return `timestampCell(body, at, ${digits})`
    case CODE.datetime2:
      return `datetimeCell(body, at, ${digits})`
    case CODE.time2:
      return `timeCell(body, at, ${digits})`
    case CODE.timestamp:
      return 'oldTimestampCell(body, at)'
    case CODE.datetime:
      return 'oldDatetimeCell(body, at)'
    case CODE.time:
      return 'oldTimeCell(body, at)'
    default:
      return 'dateCell(body, at)'
  }
}

function integerCode(bytes: number, unsigned: boolean): string {
  if (bytes === 8) return unsigned ? 'unsigned64Cell(body, at)' : 'signed64Cell(body, at)'
  if (unsigned) return `'' + (${unsignedCode(bytes)})`
  // The sign is carried up by moving the value to the top of 32 bits and back.
  const shift = 32 - 8 * bytes
  return `'' + ((${unsignedCode(bytes)}) << ${shift} >> ${shift})`
}

function unsignedCode(bytes: number): string {
  const parts = ['body[at]', 'body[at + 1] << 8', 'body[at + 2] << 16', 'body[at + 3] << 24']
  const value = parts.slice(0, bytes).join(' | ')
  return bytes === 4 ? `(${value}) >>> 0` : value
}

function labelCell(index: number, labels: readonly string[]): string {
  const label = labels[index]
  if (label === undefined) throw new Failure('corrupt', `an ENUM has ${labels.length - 1} labels, a row has number ${index}`)
  return label
}

function labelsCell(body: Buffer, at: number, bytes: number, labels: readonly string[]): string {
  return setCell(bytes === 8 ? body.readBigUInt64LE(at) : BigInt(body.readUIntLE(at, bytes)), labels)
}

function foreignCell(body: Buffer, bytes: string, at: number, foreign: Foreign): string {
  if (foreign.plain && !/[^ !#-[\]-\x7f]/.test(bytes)) return '"' + bytes + '"'
  return decodedCell(body.subarray(at, at + bytes.length), foreign.decode)
}
