/** The application whose database is watched: random transactions on one table with few keys. */
import type { Column, Table } from '../../src/change/change.ts'
import type { MemoryDatabase, TransactionWriter, Values } from '../support/memory-database.ts'
import type { Random } from '../support/random.ts'

export const table = 'shop.items'

export const columns: readonly Column[] = [
  { name: 'id', kind: 'integer', type: 'int', nullable: false },
  { name: 'name', kind: 'string', type: 'varchar(250)', nullable: false },
  { name: 'amount', kind: 'integer', type: 'int', nullable: true },
  { name: 'state', kind: 'string', type: 'varchar(20)', nullable: false },
  { name: 'revision', kind: 'integer', type: 'int', nullable: false },
]

/** Rows in this state have no document. */
export const hidden = 'hidden'
/** Documents with this name are refused by the target. */
export const hostile = 'hostile'

const keys = 200

export class Application {
  readonly table: Table
  readonly #database: MemoryDatabase
  readonly #random: Random
  /** Rises with each row that is written, so that no content ever comes twice. */
  #revision = 0

  constructor(database: MemoryDatabase, random: Random) {
    this.#database = database
    this.#random = random
    this.table = database.createTable(table, columns, [0])
  }

  /** One transaction of so many statements. */
  transact(statements: number): void {
    this.#database.transaction((writer) => {
      for (let left = statements; left > 0; left--) this.#statement(writer)
    })
  }

  /** Every row is written, in one transaction. */
  updateAll(): void {
    const rows = this.#database.rows(table)
    this.#database.transaction((writer) => {
      for (const row of rows) writer.update(table, row, this.#values(Number(row['id'])))
    })
  }

  truncate(): void {
    this.#database.truncate(table)
  }

  /** Every row is changed by a statement that does not show it. */
  rewrite(): void {
    this.#database.rewrite(table, (row) => this.#values(Number(row['id'])))
  }

  #statement(writer: TransactionWriter): void {
    const [id, other] = [this.#random.below(keys), this.#random.below(keys)]
    const row = { id }
    if (!this.#database.has(table, row)) return writer.insert(table, this.#values(id))
    const kind = this.#random.next()
    if (kind < 0.55) writer.update(table, row, this.#values(id))
    else if (kind < 0.85) writer.delete(table, row)
    else if (!this.#database.has(table, { id: other })) writer.update(table, row, this.#values(other))
    else writer.update(table, row, this.#values(id))
  }

  #values(id: number): Values {
    const random = this.#random
    const name = random.next() < 0.02 ? hostile : `näme ${random.below(1000)} ${'x'.repeat(random.below(40))}`
    const amount = random.next() < 0.2 ? null : random.below(1_000_000)
    const state = random.next() < 0.2 ? hidden : random.pick(['new', 'paid', 'sent'])
    return { id, name, amount, state, revision: ++this.#revision }
  }
}
