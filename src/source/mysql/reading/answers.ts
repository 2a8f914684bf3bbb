/**
 * What a person's query answers for some values, in cells as change events have them. The place of the values is
 * `IN (:ids)` or `IN (:values)`, once.
 *
 *   SELECT id, name FROM shop.orders WHERE id IN (:ids)    [7], [8]    →    ... WHERE id IN (7, 8)
 */
import { Failure } from '../../../change/failure.ts'
import { keyOf, packRow } from '../../../change/row.ts'
import { relatedRow, type AnswersRequest, type Question, type RelatedRows } from '../../source.ts'
import { formatOfAnswer, typeOfAnswer } from './answer-columns.ts'
import { describeColumn } from '../values/column-type.ts'
import { query, type Connection, type FieldPacket } from '../server/connection.ts'
import type { TableShape } from '../schema/describe.ts'
import { rawAnswer } from './raw-answer.ts'
import { valuesSql } from './related.ts'
import { afterKey } from './snapshot.ts'
import { cellsOf, keyNames, type Statement } from './table-rows.ts'

/** Asks queries, and keeps the tables that their answers are, so that equal ones are one object. */
export class Answers {
  readonly #shapes = new Map<string, TableShape>()

  /** `shape`: of the table whose values are given. Throws a Failure, `configuration` for what the server refuses. */
  async ask(connection: Connection, shape: TableShape, request: AnswersRequest): Promise<RelatedRows> {
    await prepareLists(connection)
    const statement = await this.#statement(connection, shape, request)
    const { bytesMax = Infinity } = request
    const { rows, fields, ...size } = await rawAnswer(connection, statement, bytesMax, attempt)
    const { table, formats } = this.#shapeOf(request, fields)
    const related = rows.map((values) => {
      const cells = cellsOf(formats, values)
      return relatedRow(keyOf(table, cells), packRow(cells))
    })
    return { ...size, table, rows: related }
  }

  async #statement(connection: Connection, shape: TableShape, request: AnswersRequest): Promise<Statement> {
    const { sql, by, values, page } = request
    const wanted = valuesSql(shape, by, values)
    const asked = { sql: withValues(sql, wanted.sql), parameters: wanted.parameters }
    if (page === undefined) return asked
    const answer =
      this.#shapes.get(nameOf(request)) ?? this.#shapeOf(request, await fieldsOf(connection, request))
    const rest = page.after === undefined ? undefined : afterKey(answer, page.after)
    const names = keyNames(answer).join(', ')
    return {
      sql: `SELECT DISTINCT ${names} FROM (${asked.sql}) AS answer${rest === undefined ? '' : ` WHERE ${rest.sql}`} ORDER BY ${names} LIMIT ${page.rowsMax}`,
      parameters: [...asked.parameters, ...(rest?.parameters ?? [])],
    }
  }

  #shapeOf(question: Question, fields: readonly FieldPacket[]): TableShape {
    const made = answerShape(question, fields)
    const name = nameOf(question)
    const known = this.#shapes.get(name)
    if (known !== undefined && JSON.stringify(known.table) === JSON.stringify(made.table)) return known
    this.#shapes.set(name, made)
    return made
  }
}

const attempt = 'asking the query of sql'

/** The columns that a query answers with. */
export async function fieldsOf(
  connection: Connection,
  { sql, by }: Question,
): Promise<readonly FieldPacket[]> {
  const nothing = by.length === 1 ? 'NULL' : `(${by.map(() => 'NULL').join(', ')})`
  const statement = { sql: withValues(sql, nothing), parameters: [] }
  return (await rawAnswer(connection, statement, Infinity, attempt)).fields
}

/** The answer as a table. Throws a Failure, `configuration`, where it has no key or a column twice. */
export function answerShape({ keyLength, table }: Question, fields: readonly FieldPacket[]): TableShape {
  const types = fields.map(typeOfAnswer)
  const columns = fields.map(({ name }, at) => {
    const type = types[at]
    if (type === undefined) throw new Error('a column without a type')
    return describeColumn(name, true, type)
  })
  const twice = columns.find(({ name }, at) => columns.findIndex((other) => other.name === name) < at)
  if (twice !== undefined)
    throw new Failure('configuration', `the query answers with two columns ${twice.name}`, {
      remedy: 'give one of them another name: SELECT ... AS another',
    })
  if (columns.length < keyLength)
    throw new Failure(
      'configuration',
      `the query answers with ${columns.length} columns, the key of ${table} has ${keyLength}`,
      {
        remedy: 'let its first columns be that key',
      },
    )
  const key = Array.from({ length: keyLength }, (_, at) => at)
  return {
    table: { name: 'answer', columns, key },
    types,
    formats: fields.map(formatOfAnswer),
    keyIndex: '',
    excluded: [],
    rowsEstimate: 0,
    rowBytes: 0,
  }
}

/** Where the values stand in a query, and what asks for them. */
export const placeholder = /:(?:ids|values)\b/g

export function withValues(sql: string, values: string): string {
  return sql.replace(placeholder, () => values).replace(/;\s*$/, '')
}

/** GROUP_CONCAT, and MariaDB's JSON_ARRAYAGG, would cut long lists short and say nothing. */
async function prepareLists(connection: Connection): Promise<void> {
  if (ready.has(connection)) return
  await query(
    connection,
    'SET SESSION group_concat_max_len = 1073741824',
    [],
    'preparing a session for lists',
  )
  ready.add(connection)
}

const ready = new WeakSet<Connection>()

function nameOf({ sql, table, by }: Question): string {
  return JSON.stringify([sql, table, by])
}
