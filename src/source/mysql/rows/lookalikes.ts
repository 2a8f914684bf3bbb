/**
 * MariaDB's UUID, INET4, INET6 and VECTOR, which its binlog shows as BINARY and VARBINARY and no more: which of them a
 * column is, information_schema says. It is asked for tables that have such a column, under the same care for changes of
 * the table as where the binlog names no columns at all (table-schemas.ts), and believed only where it fits the event.
 */
import { Failure } from '../../../change/failure.ts'
import { charsetOf } from '../values/charset.ts'
import type { ColumnType } from '../values/column-type.ts'
import { ColumnsLost, type SchemaColumn, type SchemaLookup } from './schema-match.ts'
import type { OptionalMetadata } from './table-metadata.ts'
import { CODE, specialType, type WireColumn } from '../values/wire-column.ts'

/**
 * The metadata of a MariaDB table with what its columns really are. Throws SchemaNeeded when that must be learned first,
 * and a Failure: ColumnsLost when information_schema contradicts the event, `unsupported` without a lookup.
 */
export function toldApart(
  table: { readonly name: string; readonly excluded: ReadonlySet<string> },
  wire: readonly WireColumn[],
  metadata: OptionalMetadata,
  lookup: SchemaLookup | undefined,
): OptionalMetadata {
  const names = metadata.names ?? []
  const doubtful = wire.flatMap((column, index) =>
    isDoubtful(column, metadata.detailOf(index).collation) && !table.excluded.has(names[index] ?? '')
      ? [index]
      : [],
  )
  if (doubtful.length === 0) return metadata
  if (lookup === undefined)
    throw new Failure('unsupported', `${table.name}: the binlog does not tell a UUID from a BINARY(16)`, {
      remedy: 'exclude its columns of bytes',
    })
  const asked = doubtful.map((index) => names[index] ?? '')
  const { columns } = lookup.of(table.name, asked)
  const specials = new Map<number, ColumnType>()
  for (const index of doubtful) {
    const onWire = wire[index]
    const column = columns.find(({ name }) => name === names[index])
    if (onWire === undefined) continue
    if (column === undefined) throw lost(table.name, names[index], 'is not in the table now')
    const type = specialOf(column, onWire)
    if (type === 'contradicts') throw lost(table.name, column.name, 'is another now')
    if (type !== undefined) specials.set(index, type)
  }
  return {
    ...metadata,
    detailOf: (index) => ({ ...metadata.detailOf(index), special: specials.get(index) }),
  }
}

/** What a person does when nobody can tell what a column was. */
export const lookalikeRemedy =
  'run with --reload for every pipeline of this source, which reads its tables anew; or exclude the column'

/**
 * Whether a statement that changes a table cannot have changed the types of these columns: an ALTER TABLE that does not
 * name them, nor puts another table in its place.
 */
export function leavesColumns(statement: string, columns: readonly string[]): boolean {
  const text = statement.toLowerCase().replace(remarks, '')
  if (!/^\s*alter\s+(online\s+|ignore\s+)*table\b/.test(text) || /\b(rename|exchange)\b/.test(text))
    return false
  const words = new Set(text.split(wordBreak))
  return columns.every((column) => {
    const name = column.toLowerCase()
    // A name that is more than one word is looked for as it is.
    return wordBreak.test(name) ? !text.includes(name) : !words.has(name)
  })
}

/** Comments before the statement; those that servers read as a part of it are none. */
const remarks = /^(?:\s*\/\*(?!m?!)[^]*?\*\/)+/

const wordBreak = /[^\p{L}\p{N}_$]+/u

const uuidBytes = 16
const shortBytes = 4

/** Whether a column of bytes may be one of these. */
function isDoubtful({ code, metadata }: WireColumn, collation: number | undefined): boolean {
  if (collation === undefined || charsetOf(collation) !== 'binary') return false
  if (code === CODE.string) return metadata === uuidBytes || metadata === shortBytes
  return code === CODE.varchar && metadata > 0 && metadata % shortBytes === 0
}

/** Undefined = it holds bytes, as the event says. */
function specialOf({ type }: SchemaColumn, wire: WireColumn): ColumnType | 'contradicts' | undefined {
  if (typeof type === 'string') return 'contradicts'
  if (type.kind !== 'binary') return specialType(type, wire) ?? 'contradicts'
  const fits = type.bytes === wire.metadata && type.fixed === (wire.code === CODE.string)
  return fits ? undefined : 'contradicts'
}

function lost(table: string, column: string | undefined, what: string): ColumnsLost {
  return new ColumnsLost(
    `${table}: the binlog does not tell what the column ${column} was: BINARY, UUID, INET or VECTOR; it ${what}`,
    lookalikeRemedy,
  )
}
