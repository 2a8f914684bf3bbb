/** For each kind of column, the expression that makes its cell in a compiled decoder (row-decoder.ts). */
import { bytesOf } from '../../../change/row.ts'
import { charsetOf, decoderOf, holdsAscii, type TextDecode } from './charset.ts'
import { byKind, type ByKind, type ColumnType } from './column-type.ts'
import { uncompressed } from './compressed-column.ts'
import { enumCell, enumCells, type EnumCells } from './enum-labels.ts'
import { addressCell, uuidCell } from './fixed-bytes.ts'
import { geometryCell } from './geometry.ts'
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
import { CODE, isCompressed, type WireColumn } from './wire-column.ts'

/** What generated code may call. */
export const helpers = {
  addressCell,
  binaryCell,
  bitCell,
  dateCell,
  datetimeCell,
  decimalCell,
  doubleCell,
  enumCell,
  floatCell,
  foreignCell,
  geometryCell,
  jsonCell,
  oldDatetimeCell,
  oldTimeCell,
  oldTimestampCell,
  signed64Cell,
  textCell,
  timeCell,
  timestampCell,
  unsigned64Cell,
  labelsCell,
  uncompressedBinaryCell,
  uncompressedTextCell,
  uuidCell,
  vectorCell,
}

/** Text of another character set: `plain` = its ASCII is ASCII. */
interface Foreign {
  readonly decode: TextDecode
  readonly plain: boolean
}

/** What the value's expression needs beyond numbers: labels as JSON texts, or the decoder of a character set. */
export function parameterOf(
  type: ColumnType,
  collation: number | undefined,
): EnumCells | readonly string[] | Foreign | undefined {
  if (type.kind === 'enum') return enumCells(type)
  if (type.kind === 'set') return labelTexts(type.labels)
  const charset = charsetOf(collation ?? 0) ?? 'utf8mb4'
  const decode = decoderOf(charset)
  return decode === undefined ? undefined : { decode, plain: holdsAscii(charset) }
}

/** JSON texts of a SET's labels, one character per byte. */
export function labelTexts(labels: readonly string[]): readonly string[] {
  return labels.map((label) => JSON.stringify(bytesOf(label)))
}

/** An expression over `body`, `at` and `size`; the column's parameter is `parameters[index]`. */
export function valueCode(type: ColumnType, plan: ValuePlan, index: number): string {
  if (isCompressed(plan.column))
    return type.kind === 'binary' || type.kind === 'blob'
      ? 'uncompressedBinaryCell(body, at, at + size)'
      : `uncompressedTextCell(body, at, at + size, parameters[${index}])`
  return byKind(codes(plan, index), type)
}

/** What a value's expression depends on besides its type. */
interface ValuePlan {
  readonly column: WireColumn
  readonly collation: number | undefined
}

function codes({ column, collation }: ValuePlan, index: number): ByKind<string> {
  const temporal = (): string => temporalCode(column.code, column.metadata)
  const isForeign = decoderOf(charsetOf(collation ?? 0) ?? 'utf8mb4') !== undefined
  const text = (): string =>
    isForeign
      ? `foreignCell(body, body.latin1Slice(at, at + size), at, parameters[${index}])`
      : 'textCell(body.latin1Slice(at, at + size))'
  return {
    integer: ({ bytes, unsigned }) => integerCode(bytes, unsigned),
    decimal: ({ precision, scale }) => `decimalCell(body, at, ${precision}, ${scale})`,
    float: () => 'floatCell(body.readFloatLE(at))',
    double: () => 'doubleCell(body.readDoubleLE(at))',
    bit: ({ bits }) => `bitCell(body, at, ${(bits + 7) >> 3})`,
    year: () => "(body[at] === 0 ? '0' : '' + (body[at] + 1900))",
    date: temporal,
    datetime: temporal,
    timestamp: temporal,
    time: temporal,
    json: ({ bareDoubles = false }) => `jsonCell(body, at, at + size${bareDoubles ? ', true' : ''})`,
    string: text,
    text,
    binary: ({ fixed, bytes }) => `binaryCell(body, at, at + size, ${fixed ? bytes : 0})`,
    blob: () => 'binaryCell(body, at, at + size, 0)',
    enum: () => `enumCell(${unsignedCode(column.metadata)}, parameters[${index}])`,
    set: () => `labelsCell(body, at, ${column.metadata}, parameters[${index}])`,
    vector: () => 'vectorCell(body, at, at + size)',
    geometry: () => 'geometryCell(body, at, at + size)',
    uuid: () => 'uuidCell(body, at, at + size)',
    address: ({ bytes }) => `addressCell(body, at, at + size, ${bytes})`,
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

function labelsCell(body: Buffer, at: number, bytes: number, labels: readonly string[]): string {
  return setCell(bytes === 8 ? body.readBigUInt64LE(at) : BigInt(body.readUIntLE(at, bytes)), labels)
}

function foreignCell(body: Buffer, bytes: string, at: number, foreign: Foreign): string {
  if (foreign.plain && !/[^ !#-[\]-\x7f]/.test(bytes)) return '"' + bytes + '"'
  return decodedCell(body.subarray(at, at + bytes.length), foreign.decode)
}

function uncompressedBinaryCell(body: Buffer, from: number, to: number): string {
  const value = uncompressed(body, from, to)
  return binaryCell(value, 0, value.length, 0)
}

function uncompressedTextCell(body: Buffer, from: number, to: number, foreign: Foreign | undefined): string {
  const value = uncompressed(body, from, to)
  return foreign === undefined ? textCell(value.toString('latin1')) : decodedCell(value, foreign.decode)
}
