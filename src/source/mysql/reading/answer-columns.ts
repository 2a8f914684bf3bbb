/** The columns of any SELECT's answer: what is known of them without the table, and so the JSON of their values. */
import type { FieldPacket } from '../server/connection.ts'
import { charsetOf } from '../values/charset.ts'
import type { ColumnType } from '../values/column-type.ts'
import { formatOf, type TextFormat } from '../values/text-values.ts'
import { CODE } from '../values/wire-column.ts'

/**
 * Values have the forms of change events, with what the answer of a query still tells: labels of ENUM and SET are strings,
 * and MariaDB shows JSON as text. A FLOAT has the six digits that the server shows.
 */
export function formatOfAnswer(field: FieldPacket): TextFormat {
  return field.columnType === CODE.bit ? bits : formatOf(typeOfAnswer(field))
}

/** As bytes, the highest first. */
function bits(text: string): string {
  return String(BigInt(`0x0${Buffer.from(text, 'latin1').toString('hex')}`))
}

export function typeOfAnswer({
  columnType = CODE.varString,
  characterSet,
  columnLength,
  flags,
  decimals,
}: FieldPacket): ColumnType {
  const unsigned = (Number(flags) & unsignedFlag) !== 0
  if (integers.has(columnType)) return { kind: 'integer', bytes: 8, unsigned }
  if (columnType === CODE.newDecimal) return { kind: 'decimal', precision: 65, scale: decimals, unsigned }
  return (
    simpleTypes.get(columnType) ??
    (charsetOf(characterSet ?? 0) === 'binary' ? binary : textOfAnswer(columnLength))
  )
}

/** In the connection's character set, of four bytes. */
function textOfAnswer(bytes = 0): ColumnType {
  const characters = Math.floor(bytes / 4)
  return characters <= charactersMax
    ? { kind: 'string', fixed: false, characters }
    : { kind: 'text', lengthBytes: 4 }
}

/** Of a VARCHAR in that set. */
const charactersMax = 16_383

const integers: ReadonlySet<number> = new Set([CODE.tiny, CODE.short, CODE.int24, CODE.long, CODE.longlong])
const binary: ColumnType = { kind: 'binary', fixed: false, bytes: 0 }

const simpleTypes: ReadonlyMap<number, ColumnType> = new Map<number, ColumnType>([
  [CODE.float, { kind: 'float', unsigned: false }],
  [CODE.double, { kind: 'double', unsigned: false }],
  [CODE.year, { kind: 'year' }],
  [CODE.date, { kind: 'date' }],
  [CODE.newDate, { kind: 'date' }],
  [CODE.time, { kind: 'time', digits: 6 }],
  [CODE.datetime, { kind: 'datetime', digits: 6 }],
  [CODE.timestamp, { kind: 'timestamp', digits: 6 }],
  [CODE.json, { kind: 'json' }],
  [CODE.vector, { kind: 'vector', dimensions: 0 }],
  [CODE.geometry, { kind: 'geometry', shape: 'geometry' }],
])

const unsignedFlag = 32
