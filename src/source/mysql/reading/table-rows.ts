/** Rows that a SELECT answers, in the same cells as the binlog's; and keys in its conditions. */
import type { Key } from '../../../change/change.ts'
import { parseDigits } from '../../../change/exact-json.ts'
import { Failure } from '../../../change/failure.ts'
import { keyOf, packRow, textOf, type Cell } from '../../../change/row.ts'
import type { Chunk } from '../../source.ts'
import type { Connection } from '../server/connection.ts'
import type { TableShape } from '../schema/describe.ts'
import { quoted, quotedTable } from '../schema/names.ts'
import { rawAnswer } from './raw-answer.ts'
import { isUnknownName } from '../server/server-errors.ts'
import { keyValue, selected, type KeyValue, type TextFormat } from '../values/text-values.ts'

export interface Statement {
  readonly sql: string
  readonly parameters: readonly (string | Buffer)[]
}

/** The rows of a statement that selects all columns of the table, up to so many bytes, but at least one. */
export async function selectRows(
  connection: Connection,
  { table, formats }: TableShape,
  statement: Statement,
  bytesMax: number,
): Promise<Chunk['rows']> {
  const rows: { key: Key; row: ReturnType<typeof packRow> }[] = []
  let bytes = 0
  const answer = await asDescribed(table.name, rawAnswer(connection, statement, bytesMax))
  for (const values of answer.rows) {
    const cells = cellsOf(formats, values)
    const row = packRow(cells)
    bytes += row.length
    if (bytes > bytesMax && rows.length > 0) break
    rows.push({ key: keyOf(table, cells), row })
  }
  return rows
}

/**
 * The answer to a statement that was made from a description of the table. Throws a Failure, `transient`, where the
 * server no longer knows what the description names: whoever tries again describes the table anew.
 */
export async function asDescribed<Answer>(table: string, answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer
  } catch (error) {
    if (!isUnknownName(error)) throw error
    throw new Failure('transient', `${table} was altered while it was read`, { cause: error })
  }
}

/** The cells of a row, from the server's own bytes. */
export function cellsOf(formats: readonly TextFormat[], values: readonly (string | null)[]): Cell[] {
  return formats.map((format, column) => {
    const value = values[column] ?? null
    return value === null ? null : format(value)
  })
}

/** `SELECT column, ... FROM table FORCE INDEX (key)`. */
export function selectFrom(shape: TableShape): string {
  return `${selectColumns(shape)} FORCE INDEX (${quoted(shape.keyIndex)})`
}

/** `SELECT column, ..., more, ... FROM table`. */
export function selectColumns({ table, types }: TableShape, more: readonly string[] = []): string {
  const columns = table.columns.map(({ name }, index) => selectedColumn(name, types[index]))
  return `SELECT ${[...columns, ...more].join(', ')} FROM ${quotedTable(table.name)}`
}

/** The names of the key's columns, as SQL. */
export function keyNames({ table }: TableShape): readonly string[] {
  return table.key.map((index) => quoted(table.columns[index]?.name ?? ''))
}

/** The values of a key as SQL, in its order. */
export function keyValues({ table, types }: TableShape, key: Key): readonly KeyValue[] {
  const values = parseKey(key)
  if (values.length !== table.key.length)
    throw new Failure(
      'corrupt',
      `a key of ${values.length} values for ${table.name}, whose key has ${table.key.length}`,
    )
  return values.map((value, place) => {
    const type = types[table.key[place] ?? -1]
    if (type === undefined) throw new Error(`${table.name}: a key column without a type`)
    return keyValue(type, value)
  })
}

/** The values of a key; numbers stay the text that they are. */
function parseKey(key: Key): readonly unknown[] {
  const values: unknown = parseDigits(textOf(key))
  if (!Array.isArray(values)) throw new Failure('corrupt', 'a key that is no JSON array')
  return values
}

/** The value of a cell; a number stays the text that it is. */
export function parseCell(cell: string): unknown {
  return parseDigits(textOf(cell))
}

function selectedColumn(name: string, type: TableShape['types'][number] | undefined): string {
  if (type === undefined) throw new Error(`a column ${name} without a type`)
  return selected(quoted(name), type)
}
