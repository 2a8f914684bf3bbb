/** Rows of several tables at one point in time, found by the values of some of their columns. */
import type { Table } from '../../../change/change.ts'
import { Failure } from '../../../change/failure.ts'
import type { RelatedRequest, RelatedRows, View, ViewRequest } from '../../source.ts'
import { AnsweredRows, type Mark } from './answered-rows.ts'
import type { Answers } from './answers.ts'
import type { ColumnType } from '../values/column-type.ts'
import type { Connection } from '../server/connection.ts'
import type { TableOptions, TableShape } from '../schema/describe.ts'
import type { KnownShape, KnownShapes } from '../schema/known-shapes.ts'
import { quoted } from '../schema/names.ts'
import { rawRows } from './raw-answer.ts'
import { headAfter, prepareSession, withView, type ReadView } from './read-view.ts'
import { afterKey } from './snapshot.ts'
import { partOf } from './table-part.ts'
import { asDescribed, keyNames, parseCell, selectColumns, type Statement } from './table-rows.ts'
import { keyValue } from '../values/text-values.ts'

/** What a view is read with. The connection is used by nobody else meanwhile. */
export interface ViewReader extends Omit<ReadView, 'includes'> {
  readonly shapes: KnownShapes
  readonly answers: Answers
  readonly optionsOf: (table: string) => TableOptions
}

/** Throws a Failure as withView and describeTable. */
export async function readView<Result>(
  { tables, includes }: ViewRequest,
  reader: ViewReader,
  read: (view: View) => Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  const { connection, shapes, answers, optionsOf } = reader
  await prepareSession(connection)
  const asked = { ...reader, includes }
  return await withView(asked, signal, async () => {
    const known = await shapes.of(connection, tables, optionsOf)
    return await read({
      related: async (request, ending) => {
        ending.throwIfAborted()
        return await related(connection, shapeIn(known, request.table), request)
      },
      answers: async (request, ending) => {
        ending.throwIfAborted()
        return await answers.ask(connection, shapeIn(known, request.table).shape, request)
      },
      head: () => headAfter(asked),
    })
  })
}

function shapeIn(known: ReadonlyMap<string, KnownShape>, table: string): KnownShape {
  const found = known.get(table)
  if (found === undefined) throw new Error(`${table} is not one of the view's tables`)
  return found
}

async function related(
  connection: Connection,
  known: KnownShape,
  request: RelatedRequest,
): Promise<RelatedRows> {
  const { columns, by } = request
  const shape =
    columns === undefined ? known.shape : partOf(known.shape, [...columns, ...request.marks, ...by])
  const marks = request.marks.map((name) => markOf(known, shape, name))
  const weights = marks.flatMap(({ weight }) => weight ?? [])
  const answered = new AnsweredRows(shape, marks, Math.min(request.rowsMax, rowsEach * request.values.length))
  const asked = rawRows(connection, relatedQuery(shape, weights, request), {
    bytesMax: request.bytesMax ?? Infinity,
    take: (packet, from, to) => answered.take(packet, from, to),
  })
  const { bytes, isCut } = await asDescribed(shape.table.name, asked)
  return { table: shape.table, rows: answered.rows, bytes, isCut }
}

/** Of so many rows for each combination of values it is known beforehand what they may take. */
const rowsEach = 4

function markOf({ collations }: KnownShape, { table, types }: TableShape, name: string): Mark {
  const at = columnAt(table, name)
  const kind = types[at]?.kind ?? 'integer'
  if (kind !== 'string' && kind !== 'text') return { at, kind, weight: undefined }
  const isPadded = !/_0900_|_nopad_|^binary$/.test(collations.get(name) ?? '')
  const value = isPadded ? `TRIM(TRAILING ' ' FROM ${quoted(name)})` : quoted(name)
  return { at, kind, weight: `HEX(WEIGHT_STRING(${value}))` }
}

function columnAt(table: Table, name: string): number {
  const at = table.columns.findIndex((column) => column.name === name)
  if (at >= 0) return at
  throw new Failure('configuration', `${table.name} has no column ${name}`, {
    remedy: `its columns are ${table.columns.map((column) => column.name).join(', ')}`,
  })
}

function relatedQuery(
  shape: TableShape,
  weights: readonly string[],
  { by, values, order, after, rowsMax }: RelatedRequest,
): Statement {
  const wanted = conditionOf(shape, by, values)
  const rest = after === undefined ? undefined : afterKey(shape, after)
  const sorted = [
    ...order.map(({ column, descending }) => `${quoted(column)}${descending ? ' DESC' : ''}`),
    ...keyNames(shape),
  ]
  const sql = [
    selectColumns(shape, weights),
    `WHERE ${wanted.sql}${rest === undefined ? '' : ` AND ${rest.sql}`}`,
    `ORDER BY ${sorted.join(', ')} LIMIT ${rowsMax}`,
  ].join(' ')
  return { sql, parameters: [...wanted.parameters, ...(rest?.parameters ?? [])] }
}

/** `a IN (?, ?)`, and for several columns `(a, b) IN ((?, ?), ...)`: points of an index. */
function conditionOf(
  shape: TableShape,
  by: readonly string[],
  combinations: readonly (readonly string[])[],
): Statement {
  const { sql, parameters } = valuesSql(shape, by, combinations)
  const names = by.map(quoted).join(', ')
  return { sql: `${by.length === 1 ? names : `(${names})`} IN (${sql})`, parameters }
}

/** `?, ?`, and for several columns `(?, ?), (?, ?)`: looked up in a sorted list for each row, where a chain of OR would be gone through. */
export function valuesSql(
  { table, types }: TableShape,
  by: readonly string[],
  combinations: readonly (readonly string[])[],
): Statement {
  const columnTypes = by.map((name) => typeAt(types, columnAt(table, name)))
  const parameters: (string | Buffer)[] = []
  const sqlOf = (cells: readonly string[], at: number): string => {
    const cell = cells[at] ?? 'null'
    const type = typeAt(columnTypes, at)
    // Most keys are integers, and there is one for each document.
    if (type.kind === 'integer' && wholeNumber.test(cell)) return cell
    const value = keyValue(type, parseCell(cell))
    parameters.push(...value.parameters)
    return value.sql
  }
  const rows = combinations.map((cells) =>
    by.length === 1 ? sqlOf(cells, 0) : `(${by.map((_, at) => sqlOf(cells, at)).join(', ')})`,
  )
  return { sql: rows.join(', '), parameters }
}

const wholeNumber = /^-?\d+$/

function typeAt(types: TableShape['types'], at: number): ColumnType {
  const type = types[at]
  if (type === undefined) throw new Error('a column without a type')
  return type
}
