/** What a column can hold, in the words that the binlog's row metadata and information_schema have in common. */
import type { Column } from '../../../change/change.ts'
import type { GeometryName } from './geometry.ts'

/** What is known of a column beyond its kind. */
interface Details {
  integer: { readonly bytes: number; readonly unsigned: boolean }
  decimal: { readonly precision: number; readonly scale: number; readonly unsigned: boolean }
  float: { readonly unsigned: boolean }
  double: { readonly unsigned: boolean }
  bit: { readonly bits: number }
  year: unknown
  date: unknown
  /** `bareDoubles`: the server shows whole doubles without a point. */
  json: { readonly bareDoubles?: boolean }
  /** `digits` of a second after the point. */
  datetime: { readonly digits: number }
  timestamp: { readonly digits: number }
  time: { readonly digits: number }
  /** CHAR is fixed, VARCHAR is not. */
  string: { readonly fixed: boolean; readonly characters: number }
  binary: { readonly fixed: boolean; readonly bytes: number }
  /** `lengthBytes` from 1 (TINYTEXT) to 4 (LONGTEXT). */
  text: { readonly lengthBytes: number }
  blob: { readonly lengthBytes: number }
  /** `keyColumn` names it where it is part of a key: see enum-labels.ts. */
  enum: { readonly labels: readonly string[]; readonly keyColumn?: string }
  set: { readonly labels: readonly string[] }
  vector: { readonly dimensions: number }
  geometry: { readonly shape: GeometryName }
  uuid: unknown
  /** INET4 has 4, INET6 16. */
  address: { readonly bytes: number }
}

export type ColumnType = { [Kind in keyof Details]: { readonly kind: Kind } & Details[Kind] }[keyof Details]

/** One function for each kind of column. */
export type ByKind<Result> = { readonly [Kind in keyof Details]: (type: Details[Kind]) => Result }

export function byKind<Result>(cases: ByKind<Result>, type: ColumnType): Result {
  // A type is always given to the case of its own kind, which the compiler cannot see.
  const ofKind = cases[type.kind] as (type: ColumnType) => Result
  return ofKind(type)
}

/** A column as change events describe it: the same, however its type became known. */
export function describeColumn(name: string, nullable: boolean, type: ColumnType): Column {
  return { name, kind: type.kind, type: byKind(texts, type), nullable, ...byKind(measures, type) }
}

const nothing = (): Partial<Column> => ({})
const signed = ({ unsigned }: Details['float']): Partial<Column> => (unsigned ? { unsigned: true } : {})
const timed = ({ digits }: Details['time']): Partial<Column> => ({ precision: digits })

const measures: ByKind<Partial<Column>> = {
  integer: ({ bytes, unsigned }) => ({ ...signed({ unsigned }), length: bytes }),
  decimal: ({ precision, scale, unsigned }) => ({ ...signed({ unsigned }), precision, scale }),
  float: signed,
  double: signed,
  bit: ({ bits }) => ({ length: bits }),
  year: nothing,
  date: nothing,
  json: nothing,
  datetime: timed,
  timestamp: timed,
  time: timed,
  string: ({ characters }) => ({ length: characters }),
  binary: ({ bytes }) => ({ length: bytes }),
  text: nothing,
  blob: nothing,
  enum: nothing,
  set: nothing,
  vector: ({ dimensions }) => ({ length: dimensions }),
  geometry: nothing,
  uuid: nothing,
  address: ({ bytes }) => ({ length: bytes }),
}

const sign = (unsigned: boolean): string => (unsigned ? ' unsigned' : '')
const timing = (name: string, digits: number): string => (digits === 0 ? name : `${name}(${digits})`)
const list = (labels: readonly string[]): string =>
  labels.map((label) => `'${label.replaceAll("'", "''")}'`).join(',')

const texts: ByKind<string> = {
  integer: ({ bytes, unsigned }) => (INTEGERS[bytes] ?? '') + sign(unsigned),
  decimal: ({ precision, scale, unsigned }) => `decimal(${precision},${scale})${sign(unsigned)}`,
  float: ({ unsigned }) => `float${sign(unsigned)}`,
  double: ({ unsigned }) => `double${sign(unsigned)}`,
  bit: ({ bits }) => `bit(${bits})`,
  year: () => 'year',
  date: () => 'date',
  json: () => 'json',
  datetime: ({ digits }) => timing('datetime', digits),
  timestamp: ({ digits }) => timing('timestamp', digits),
  time: ({ digits }) => timing('time', digits),
  string: ({ fixed, characters }) => `${fixed ? 'char' : 'varchar'}(${characters})`,
  binary: ({ fixed, bytes }) => `${fixed ? 'binary' : 'varbinary'}(${bytes})`,
  text: ({ lengthBytes }) => `${SIZES[lengthBytes] ?? ''}text`,
  blob: ({ lengthBytes }) => `${SIZES[lengthBytes] ?? ''}blob`,
  enum: ({ labels }) => `enum(${list(labels)})`,
  set: ({ labels }) => `set(${list(labels)})`,
  vector: ({ dimensions }) => `vector(${dimensions})`,
  geometry: ({ shape }) => shape,
  uuid: () => 'uuid',
  address: ({ bytes }) => (bytes === 4 ? 'inet4' : 'inet6'),
}

const INTEGERS: Readonly<Record<number, string>> = {
  1: 'tinyint',
  2: 'smallint',
  3: 'mediumint',
  4: 'int',
  8: 'bigint',
}
const SIZES: Readonly<Record<number, string>> = { 1: 'tiny', 2: '', 3: 'medium', 4: 'long' }
