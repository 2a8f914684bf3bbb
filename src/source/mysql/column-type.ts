/** What a column can hold, in the words that the binlog's row metadata and information_schema have in common. */
import type { Column } from '../../change/change.ts'

export type ColumnType =
  | { readonly kind: 'integer'; readonly bytes: number; readonly unsigned: boolean }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number; readonly unsigned: boolean }
  | { readonly kind: 'float' | 'double'; readonly unsigned: boolean }
  | { readonly kind: 'bit'; readonly bits: number }
  | { readonly kind: 'year' | 'date' | 'json' }
  /** `digits` of a second after the point. */
  | { readonly kind: 'datetime' | 'timestamp' | 'time'; readonly digits: number }
  /** CHAR is fixed, VARCHAR is not. */
  | { readonly kind: 'string'; readonly fixed: boolean; readonly characters: number }
  | { readonly kind: 'binary'; readonly fixed: boolean; readonly bytes: number }
  /** `lengthBytes` from 1 (TINYTEXT) to 4 (LONGTEXT). */
  | { readonly kind: 'text' | 'blob'; readonly lengthBytes: number }
  | { readonly kind: 'enum' | 'set'; readonly labels: readonly string[] }
  | { readonly kind: 'vector'; readonly dimensions: number }

/** A column as change events describe it: the same object shape, however its type became known. */
export function describeColumn(name: string, nullable: boolean, type: ColumnType): Column {
  return { name, kind: type.kind, type: typeText(type), nullable, ...measuresOf(type) }
}

function measuresOf(type: ColumnType): Partial<Column> {
  switch (type.kind) {
    case 'integer':
      return type.unsigned ? { unsigned: true, length: type.bytes } : { length: type.bytes }
    case 'decimal': {
      const { precision, scale } = type
      return type.unsigned ? { unsigned: true, precision, scale } : { precision, scale }
    }
    case 'float':
    case 'double':
      return type.unsigned ? { unsigned: true } : {}
    case 'bit':
      return { length: type.bits }
    case 'datetime':
    case 'timestamp':
    case 'time':
      return { precision: type.digits }
    case 'string':
      return { length: type.characters }
    case 'binary':
      return { length: type.bytes }
    case 'vector':
      return { length: type.dimensions }
    default:
      return {}
  }
}

function typeText(type: ColumnType): string {
  switch (type.kind) {
    case 'integer':
      return (INTEGERS[type.bytes] ?? 'integer') + signText(type.unsigned)
    case 'decimal':
      return `decimal(${type.precision},${type.scale})${signText(type.unsigned)}`
    case 'float':
    case 'double':
      return type.kind + signText(type.unsigned)
    case 'bit':
      return `bit(${type.bits})`
    case 'datetime':
    case 'timestamp':
    case 'time':
      return type.digits === 0 ? type.kind : `${type.kind}(${type.digits})`
    case 'string':
      return `${type.fixed ? 'char' : 'varchar'}(${type.characters})`
    case 'binary':
      return `${type.fixed ? 'binary' : 'varbinary'}(${type.bytes})`
    case 'text':
    case 'blob':
      return (SIZES[type.lengthBytes] ?? '') + type.kind
    case 'enum':
    case 'set':
      return `${type.kind}(${type.labels.map((label) => `'${label.replaceAll("'", "''")}'`).join(',')})`
    case 'vector':
      return `vector(${type.dimensions})`
    default:
      return type.kind
  }
}

function signText(unsigned: boolean): string {
  return unsigned ? ' unsigned' : ''
}

const INTEGERS: Readonly<Record<number, string>> = { 1: 'tinyint', 2: 'smallint', 3: 'mediumint', 4: 'int', 8: 'bigint' }
const SIZES: Readonly<Record<number, string>> = { 1: 'tiny', 2: '', 3: 'medium', 4: 'long' }
