/** The row that a canary changes: an UPDATE of one column, as any application would do it. */
import type { Key } from '../../../change/change.ts'
import { Failure } from '../../../change/failure.ts'
import { connect, hangUp, type Connection, type MysqlSettings } from '../server/connection.ts'
import { describeTable, tableOptions } from '../schema/describe.ts'
import { failureOf } from '../server/server-errors.ts'
import { quoted, quotedTable } from '../schema/names.ts'
import { keyNames, keyValues } from './table-rows.ts'

export interface CanaryPlace {
  /** `schema.table`. */
  readonly table: string
  readonly key: Key
  /** Of integers of 64 bits. */
  readonly column: string
}

export class CanaryRow {
  readonly #settings: MysqlSettings
  readonly #place: CanaryPlace
  #connection: Connection | undefined

  /** Nothing is sent before the first change. */
  constructor(settings: MysqlSettings, place: CanaryPlace) {
    this.#settings = settings
    this.#place = place
  }

  /** Resolves when it is committed. Throws a Failure: `configuration` where there is no such row. */
  async change(value: number): Promise<void> {
    const { table } = this.#place
    const connection = (this.#connection ??= await connect(this.#settings))
    try {
      const changed = await this.#update(connection, value)
      if (changed > 0) return
    } catch (error) {
      this.close()
      throw error instanceof Failure ? error : failureOf(error, `changing the canary of ${table}`)
    }
    throw new Failure('configuration', `${table} has no row ${this.#place.key} to be the canary`, {
      remedy: 'insert it, or name another one under policy.canary.row',
    })
  }

  close(): void {
    if (this.#connection !== undefined) hangUp(this.#connection)
    this.#connection = undefined
  }

  async #update(connection: Connection, value: number): Promise<number> {
    const { table, key, column } = this.#place
    const shape = await describeTable(connection, table, tableOptions(this.#settings, table))
    const values = keyValues(shape, key)
    const points = keyNames(shape).map((each, at) => `${each} = ${values[at]?.sql ?? 'NULL'}`)
    const sql = `UPDATE ${quotedTable(table)} SET ${quoted(column)} = ? WHERE ${points.join(' AND ')}`
    const [result] = await connection.query({
      sql,
      values: [value, ...values.flatMap(({ parameters }) => parameters)],
      timeout: timeoutMs,
    })
    return 'affectedRows' in result ? result.affectedRows : 0
  }
}

const timeoutMs = 10_000
