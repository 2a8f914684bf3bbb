/** The optional metadata of a TABLE_MAP event (`binlog_row_metadata = FULL`), of MySQL and MariaDB. */
import { CODE, isCharacter, isNumeric, type WireColumn, type WireDetail } from '../values/wire-column.ts'
import type { Flavor } from '../gtid/gtid.ts'
import type { WireReader } from '../values/wire-reader.ts'

export interface OptionalMetadata {
  /** Undefined = the server did not say. */
  readonly names: readonly string[] | undefined
  /** Column indexes in key order. */
  readonly primaryKey: readonly number[] | undefined
  /** Whether the server said which columns are unsigned. */
  readonly hasSigns: boolean
  detailOf(column: number): WireDetail
}

/** The kind that is not listed says nothing that a value depends on: column visibility. */
const KIND = {
  signedness: 1,
  defaultCharset: 2,
  columnCharset: 3,
  names: 4,
  setLabels: 5,
  enumLabels: 6,
  shapes: 7,
  primaryKey: 8,
  primaryKeyWithPrefix: 9,
  labelDefaultCharset: 10,
  labelColumnCharset: 11,
  dimensions: 13,
} as const

/** Reads all that is left. */
export function readOptionalMetadata(
  reader: WireReader,
  columns: readonly WireColumn[],
  flavor: Flavor,
): OptionalMetadata {
  const fields = new Map<number, WireReader>()
  while (reader.left > 0) {
    const kind = reader.integer(1)
    fields.set(kind, reader.within(reader.packed()))
  }
  const unsigned = spread(columns, isNumeric, readBits(fields.get(KIND.signedness)))
  const collations = readCollations(
    columns,
    // MariaDB lists a character set for geometries too.
    (column) => isCharacter(column) || (flavor === 'mariadb' && isGeometry(column)),
    fields.get(KIND.defaultCharset),
    fields.get(KIND.columnCharset),
  )
  const labelCollations = readCollations(
    columns,
    isLabelled,
    fields.get(KIND.labelDefaultCharset),
    fields.get(KIND.labelColumnCharset),
  )
  const sets = spread(columns, ({ code }) => code === CODE.set, readLabels(fields.get(KIND.setLabels)))
  const enums = spread(columns, ({ code }) => code === CODE.enum, readLabels(fields.get(KIND.enumLabels)))
  const shapes = spread(columns, isGeometry, readNumbers(fields.get(KIND.shapes)))
  const dimensions = spread(
    columns,
    ({ code }) => code === CODE.vector,
    readNumbers(fields.get(KIND.dimensions)),
  )
  return {
    names: readNames(fields.get(KIND.names)),
    primaryKey: readPrimaryKey(fields),
    hasSigns: fields.has(KIND.signedness),
    detailOf: (column) => ({
      unsigned: unsigned.get(column) ?? false,
      collation: collations.get(column) ?? labelCollations.get(column),
      labels: sets.get(column) ?? enums.get(column),
      dimensions: dimensions.get(column),
      shape: shapes.get(column),
      special: undefined,
    }),
  }
}

function isGeometry({ code }: WireColumn): boolean {
  return code === CODE.geometry
}

function isLabelled({ code }: WireColumn): boolean {
  return code === CODE.enum || code === CODE.set
}

/** Values that stand for the chosen columns only, by the index of the column. */
function spread<T>(
  columns: readonly WireColumn[],
  chosen: (column: WireColumn) => boolean,
  values: readonly T[],
): Map<number, T> {
  const byColumn = new Map<number, T>()
  let next = 0
  for (const [index, column] of columns.entries()) {
    if (!chosen(column)) continue
    const value = values[next++]
    if (value !== undefined) byColumn.set(index, value)
  }
  return byColumn
}

/** The highest bit of the first byte comes first. */
function readBits(field: WireReader | undefined): readonly boolean[] {
  if (field === undefined) return []
  const bytes = field.bytes(field.left)
  return Array.from(bytes, (byte) => BIT_PLACES.map((place) => ((byte >> place) & 1) === 1)).flat()
}

const BIT_PLACES = [7, 6, 5, 4, 3, 2, 1, 0]

/** Either a default with the exceptions to it, or one for each column. */
function readCollations(
  columns: readonly WireColumn[],
  chosen: (column: WireColumn) => boolean,
  defaults: WireReader | undefined,
  each: WireReader | undefined,
): Map<number, number> {
  if (each !== undefined) return spread(columns, chosen, readNumbers(each))
  if (defaults === undefined) return new Map()
  const most = defaults.packed()
  const values = columns.filter(chosen).map(() => most)
  while (defaults.left > 0) {
    const index = defaults.packed()
    values[index] = defaults.packed()
  }
  return spread(columns, chosen, values)
}

function readNumbers(field: WireReader | undefined): readonly number[] {
  if (field === undefined) return []
  const numbers: number[] = []
  while (field.left > 0) numbers.push(field.packed())
  return numbers
}

function readNames(field: WireReader | undefined): readonly string[] | undefined {
  if (field === undefined) return undefined
  const names: string[] = []
  while (field.left > 0) names.push(field.bytes(field.packed()).toString('utf8'))
  return names
}

function readLabels(field: WireReader | undefined): readonly (readonly Buffer[])[] {
  if (field === undefined) return []
  const columns: Buffer[][] = []
  while (field.left > 0) {
    const labels: Buffer[] = []
    for (let left = field.packed(); left > 0; left--) labels.push(field.bytes(field.packed()))
    columns.push(labels)
  }
  return columns
}

function readPrimaryKey(fields: ReadonlyMap<number, WireReader>): readonly number[] | undefined {
  const simple = fields.get(KIND.primaryKey)
  if (simple !== undefined) return readNumbers(simple)
  const prefixed = fields.get(KIND.primaryKeyWithPrefix)
  if (prefixed === undefined) return undefined
  // Each column is followed by the length of its prefix; the key of a change is made of whole values.
  return readNumbers(prefixed).filter((_, index) => index % 2 === 0)
}
