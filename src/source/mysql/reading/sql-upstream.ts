/**
 * A query on a server as what documents are enriched from. Questions become one statement; each row says by its first
 * column to which question it belongs.
 *
 *   SELECT country, name, area FROM geo.countries WHERE country IN (:keys)
 *   {"country":"de"}, {"country":"fr"}   →   {"name":"Germany","area":357588}, nothing
 */
import { Failure } from '../../../change/failure.ts'
import { parseExact } from '../../../change/exact-json.ts'
import { textOf } from '../../../change/row.ts'
import type { Answer, Question, Upstream } from '../../../upstream/upstream.ts'
import { formatOfAnswer } from './answer-columns.ts'
import { attributed, rounds } from './answer-keys.ts'
import { connect, hangUp, type Connection, type MysqlSettings } from '../server/connection.ts'
import { failureOf } from '../server/server-errors.ts'
import { timeLimit } from '../server/time-limit.ts'

export interface SqlSettings {
  /** For messages. */
  readonly name: string
  /** With `:keys` once, in brackets. */
  readonly query: string
  /** Whether a question has one row at most, or any number, as a list. */
  readonly rows: 'one' | 'many'
  /** The column that is the answer; undefined = all but the first, as an object. */
  readonly value: string | undefined
  readonly questionsMax: number
  readonly timeoutMs: number
}

/** Reads only: the server refuses its connections whatever else a query does. */
export class SqlUpstream implements Upstream {
  readonly questionsMax: number
  readonly #server: MysqlSettings
  readonly #settings: SqlSettings
  /** Connections that nobody uses now. */
  readonly #idle: Connection[] = []

  constructor(server: MysqlSettings, settings: SqlSettings) {
    this.#server = server
    this.#settings = settings
    this.questionsMax = settings.questionsMax
  }

  async ask(questions: readonly Question[], signal: AbortSignal): Promise<readonly Answer[]> {
    const keys = questions.map((question) => Object.values(question)[0] ?? 'null')
    const answers = new Map<string, Answer>()
    for (const asked of rounds(keys)) {
      const byKey = attributed(asked, await this.#rows(asked, signal))
      if (byKey === undefined) throw this.#beside()
      for (const key of asked) answers.set(key, this.#answer(byKey.get(key)?.map(({ answer }) => answer)))
    }
    return keys.map((key) => answers.get(key))
  }

  async close(): Promise<void> {
    for (const connection of this.#idle.splice(0)) hangUp(connection)
  }

  #answer(rows: readonly string[] | undefined): Answer {
    if (this.#settings.rows === 'many') return `[${(rows ?? []).join(',')}]`
    if (rows === undefined || rows.length < 2) return rows?.[0]
    const { name } = this.#settings
    throw new Failure(
      'configuration',
      `the query of the upstream ${name} gave ${rows.length} rows for one key`,
      {
        remedy: `say upstreams.${name}.rows: many, or make the query answer with one`,
      },
    )
  }

  #beside(): Failure {
    const { name } = this.#settings
    return new Failure(
      'configuration',
      `the query of the upstream ${name} gave a row for a key that was not asked for`,
      { remedy: 'let its first column be the very column that is compared with :keys' },
    )
  }

  async #rows(
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly { readonly key: string; readonly answer: string }[]> {
    const { name, timeoutMs } = this.#settings
    const connection = this.#idle.pop() ?? (await this.#connect())
    const ending = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    const end = (): void => hangUp(connection)
    ending.addEventListener('abort', end, { once: true })
    try {
      // An abort from before is not told any more.
      ending.throwIfAborted()
      const rows = await this.#select(connection, keys)
      this.#idle.push(connection)
      return rows
    } catch (error) {
      hangUp(connection)
      signal.throwIfAborted()
      if (!ending.aborted) throw error
      throw new Failure('transient', `the upstream ${name} did not answer within ${timeoutMs} ms`, {
        cause: error,
      })
    } finally {
      ending.removeEventListener('abort', end)
    }
  }

  async #connect(): Promise<Connection> {
    const connection = await connect(this.#server)
    try {
      await connection.query('SET SESSION TRANSACTION READ ONLY')
      // A query that nobody waits for any more ends by itself.
      await connection.query(timeLimit(this.#settings.timeoutMs + graceMs))
      return connection
    } catch (error) {
      hangUp(connection)
      throw failureOf(error, `preparing the upstream ${this.#settings.name}`)
    }
  }

  async #select(
    connection: Connection,
    keys: readonly string[],
  ): Promise<readonly { readonly key: string; readonly answer: string }[]> {
    const { query, name, value } = this.#settings
    try {
      const [rows, fields] = await connection.query({
        sql: query.replace(':keys', keys.map(() => '?').join(', ')),
        values: keys.map(parameterOf),
        rowsAsArray: true,
        typeCast: (field) => field.string('latin1'),
      })
      const formats = fields.map(formatOfAnswer)
      const cellsOf = (row: readonly (string | null)[]): readonly string[] =>
        row.map((cell, at) => (cell === null ? 'null' : textOf(formats[at]?.(cell) ?? cell)))
      const names = fields.map((field) => field.name)
      const chosen = value === undefined ? undefined : names.indexOf(value)
      if (chosen === -1) throw withoutColumn(name, value ?? '', names)
      return (rows as unknown as (string | null)[][]).map((row) => {
        const cells = cellsOf(row)
        const answer = chosen === undefined ? objectOf(names, cells) : (cells[chosen] ?? 'null')
        return { key: cells[0] ?? 'null', answer }
      })
    } catch (error) {
      throw failureOf(error, `the query of the upstream ${name}`)
    }
  }
}

/** We give up before the server does. */
const graceMs = 1000

function objectOf(names: readonly string[], cells: readonly string[]): string {
  const members = names.slice(1).map((name, at) => `${JSON.stringify(name)}:${cells[at + 1] ?? 'null'}`)
  return `{${members.join(',')}}`
}

function parameterOf(text: string): unknown {
  const value = parseExact(text)
  // A decimal that JavaScript would round stays its text.
  return typeof value === 'object' && value !== null ? text : value
}

function withoutColumn(upstream: string, value: string, names: readonly string[]): Failure {
  return new Failure(
    'configuration',
    `the query of the upstream ${upstream} answers with no column ${value}`,
    {
      remedy: `its columns are ${names.join(', ')}`,
    },
  )
}
