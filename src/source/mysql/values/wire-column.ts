/** The columns of a TABLE_MAP event: type codes and metadata, made into column types. */
import { bytesPerCharacter, charsetOf, decoderOf } from './charset.ts'
import type { ColumnType } from './column-type.ts'
import { geometryName } from './geometry.ts'
import { decimalBytes } from './values.ts'

/** How the row image holds a column's value. */
export interface WireColumn {
  /** The server's type code; of CHAR, ENUM and SET the real one. */
  readonly code: number
  /** Its metadata, of 0 to 2 bytes: what they mean depends on the code. */
  readonly metadata: number
  readonly nullable: boolean
}

/** What the optional metadata says of one column; each is undefined where the server did not say. */
export interface WireDetail {
  readonly unsigned: boolean
  /** The collation's id. */
  readonly collation: number | undefined
  /** ENUM and SET: the labels' bytes in the column's character set. */
  readonly labels: readonly Buffer[] | undefined
  readonly dimensions: number | undefined
  /** Of a geometry, by the server's code. */
  readonly shape: number | undefined
  /** What the column is where the event cannot say it (lookalikes.ts). */
  readonly special: ColumnType | undefined
}

export const CODE = {
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  newDate: 14,
  varchar: 15,
  bit: 16,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  vector: 242,
  json: 245,
  newDecimal: 246,
  enum: 247,
  set: 248,
  tinyBlob: 249,
  mediumBlob: 250,
  longBlob: 251,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const

/** What becomes of the column; a text says why it cannot be read. */
export function typeOf(column: WireColumn, detail: WireDetail): ColumnType | string {
  const { code, metadata } = column
  if (detail.special !== undefined) return detail.special
  if (code === CODE.enum) return labelledType('enum', detail)
  if (code === CODE.set) return labelledType('set', detail)
  const ofNumber = numberType(code, metadata, detail.unsigned)
  if (code === CODE.vector) return { kind: 'vector', dimensions: detail.dimensions ?? 0 }
  if (code === CODE.geometry) return geometryType(detail.shape)
  return ofNumber ?? temporalType(code, metadata) ?? characterType(column, detail)
}

/** MariaDB's types that it shows as columns of bytes: the type, where the event's column can hold it. */
export function specialType(type: ColumnType, { code, metadata }: WireColumn): ColumnType | undefined {
  switch (type.kind) {
    case 'uuid':
      return code === CODE.string && metadata === 16 ? type : undefined
    case 'address':
      return code === CODE.string && metadata === type.bytes ? type : undefined
    case 'vector':
      return code === CODE.varchar && metadata === type.dimensions * 4 ? type : undefined
    default:
      return undefined
  }
}

function numberType(code: number, metadata: number, unsigned: boolean): ColumnType | undefined {
  const bytes = INTEGER_BYTES[code]
  if (bytes !== undefined) return { kind: 'integer', bytes, unsigned }
  switch (code) {
    case CODE.newDecimal:
      return { kind: 'decimal', precision: metadata & 255, scale: metadata >> 8, unsigned }
    case CODE.float:
      return { kind: 'float', unsigned }
    case CODE.double:
      return { kind: 'double', unsigned }
    case CODE.bit:
      return { kind: 'bit', bits: (metadata >> 8) * 8 + (metadata & 255) }
    default:
      return undefined
  }
}

/** The labels of an ENUM or SET as text. */
function labelledType(kind: 'enum' | 'set', detail: WireDetail): ColumnType | string {
  const { labels, collation } = detail
  if (labels === undefined) return 'its labels are not in the binlog'
  const charset = collation === undefined ? 'utf8mb4' : charsetOf(collation)
  if (charset === undefined) return `its collation ${collation} is not known`
  const decode = charset === 'binary' ? undefined : decoderOf(charset)
  return { kind, labels: labels.map((label) => decode?.(label) ?? label.toString('utf8')) }
}

function temporalType(code: number, metadata: number): ColumnType | undefined {
  switch (code) {
    case CODE.year:
      return { kind: 'year' }
    case CODE.date:
    case CODE.newDate:
      return { kind: 'date' }
    case CODE.timestamp:
      return { kind: 'timestamp', digits: 0 }
    case CODE.datetime:
      return { kind: 'datetime', digits: 0 }
    case CODE.time:
      return { kind: 'time', digits: 0 }
    case CODE.timestamp2:
      return { kind: 'timestamp', digits: metadata }
    case CODE.datetime2:
      return { kind: 'datetime', digits: metadata }
    case CODE.time2:
      return { kind: 'time', digits: metadata }
    case CODE.json:
      return { kind: 'json' }
    default:
      return undefined
  }
}

function geometryType(code: number | undefined): ColumnType | string {
  const shape = geometryName(code ?? 0)
  return shape === undefined ? `its kind of geometry (${code}) is not known` : { kind: 'geometry', shape }
}

function characterType(column: WireColumn, detail: WireDetail): ColumnType | string {
  const isBlob = column.code === CODE.blob || column.code === COMPRESSED_BLOB
  if (!isBlob && !isStringCode(column.code)) return `its type (code ${column.code}) cannot be read`
  if (detail.collation === undefined) return 'its character set is not in the binlog'
  const charset = charsetOf(detail.collation)
  const width = charset === undefined ? undefined : bytesPerCharacter(charset)
  if (charset === undefined || width === undefined) return `its collation ${detail.collation} is not known`
  const fixed = column.code === CODE.string
  if (isBlob) return { kind: charset === 'binary' ? 'blob' : 'text', lengthBytes: column.metadata }
  // A compressed value has a byte of its own at its beginning.
  const bytes = column.code === COMPRESSED_VARCHAR ? column.metadata - 1 : column.metadata
  if (charset === 'binary') return { kind: 'binary', fixed, bytes }
  return { kind: 'string', fixed, characters: Math.floor(bytes / width) }
}

const STRINGS: ReadonlySet<number> = new Set([CODE.varchar, CODE.varString, CODE.string])

function isStringCode(code: number): boolean {
  return STRINGS.has(code) || code === COMPRESSED_VARCHAR
}

const INTEGER_BYTES: Readonly<Record<number, number>> = {
  [CODE.tiny]: 1,
  [CODE.short]: 2,
  [CODE.int24]: 3,
  [CODE.long]: 4,
  [CODE.longlong]: 8,
}

/** Columns that the signedness bits count. */
export function isNumeric(column: WireColumn): boolean {
  const { code } = column
  if (code in INTEGER_BYTES) return true
  return code === CODE.float || code === CODE.double || code === CODE.newDecimal || code === CODE.year
}

/** Columns of text or bytes, which the character set lists count. */
export function isCharacter({ code }: WireColumn): boolean {
  return STRINGS.has(code) || isCompressed({ code }) || (code >= CODE.tinyBlob && code <= CODE.blob)
}

/** Columns of MariaDB whose values are packed one by one. */
export function isCompressed({ code }: Pick<WireColumn, 'code'>): boolean {
  return code === COMPRESSED_BLOB || code === COMPRESSED_VARCHAR
}

/** How many bytes of metadata a type code has. */
export function metadataBytes(code: number): number {
  return METADATA_BYTES.get(code) ?? 0
}

/** MariaDB's compressed columns. */
const COMPRESSED_BLOB = 140
const COMPRESSED_VARCHAR = 141

const METADATA_BYTES: ReadonlyMap<number, number> = new Map([
  ...[CODE.float, CODE.double, CODE.timestamp2, CODE.datetime2, CODE.time2, CODE.vector, CODE.json].map(
    (code): [number, number] => [code, 1],
  ),
  ...[CODE.tinyBlob, CODE.mediumBlob, CODE.longBlob, CODE.blob, CODE.geometry].map(
    (code): [number, number] => [code, 1],
  ),
  ...[CODE.varchar, CODE.bit, CODE.newDecimal, CODE.enum, CODE.set, CODE.varString, CODE.string].map(
    (code): [number, number] => [code, 2],
  ),
  [COMPRESSED_BLOB, 1],
  [COMPRESSED_VARCHAR, 2],
])

/** The bytes of a value in an image: a fixed number, or a length of `prefix` bytes and as many as it says. */
export interface Layout {
  readonly fixed: number
  readonly prefix: number
}

/** Undefined = the type code is not known, so that nothing behind such a column can be found. */
export function layoutOf({ code, metadata }: WireColumn): Layout | undefined {
  const fixed = FIXED_BYTES.get(code)
  if (fixed !== undefined) return { fixed, prefix: 0 }
  switch (code) {
    case CODE.timestamp2:
      return { fixed: 4 + ((metadata + 1) >> 1), prefix: 0 }
    case CODE.datetime2:
      return { fixed: 5 + ((metadata + 1) >> 1), prefix: 0 }
    case CODE.time2:
      return { fixed: 3 + ((metadata + 1) >> 1), prefix: 0 }
    case CODE.newDecimal:
      return { fixed: decimalBytes(metadata & 255, metadata >> 8), prefix: 0 }
    case CODE.bit:
      return { fixed: (metadata >> 8) + ((metadata & 255) > 0 ? 1 : 0), prefix: 0 }
    case CODE.enum:
    case CODE.set:
      return { fixed: metadata, prefix: 0 }
    default:
      return lengthPrefixed(code, metadata)
  }
}

function lengthPrefixed(code: number, metadata: number): Layout | undefined {
  if (isStringCode(code)) return { fixed: 0, prefix: metadata > 255 ? 2 : 1 }
  const isBlob = BLOBS.has(code) && metadata >= 1 && metadata <= 4
  return isBlob ? { fixed: 0, prefix: metadata } : undefined
}

const BLOBS: ReadonlySet<number> = new Set([
  CODE.blob,
  CODE.json,
  CODE.geometry,
  CODE.vector,
  COMPRESSED_BLOB,
])

const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
  ...Object.entries(INTEGER_BYTES).map(([code, bytes]): [number, number] => [Number(code), bytes]),
  [CODE.float, 4],
  [CODE.double, 8],
  [CODE.year, 1],
  [CODE.date, 3],
  [CODE.newDate, 3],
  [CODE.time, 3],
  [CODE.timestamp, 4],
  [CODE.datetime, 8],
])
