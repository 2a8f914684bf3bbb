/**
 * What a field of a message is, and the column and cells that it gives. The words are those of the schema block: a type of
 * Kafka Connect, and for some a name that says what is meant by it. Where messages have no schema block, the settings say
 * the same: `int64`, `io.debezium.time.MicroTimestamp`, `decimal(2)`.
 */
import type { Column } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { stringOf } from '../../change/raw-json.ts'
import { bytesOf } from '../../change/row.ts'
import { dateText, momentText, timeText } from './temporal.ts'

export interface FieldType {
  /** `int64`, `string`, `bytes` ... */
  readonly type: string
  /** `io.debezium.time.Date` ...; undefined = the type says it all. */
  readonly name: string | undefined
  readonly parameters: Readonly<Record<string, string>>
  readonly optional: boolean
}

export interface Field {
  readonly column: Column
  /** From JSON text that is not null to the cell (change/row.ts); undefined = the column holds no such value. */
  readonly cellOf: (raw: string) => string | undefined
}

type Meaning = Pick<Column, 'kind' | 'type'> & Partial<Column>

interface Reading {
  readonly meaning: Meaning
  readonly cellOf: Field['cellOf']
}

/** Throws a Failure of kind `unsupported` for a type whose values cannot be told exactly. */
export function fieldOf(name: string, type: FieldType): Field {
  const { meaning, cellOf } = readingOf(name, type)
  return { column: { name, nullable: type.optional, ...meaning }, cellOf }
}

/** A type as the settings write it. */
export function typeFrom(text: string): FieldType {
  const [, word = text, scale] = /^([A-Za-z0-9.]+)\((\d{1,3})\)$/.exec(text) ?? []
  const isDecimal = word === 'decimal' || word === decimalName
  const parameters: Record<string, string> =
    scale === undefined ? {} : { [isDecimal ? 'scale' : 'length']: scale }
  if (isDecimal) return { type: 'bytes', name: decimalName, parameters, optional: true }
  const named = text.includes('.')
  return { type: named ? '' : word, name: named ? word : undefined, parameters, optional: true }
}

function readingOf(field: string, type: FieldType): Reading {
  const source = type.parameters['__debezium.source.column.type']?.toUpperCase() ?? ''
  const isExact = /^(DECIMAL|NUMERIC)/.test(source)
  if (isExact && /^(double|float)/.test(type.type))
    throw refused(
      field,
      'is a decimal that was rounded to a double',
      'decimal.handling.mode=precise or string',
    )
  const make = type.name === undefined ? plain[type.type] : named[type.name]
  if (make === undefined) {
    const told = type.name ?? type.type
    throw refused(
      field,
      `is ${told}, which is not known here`,
      'leave the column out of the pipeline: exclude',
    )
  }
  return make(type)
}

function refused(field: string, why: string, remedy: string): Failure {
  return new Failure('unsupported', `the field ${field} ${why}`, { remedy })
}

type Make = (type: FieldType) => Reading

function whole(meaning: Meaning): Make {
  return () => ({ meaning, cellOf: (raw) => (/^-?\d+$/.test(raw) ? raw : undefined) })
}

function fractional(kind: 'float' | 'double'): Make {
  return () => ({ meaning: { kind, type: kind }, cellOf: numberCell })
}

function numberCell(raw: string): string | undefined {
  const value = raw.startsWith('"') ? Number.NaN : Number(raw)
  return Number.isFinite(value) ? String(value) : undefined
}

const truth: Make = () => ({
  meaning: { kind: 'integer', type: 'tinyint(1)', length: 1 },
  cellOf: (raw) => (raw === 'true' ? '1' : raw === 'false' ? '0' : undefined),
})

function texts(meaning: Meaning, textOf: (text: string) => string | undefined = asItIs): Make {
  return () => ({
    meaning,
    cellOf: (raw) => {
      const text = raw.startsWith('"') ? textOf(stringOf(raw)) : undefined
      return text === undefined ? undefined : bytesOf(JSON.stringify(text))
    },
  })
}

const asItIs = (text: string): string => text

/** A text that is a decimal number where the connector says so of its column; else a text. */
const text: Make = ({ parameters }) => {
  const source = parameters['__debezium.source.column.type']?.toUpperCase() ?? ''
  if (!/^(DECIMAL|NUMERIC)/.test(source)) return texts({ kind: 'string', type: 'varchar(16383)' })(anyText)
  const scale = Number(parameters['__debezium.source.column.scale'] ?? 0)
  const precision = Number(parameters['__debezium.source.column.length'] ?? 65)
  const type = `decimal(${precision},${scale})`
  return texts({ kind: 'decimal', type, precision, scale }, decimalDigits)(anyText)
}

const decimalDigits = (given: string): string | undefined =>
  /^-?\d+(\.\d+)?$/.test(given) ? given : undefined

const anyText: FieldType = { type: 'string', name: undefined, parameters: {}, optional: true }

const blob: Make = texts({ kind: 'blob', type: 'longblob' }, (given) =>
  Buffer.from(given, 'base64').toString('base64') === given ? given : undefined,
)

/** Counts of something since 1970, or since midnight. */
function counted(meaning: Meaning, textOf: (count: bigint) => string): Make {
  return () => ({
    meaning,
    cellOf: (raw) => (/^-?\d+$/.test(raw) ? `"${textOf(BigInt(raw))}"` : undefined),
  })
}

const moments = (digits: number): Make =>
  counted({ kind: 'datetime', type: `datetime(${digits})`, precision: digits }, (parts) =>
    momentText(parts, digits),
  )

const times = (digits: number): Make =>
  counted({ kind: 'time', type: `time(${digits})`, precision: digits }, (parts) => timeText(parts, digits))

const days = counted({ kind: 'date', type: 'date' }, dateText)

/** In whatever zone it is written, the moment in UTC, with the digits that it has. */
const zoned = texts({ kind: 'timestamp', type: 'timestamp(6)', precision: 6 }, (given) => {
  const [, fraction = ''] =
    /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?(\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.exec(given) ?? []
  const atMs = Date.parse(given)
  if (Number.isNaN(atMs) || !/(Z|[+-]\d\d:\d\d)$/.test(given)) return undefined
  return `${new Date(atMs).toISOString().slice(0, 19)}${fraction}Z`
})

const decimal: Make = ({ parameters }) => {
  const scale = Number(parameters['scale'] ?? 0)
  const precision = Number(parameters['connect.decimal.precision'] ?? 65)
  return {
    meaning: { kind: 'decimal', type: `decimal(${precision},${scale})`, precision, scale },
    cellOf: (raw) => {
      const digits = raw.startsWith('"') ? scaled(signed(Buffer.from(stringOf(raw), 'base64')), scale) : raw
      return /^-?\d+(\.\d+)?$/.test(digits) ? `"${withScale(digits, scale)}"` : undefined
    },
  }
}

/** Two's complement, the highest byte first. */
function signed(bytes: Buffer): bigint {
  if (bytes.length === 0) return 0n
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toString('hex')}`))
}

function scaled(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const at = digits.length - scale
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, at)}${scale === 0 ? '' : `.${digits.slice(at)}`}`
}

/** A number that was written without its last zeroes. */
function withScale(digits: string, scale: number): string {
  const [before = '', behind = ''] = digits.split('.')
  return scale === 0 ? digits : `${before}.${behind.padEnd(scale, '0')}`
}

/** The lowest byte first. */
const bits: Make = ({ parameters }) => {
  const length = Number(parameters['length'] ?? 64)
  return {
    meaning: { kind: 'bit', type: `bit(${length})`, length },
    cellOf: (raw) => {
      const bytes = raw.startsWith('"') ? Buffer.from(stringOf(raw), 'base64').toReversed() : undefined
      return bytes === undefined
        ? undefined
        : String(BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`))
    },
  }
}

function labels(given: string | undefined): string {
  return (given ?? '')
    .split(',')
    .map((label) => `'${label.replaceAll("'", "''")}'`)
    .join(',')
}

const oneOf: Make = ({ parameters }) =>
  texts({ kind: 'enum', type: `enum(${labels(parameters['allowed'])})` })(anyText)

const someOf: Make = ({ parameters }) => ({
  meaning: { kind: 'set', type: `set(${labels(parameters['allowed'])})` },
  cellOf: (raw) => {
    if (!raw.startsWith('"')) return undefined
    const given = stringOf(raw)
    return bytesOf(JSON.stringify(given === '' ? [] : given.split(',')))
  },
})

/** The text is JSON itself; its numbers stay as they are written. */
const json: Make = () => ({
  meaning: { kind: 'json', type: 'json' },
  cellOf: (raw) => {
    const inner = raw.startsWith('"') ? stringOf(raw) : undefined
    if (inner === undefined) return undefined
    JSON.parse(inner)
    return bytesOf(inner)
  },
})

const decimalName = 'org.apache.kafka.connect.data.Decimal'

const plain: Readonly<Record<string, Make>> = {
  int8: whole({ kind: 'integer', type: 'tinyint', length: 1 }),
  int16: whole({ kind: 'integer', type: 'smallint', length: 2 }),
  int32: whole({ kind: 'integer', type: 'int', length: 4 }),
  int64: whole({ kind: 'integer', type: 'bigint', length: 8 }),
  boolean: truth,
  float: fractional('float'),
  float32: fractional('float'),
  double: fractional('double'),
  float64: fractional('double'),
  string: text,
  bytes: blob,
}

const named: Readonly<Record<string, Make>> = {
  [decimalName]: decimal,
  'org.apache.kafka.connect.data.Date': days,
  'org.apache.kafka.connect.data.Time': times(3),
  'org.apache.kafka.connect.data.Timestamp': moments(3),
  'io.debezium.time.Date': days,
  'io.debezium.time.Time': times(3),
  'io.debezium.time.MicroTime': times(6),
  'io.debezium.time.NanoTime': times(9),
  'io.debezium.time.Timestamp': moments(3),
  'io.debezium.time.MicroTimestamp': moments(6),
  'io.debezium.time.NanoTimestamp': moments(9),
  'io.debezium.time.ZonedTimestamp': zoned,
  'io.debezium.time.Year': whole({ kind: 'year', type: 'year' }),
  'io.debezium.data.Bits': bits,
  'io.debezium.data.Enum': oneOf,
  'io.debezium.data.EnumSet': someOf,
  'io.debezium.data.Json': json,
}
