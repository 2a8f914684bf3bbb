/** Changes rows as a live application would: a few at a time, in small transactions, all day long. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection } from 'mysql2/promise'
import { citiesTable, columns } from './cities-table.ts'

export class LiveWriter {
  readonly #connection: Connection
  /** The numbers of the rows that the table has. */
  readonly #ids: number[]
  #nextId = 100_000_000
  #changes = 0

  /** Owns the list: it holds the table's rows at every moment between transactions. */
  constructor(connection: Connection, ids: number[]) {
    this.#connection = connection
    this.#ids = ids
  }

  get rows(): number {
    return this.#ids.length
  }

  /** How many rows were changed so far. */
  get changes(): number {
    return this.#changes
  }

  /** Changes about `perSecond` rows a second until the signal aborts. */
  async run(perSecond: number, signal: AbortSignal): Promise<void> {
    const begun = performance.now()
    const before = this.#changes
    while (!signal.aborted) {
      const due = ((performance.now() - begun) * perSecond) / 1000
      if (this.#changes - before >= due) await delay(5)
      else await this.#transaction()
    }
  }

  async #transaction(): Promise<void> {
    await this.#connection.query('BEGIN')
    const changes = 1 + Math.floor(Math.random() * 6)
    for (let done = 0; done < changes; done++) await this.#changeOne()
    await this.#connection.query('COMMIT')
  }

  async #changeOne(): Promise<void> {
    const kind = Math.random()
    if (kind < 0.6) await this.#update()
    else if (kind < 0.78) await this.#insert()
    else if (kind < 0.92) await this.#delete()
    else await this.#changeKey()
  }

  async #update(): Promise<void> {
    const growth = Math.floor(Math.random() * 1000)
    await this.#change(`UPDATE ${citiesTable} SET population = population + ? WHERE city_id = ?`, [
      growth,
      this.#pick(),
    ])
  }

  /** A suburb of a city that there is. */
  async #insert(): Promise<void> {
    const id = this.#nextId++
    const named = columns.replace('city_id', '?').replace('name', "CONCAT(LEFT(name, 90), ' Nova')")
    await this.#change(
      `INSERT INTO ${citiesTable} (${columns}) SELECT ${named} FROM ${citiesTable} WHERE city_id = ?`,
      [id, this.#pick()],
    )
    this.#ids.push(id)
  }

  async #delete(): Promise<void> {
    const at = this.#pickPlace()
    await this.#change(`DELETE FROM ${citiesTable} WHERE city_id = ?`, [this.#ids[at]])
    const last = this.#ids.pop()
    if (last !== undefined && at < this.#ids.length) this.#ids[at] = last
  }

  async #changeKey(): Promise<void> {
    const at = this.#pickPlace()
    const id = this.#nextId++
    await this.#change(`UPDATE ${citiesTable} SET city_id = ? WHERE city_id = ?`, [id, this.#ids[at]])
    this.#ids[at] = id
  }

  async #change(statement: string, values: readonly (number | undefined)[]): Promise<void> {
    await this.#connection.query(statement, [...values])
    this.#changes++
  }

  #pick(): number {
    const id = this.#ids[this.#pickPlace()]
    if (id === undefined) throw new Error('the table has no rows left')
    return id
  }

  #pickPlace(): number {
    return Math.floor(Math.random() * this.#ids.length)
  }
}
