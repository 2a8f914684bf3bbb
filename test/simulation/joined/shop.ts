/** Orders that show their customer, their lines and each line's product: tables in memory, and random changes of all. */
import type { Column, Table } from '../../../src/change/change.ts'
import { child, root } from '../../support/joined-definition.ts'
import type { MemoryDatabase, TransactionWriter, Values } from '../../support/memory-database.ts'
import type { Random } from '../../support/random.ts'

export const orders = 'shop.orders'
const customers = 'shop.customers'
const lines = 'shop.lines'
const products = 'shop.products'

export const definition = root(
  orders,
  {
    customer: child(customers, { id: 'customer_id' }, { kind: 'one' }),
    lines: child(
      lines,
      { order_id: 'id' },
      {
        where: [{ column: 'amount', comparison: 'gt', value: 0 }],
        children: { product: child(products, { id: 'product_id' }, { kind: 'one' }) },
      },
    ),
  },
  { where: [{ column: 'amount', comparison: 'lt', value: 9 }] },
)

const columns: Readonly<Record<string, readonly string[]>> = {
  [orders]: ['id', 'customer_id', 'amount'],
  [customers]: ['id', 'revision'],
  [lines]: ['id', 'order_id', 'product_id', 'amount'],
  [products]: ['id', 'revision'],
}

/** Ids of each table are below this: some customers and products have very many orders. */
const idsBelow: Readonly<Record<string, number>> = {
  [orders]: 40,
  [customers]: 3,
  [lines]: 60,
  [products]: 4,
}

export class Shop {
  readonly root: Table
  readonly #database: MemoryDatabase
  readonly #random: Random
  #revision = 0

  constructor(database: MemoryDatabase, random: Random) {
    this.#database = database
    this.#random = random
    const made = Object.entries(columns).map(([name, names]) =>
      database.createTable(name, names.map(integer), [0]),
    )
    const [table] = made
    if (table === undefined) throw new Error('there is a root table')
    this.root = table
  }

  /** One transaction of so many statements. */
  transact(statements: number): void {
    this.#database.transaction((writer) => {
      for (let left = statements; left > 0; left--) this.#change(writer)
    })
  }

  /** What each order's document is to be, by its id. */
  documents(): ReadonlyMap<string, unknown> {
    const all = (table: string, column: string, value: unknown): readonly Values[] =>
      this.#database
        .rows(table)
        .filter((row) => row[column] === value)
        .toSorted((one, other) => Number(one['id']) - Number(other['id']))
    const shown = this.#database.rows(orders).filter(({ amount }) => Number(amount) < 9)
    return new Map(
      shown.map((order) => {
        const own = all(lines, 'order_id', order['id']).filter(({ amount }) => Number(amount) > 0)
        const document = {
          ...order,
          customer: all(customers, 'id', order['customer_id'])[0] ?? null,
          lines: own.map((line) => ({
            ...line,
            product: all(products, 'id', line['product_id'])[0] ?? null,
          })),
        }
        return [String(order['id']), document]
      }),
    )
  }

  #change(writer: TransactionWriter): void {
    const table = this.#random.pick(Object.keys(columns))
    const id = this.#random.below(idsBelow[table] ?? 0)
    const values = this.#values(table, id)
    if (!this.#database.has(table, { id })) writer.insert(table, values)
    else if (this.#random.next() < 0.2) writer.delete(table, { id })
    else writer.update(table, { id }, values)
  }

  #values(table: string, id: number): Values {
    return Object.fromEntries((columns[table] ?? []).map((column) => [column, this.#value(column, id)]))
  }

  #value(column: string, id: number): number {
    if (column === 'id') return id
    if (column === 'revision') return ++this.#revision
    if (column === 'amount') return this.#random.below(10)
    return this.#random.below(idsBelow[`shop.${column.replace('_id', 's')}`] ?? 0)
  }
}

function integer(name: string): Column {
  return { name, kind: 'integer', type: 'int', nullable: false }
}
