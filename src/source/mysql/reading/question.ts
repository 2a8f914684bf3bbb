/** A person's query before it is asked: whether it only reads, what it reads and answers with, and how the server would go about it. */
import { Failure } from '../../../change/failure.ts'
import { unpackRow } from '../../../change/row.ts'
import type { Finding, Question, QuestionFacts } from '../../source.ts'
import { answerShape, fieldsOf, placeholder, withValues } from './answers.ts'
import { query, type Connection } from '../server/connection.ts'
import { describeTable, type TableOptions } from '../schema/describe.ts'
import { rawAnswer } from './raw-answer.ts'
import { valuesSql } from './related.ts'
import { prepareSession } from './read-view.ts'
import { isName, wordsOf, type Word } from '../schema/sql-words.ts'
import { quoted } from '../schema/names.ts'
import { keyNames, selectFrom, selectRows } from './table-rows.ts'

/** Asks for nothing. Throws a Failure, `configuration`, for what is not one SELECT of tables, or what the server refuses. */
export async function describeQuestion(connection: Connection, question: Question): Promise<QuestionFacts> {
  demandSelect(question.sql)
  await prepareSession(connection)
  await query(connection, 'START TRANSACTION READ ONLY', [], 'beginning a read')
  try {
    const { table: answer } = answerShape(question, await fieldsOf(connection, question))
    return { answer, tables: await tablesOf(connection, question.sql) }
  } finally {
    await query(connection, 'ROLLBACK', [], 'ending a read')
  }
}

/** Throws a Failure, `configuration`. */
export function demandSelect(sql: string): void {
  const words = wordsOf(sql.replace(/;\s*$/, ''))
  const fault =
    faultOf(words) ?? (sql.match(placeholder)?.length === 1 ? undefined : 'does not have its values once')
  if (fault === undefined) return
  throw new Failure('configuration', `the query of sql ${fault}`, {
    remedy: 'write one SELECT that only reads, with IN (:ids) once; a query under roots has IN (:values)',
  })
}

function faultOf(words: readonly Word[]): string | undefined {
  const [first] = words
  if (first?.keyword !== 'SELECT' && first?.keyword !== 'WITH' && first?.keyword !== '(')
    return 'is no SELECT'
  if (words.some(({ keyword }) => keyword === ';')) return 'is several statements'
  const writing = words.find(({ keyword }) => forbidden.has(keyword))
  if (writing !== undefined) return `says ${writing.keyword}`
  const locks = words.some(({ keyword }, at) => keyword === 'FOR' && words[at + 1]?.keyword === 'SHARE')
  return locks ? 'locks rows' : undefined
}

const forbidden: ReadonlySet<string> = new Set(['INTO', 'LOCK', 'UPDATE', 'DELETE', 'SLEEP', 'GET_LOCK'])

/** Names with a point that are tables; the connection has no schema of its own, so every table is spelled so. */
async function tablesOf(connection: Connection, sql: string): Promise<readonly string[]> {
  const pairs = [...new Map(pairsIn(wordsOf(sql)).map((pair) => [pair.join('.'), pair])).values()]
  if (pairs.length === 0) return []
  const rows = await query(
    connection,
    `SELECT TABLE_SCHEMA AS table_schema, TABLE_NAME AS name, TABLE_TYPE AS kind FROM information_schema.TABLES
     WHERE ${pairs.map(() => '(TABLE_SCHEMA = ? AND TABLE_NAME = ?)').join(' OR ')}`,
    pairs.flat(),
    'looking for the tables of the query',
  )
  const view = rows.find(({ kind }) => String(kind).endsWith('VIEW'))
  if (view !== undefined)
    throw new Failure(
      'configuration',
      `the query of sql reads ${String(view['name'])}, a view: only tables have changes`,
      {
        remedy: 'write the tables that the view reads into the query',
      },
    )
  return rows.map((row) => `${String(row['table_schema'])}.${String(row['name'])}`)
}

function pairsIn(words: readonly Word[]): readonly (readonly [string, string])[] {
  return words.flatMap((word, at): readonly (readonly [string, string])[] => {
    const [point, next] = [words[at + 1], words[at + 2]]
    const isPair = isName(word) && point?.value === '.' && next !== undefined && isName(next)
    return isPair ? [[word.value, next.value]] : []
  })
}

/** With values of the first rows of the table: what is read whole though an index could find it. */
export async function explainQuestion(
  connection: Connection,
  question: Question,
  options: TableOptions,
): Promise<readonly Finding[]> {
  const { sql, table, by } = question
  await prepareSession(connection)
  const shape = await describeTable(connection, table, options)
  const first = `${selectFrom(shape)} ORDER BY ${keyNames(shape).join(', ')} LIMIT 3`
  const rows = await selectRows(connection, shape, { sql: first, parameters: [] }, Infinity)
  const places = by.map((name) => shape.table.columns.findIndex((column) => column.name === name))
  const combinations = rows
    .map(({ row }) => unpackRow(row, shape.table.columns.length))
    .map((cells) => places.flatMap((at) => cells[at] ?? []))
    .filter((cells) => cells.length === by.length)
  if (combinations.length === 0) return []
  const values = valuesSql(shape, by, combinations)
  const statement = {
    sql: `EXPLAIN FORMAT = TRADITIONAL ${withValues(sql, values.sql)}`,
    parameters: values.parameters,
  }
  const explained = await rawAnswer(connection, statement, Infinity, 'explaining the query of sql')
  const names = explained.fields.map(({ name }) => name)
  const found = explained.rows.flatMap((row) => {
    const cellOf = (name: string): string | null => row[names.indexOf(name)] ?? null
    const [alias, type, possible] = [cellOf('table'), cellOf('type'), cellOf('possible_keys')]
    const isWhole = (type === 'ALL' || type === 'index') && possible === null
    if (!isWhole || alias === null || alias.startsWith('<')) return []
    return [readWhole(sql, alias, cellOf('rows') ?? '?')]
  })
  // Two parts of the query may read a table alike.
  return [...new Map(found.map((finding) => [finding.found, finding])).values()]
}

function readWhole(sql: string, alias: string, rows: string): Finding {
  const words = wordsOf(sql)
  const table = tableBehind(words, alias) ?? alias
  const columns = comparedColumns(words, alias)
  const found = `${table} is read whole for each batch of documents, about ${rows} rows: no index serves`
  const level = 'warning' as const
  const [column] = columns
  if (column === undefined) return { level, fact: 'query of sql', found }
  const name = quoted(`by_${column}`)
  const on = table.split('.').map(quoted).join('.')
  return {
    level,
    fact: 'query of sql',
    found,
    remedies: { mysql: `CREATE INDEX ${name} ON ${on} (${quoted(column)})` },
  }
}

/** `schema.table` of `FROM schema.table [AS] alias`. */
function tableBehind(words: readonly Word[], alias: string): string | undefined {
  for (const [at, word] of words.entries()) {
    const [point, name] = [words[at + 1], words[at + 2]]
    if (point?.value !== '.' || name === undefined) continue
    const next = words[at + 3]?.keyword === 'AS' ? words[at + 4] : words[at + 3]
    if (next?.value === alias || name.value === alias) return `${word.value}.${name.value}`
  }
  return undefined
}

/** Columns of a table that stand beside `=` or before IN. */
function comparedColumns(words: readonly Word[], alias: string): readonly string[] {
  return words.flatMap((word, at) => {
    if (word.value !== alias || words[at + 1]?.value !== '.') return []
    const isCompared = words[at - 1]?.value === '=' || ['=', 'IN'].includes(words[at + 3]?.keyword ?? '')
    const column = words[at + 2]?.value
    return isCompared && column !== undefined ? [column] : []
  })
}
