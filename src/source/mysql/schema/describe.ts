/** A table as information_schema describes it now, in the same words in which the binlog describes it. */
import type { Column, Table } from '../../../change/change.ts'
import { Failure } from '../../../change/failure.ts'
import type { TableDescription } from '../../source.ts'
import type { ColumnType } from '../values/column-type.ts'
import { keyType } from '../values/enum-labels.ts'
import {
  query,
  type Connection,
  type MysqlSettings,
  type SqlRow,
  type SqlValue,
} from '../server/connection.ts'
import { geometryNamed } from '../values/geometry.ts'
import { likely } from './likely.ts'
import { splitName } from './names.ts'
import {
  demandMasked,
  demandPlainKey,
  hiddenColumns,
  maskedColumn,
  noMasks,
  type Mask,
  type Masks,
} from '../rows/masks.ts'
import { formatOf, type TextFormat } from '../values/text-values.ts'

/** What the configuration says about a table. */
export interface TableOptions {
  /** Columns left out of every image. */
  readonly excluded: ReadonlySet<string>
  /** Columns that are made unreadable. */
  readonly masks?: Masks
  /** Columns of the unique key that stands for a missing primary key; undefined = the first that will do. */
  readonly keyColumns: readonly string[] | undefined
}

export function tableOptions(
  settings: Pick<MysqlSettings, 'excluded' | 'masks' | 'maskKey' | 'keys'>,
  table: string,
): TableOptions {
  return { ...hiddenColumns(settings, table), keyColumns: settings.keys?.[table] }
}

/** A description with what a query needs besides. */
export interface TableShape extends TableDescription {
  readonly table: Table
  /** The type of each of the table's columns. */
  readonly types: readonly ColumnType[]
  /** For each of its columns, what makes a cell of a query's answer. */
  readonly formats: readonly TextFormat[]
  /** The index whose columns are the key. */
  readonly keyIndex: string
  /** The server's own estimate, in bytes. */
  readonly rowBytes: number
}

/** A column as information_schema has it, and what became of its type; a text says why it cannot be read. */
export interface DescribedColumn {
  readonly name: string
  readonly nullable: boolean
  readonly type: ColumnType | string
  /** Undefined for columns that hold no text. */
  readonly charset: string | undefined
}

/** An index that tells rows apart. */
export interface UniqueIndex {
  readonly name: string
  readonly columns: readonly string[]
}

/**
 * Describes `schema.table`. Throws a Failure: `configuration` when it does not exist or has no usable key, `unsupported`
 * for a column that cannot be read and is not excluded.
 */
export async function describeTable(
  connection: Connection,
  name: string,
  options: TableOptions,
): Promise<TableShape> {
  const facts = await tableFacts(connection, name)
  if (facts === undefined) throw await noSuchTable(connection, name)
  if (facts.kind.endsWith('VIEW'))
    throw new Failure('configuration', `${name} is a view: only tables have changes of their own`, {
      remedy: 'name the tables that the view reads',
    })
  const all = await describeColumns(connection, name)
  const described = all.filter((column) => !options.excluded.has(column.name))
  const excluded = all.map((column) => column.name).filter((column) => options.excluded.has(column))
  const { masks = noMasks } = options
  demandMasked(
    name,
    masks,
    all.map((column) => column.name),
  )
  const columns: Column[] = []
  const columnTypes: ColumnType[] = []
  for (const column of described) {
    if (typeof column.type === 'string')
      throw new Failure('unsupported', `${name}: column ${column.name}: ${column.type}`, {
        remedy: `exclude the column ${column.name} of ${name}`,
      })
    columns.push(maskedColumn(name, column, column.type, masks.get(column.name)))
    columnTypes.push(column.type)
  }
  const index = chooseKey(name, await uniqueIndexes(connection, name), options)
  const key = index.columns.map((column) => columns.findIndex((candidate) => candidate.name === column))
  if (key.includes(-1))
    throw new Failure(
      'configuration',
      `${name}: a column of its key (${index.columns.join(', ')}) is excluded`,
      {
        remedy: 'take it out of the excluded columns: without its key a row cannot be told from another',
      },
    )
  demandPlainKey(name, index.columns, masks)
  const table = { name, columns, key }
  const { rows: rowsEstimate, rowBytes } = facts
  const types = columnTypes.map((type, place) =>
    key.includes(place) ? keyType(name, columns[place]?.name ?? '', type) : type,
  )
  const formats = types.map((type, place) => maskedFormat(type, masks.get(columns[place]?.name ?? '')))
  return { table, excluded, types, formats, keyIndex: index.name, rowsEstimate, rowBytes }
}

function maskedFormat(type: ColumnType, mask: Mask | undefined): TextFormat {
  const format = formatOf(type)
  return mask === undefined ? format : (text) => mask.cell(format(text))
}

/** What information_schema.tables knows; undefined = no such table. */
export async function tableFacts(
  connection: Connection,
  name: string,
): Promise<{ rows: number; rowBytes: number; engine: string; kind: string } | undefined> {
  const [row] = await query(
    connection,
    // MySQL 8 keeps these numbers for a day unless told otherwise; MariaDB reads the hint as a comment.
    `SELECT /*+ SET_VAR(information_schema_stats_expiry = 0) */ TABLE_ROWS AS row_count,
       AVG_ROW_LENGTH AS row_bytes, ENGINE AS engine, TABLE_TYPE AS kind
     FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`,
    splitName(name),
    `describing ${name}`,
  )
  if (row === undefined) return undefined
  const { row_count: rows, row_bytes: rowBytes, engine, kind } = row
  return {
    rows: Number(rows ?? 0),
    rowBytes: Number(rowBytes ?? 0),
    engine: textOf(engine),
    kind: textOf(kind),
  }
}

/** All columns in their order, excluded ones and those that cannot be read included. */
export async function describeColumns(
  connection: Connection,
  name: string,
): Promise<readonly DescribedColumn[]> {
  const rows = await query(
    connection,
    `SELECT COLUMN_NAME AS name, DATA_TYPE AS data_type, COLUMN_TYPE AS column_type, IS_NULLABLE AS nullable,
       CHARACTER_MAXIMUM_LENGTH AS characters, NUMERIC_PRECISION AS digits, NUMERIC_SCALE AS scale,
       DATETIME_PRECISION AS fraction, CHARACTER_SET_NAME AS charset
     FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`,
    splitName(name),
    `describing ${name}`,
  )
  return rows.map((row) => ({
    name: textOf(row['name']),
    nullable: row['nullable'] === 'YES',
    type: typeOfRow(row),
    charset: row['charset'] === null ? undefined : textOf(row['charset']),
  }))
}

/**
 * The primary key first, then unique indexes over whole columns without NULL, in the order in which the server itself
 * would prefer them.
 */
export async function uniqueIndexes(connection: Connection, name: string): Promise<readonly UniqueIndex[]> {
  const rows = await query(
    connection,
    `SELECT INDEX_NAME AS name, COLUMN_NAME AS column_name, SUB_PART AS part, NULLABLE AS nullable
     FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0
     ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX`,
    splitName(name),
    `reading the keys of ${name}`,
  )
  const indexes = Map.groupBy(rows, (row) => textOf(row['name']))
  const usable: UniqueIndex[] = []
  for (const [indexName, parts] of indexes) {
    // A part without a column is an expression; a prefix tells rows apart only in a primary key, whose rows it must.
    const isUsable = parts.every((part) => part['column_name'] !== null && part['nullable'] !== 'YES')
    const isWhole = indexName === 'PRIMARY' || parts.every((part) => part['part'] === null)
    if (isUsable && isWhole)
      usable.push({ name: indexName, columns: parts.map((part) => textOf(part['column_name'])) })
  }
  return usable
}

/** Throws a Failure, `configuration`, when no index will do. */
function chooseKey(name: string, indexes: readonly UniqueIndex[], options: TableOptions): UniqueIndex {
  const [first] = indexes
  if (first?.name === 'PRIMARY') return first
  const { keyColumns } = options
  const wanted = keyColumns?.toSorted().join('\n')
  const chosen =
    wanted === undefined ? first : indexes.find(({ columns }) => columns.toSorted().join('\n') === wanted)
  if (chosen !== undefined) return keyColumns === undefined ? chosen : { ...chosen, columns: keyColumns }
  const what =
    keyColumns === undefined ? 'no primary key and no unique key' : `no unique key (${keyColumns.join(', ')})`
  throw new Failure('configuration', `${name} has no usable key: ${what} without NULL`, {
    remedy: 'add a primary key, or a unique key whose columns are all NOT NULL',
  })
}

async function noSuchTable(connection: Connection, name: string): Promise<Failure> {
  const rows = await query(
    connection,
    `SELECT TABLE_SCHEMA AS table_schema, TABLE_NAME AS name FROM information_schema.TABLES
     WHERE TABLE_TYPE <> 'VIEW' AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
     LIMIT 10000`,
    [],
    'listing tables',
  )
  const names = rows.map((row) => `${textOf(row['table_schema'])}.${textOf(row['name'])}`)
  const near = likely(name, names)
  const remedy =
    near.length > 0
      ? `did you mean ${near.join(' or ')}?`
      : 'check the name, and that the user has SELECT on it: without it the table cannot be seen'
  return new Failure('configuration', `there is no table ${name}`, { remedy })
}

/** The columns of each index, in their order; up to a part that is an expression or a prefix. */
export async function indexColumns(
  connection: Connection,
  name: string,
): Promise<readonly (readonly string[])[]> {
  const rows = await query(
    connection,
    `SELECT INDEX_NAME AS name, COLUMN_NAME AS column_name, SUB_PART AS part
     FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?
     ORDER BY INDEX_NAME, SEQ_IN_INDEX`,
    splitName(name),
    `reading the indexes of ${name}`,
  )
  return [...Map.groupBy(rows, (row) => textOf(row['name'])).values()].map((parts) => {
    const end = parts.findIndex(({ column_name: column, part }) => column === null || part !== null)
    return parts.slice(0, end < 0 ? undefined : end).map((row) => textOf(row['column_name']))
  })
}

function typeOfRow(row: SqlRow): ColumnType | string {
  const columnType = textOf(row['column_type'])
  if (/mariadb-5\.3/.test(columnType) && Number(row['fraction'] ?? 0) > 0)
    return 'a fraction of a second in the format of MariaDB 5.3 cannot be read (ALTER TABLE ... FORCE renews it)'
  const dataType = textOf(row['data_type']).toLowerCase()
  const facts = {
    columnType,
    unsigned: /\b(unsigned|zerofill)\b/i.test(columnType),
    characters: Number(row['characters']),
    precision: Number(row['digits']),
    scale: Number(row['scale']),
    digits: Number(row['fraction'] ?? 0),
  }
  return TYPES.get(dataType)?.(facts) ?? rareType(dataType, columnType)
}

/** What information_schema says of a column's type. */
interface TypeFacts {
  readonly columnType: string
  readonly unsigned: boolean
  readonly characters: number
  readonly precision: number
  readonly scale: number
  /** Of a second. */
  readonly digits: number
}

function rareType(dataType: string, columnType: string): ColumnType | string {
  const shape = geometryNamed(dataType)
  return shape === undefined ? `the type ${columnType} cannot be read` : { kind: 'geometry', shape }
}

/** The labels in `enum('a','b''c')`. The server doubles quotes, and writes some characters behind a backslash. */
export function labelsOf(columnType: string): readonly string[] {
  const labels: string[] = []
  for (const [, quoted = ''] of columnType.matchAll(/'((?:[^'\\]|''|\\[^])*)'/g))
    labels.push(
      quoted.replace(/''|\\([^])/g, (both: string, character?: string) =>
        both === "''" ? "'" : (ESCAPED[character ?? ''] ?? character ?? ''),
      ),
    )
  return labels
}

const ESCAPED: Readonly<Record<string, string>> = { '0': '\0', n: '\n', r: '\r', Z: '\u001a' }

const TYPES: ReadonlyMap<string, (facts: TypeFacts) => ColumnType> = new Map<
  string,
  (facts: TypeFacts) => ColumnType
>([
  ['tinyint', ({ unsigned }) => ({ kind: 'integer', bytes: 1, unsigned })],
  ['smallint', ({ unsigned }) => ({ kind: 'integer', bytes: 2, unsigned })],
  ['mediumint', ({ unsigned }) => ({ kind: 'integer', bytes: 3, unsigned })],
  ['int', ({ unsigned }) => ({ kind: 'integer', bytes: 4, unsigned })],
  ['bigint', ({ unsigned }) => ({ kind: 'integer', bytes: 8, unsigned })],
  ['decimal', ({ precision, scale, unsigned }) => ({ kind: 'decimal', precision, scale, unsigned })],
  ['float', ({ unsigned }) => ({ kind: 'float', unsigned })],
  ['double', ({ unsigned }) => ({ kind: 'double', unsigned })],
  ['bit', ({ precision }) => ({ kind: 'bit', bits: precision })],
  ['year', () => ({ kind: 'year' })],
  ['date', () => ({ kind: 'date' })],
  ['json', () => ({ kind: 'json' })],
  ['datetime', ({ digits }) => ({ kind: 'datetime', digits })],
  ['timestamp', ({ digits }) => ({ kind: 'timestamp', digits })],
  ['time', ({ digits }) => ({ kind: 'time', digits })],
  ['char', ({ characters }) => ({ kind: 'string', fixed: true, characters })],
  ['varchar', ({ characters }) => ({ kind: 'string', fixed: false, characters })],
  ['binary', ({ characters }) => ({ kind: 'binary', fixed: true, bytes: characters })],
  ['varbinary', ({ characters }) => ({ kind: 'binary', fixed: false, bytes: characters })],
  ['tinytext', () => ({ kind: 'text', lengthBytes: 1 })],
  ['text', () => ({ kind: 'text', lengthBytes: 2 })],
  ['mediumtext', () => ({ kind: 'text', lengthBytes: 3 })],
  ['longtext', () => ({ kind: 'text', lengthBytes: 4 })],
  ['tinyblob', () => ({ kind: 'blob', lengthBytes: 1 })],
  ['blob', () => ({ kind: 'blob', lengthBytes: 2 })],
  ['mediumblob', () => ({ kind: 'blob', lengthBytes: 3 })],
  ['longblob', () => ({ kind: 'blob', lengthBytes: 4 })],
  ['vector', ({ columnType }) => ({ kind: 'vector', dimensions: Number(/\d+/.exec(columnType)?.[0] ?? 0) })],
  ['uuid', () => ({ kind: 'uuid' })],
  ['inet4', () => ({ kind: 'address', bytes: 4 })],
  ['inet6', () => ({ kind: 'address', bytes: 16 })],
  ['enum', ({ columnType }) => ({ kind: 'enum', labels: labelsOf(columnType) })],
  ['set', ({ columnType }) => ({ kind: 'set', labels: labelsOf(columnType) })],
])

function textOf(value: SqlValue | undefined): string {
  return Buffer.isBuffer(value) ? value.toString('utf8') : String(value ?? '')
}
