/**
 * A shop in four tables and a link table: the pipeline that joins them, the statement that builds the same documents in the
 * database, and an application that changes all of them at random.
 */
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { Random } from './random.ts'
import type { SearchIndex, Source } from './search-index.ts'

export async function createShop(connection: Connection, schema: string, orders: number): Promise<void> {
  await connection.query(`CREATE DATABASE ${schema} CHARACTER SET utf8mb4`)
  await connection.query(
    `CREATE TABLE ${schema}.customers (id INT NOT NULL PRIMARY KEY, name VARCHAR(60) NOT NULL, country CHAR(2))`,
  )
  await connection.query(
    `CREATE TABLE ${schema}.orders (id INT NOT NULL PRIMARY KEY, customer_id INT, state VARCHAR(10) NOT NULL,
       note VARCHAR(60), KEY (customer_id))`,
  )
  await connection.query(
    `CREATE TABLE ${schema}.products (code VARCHAR(20) NOT NULL PRIMARY KEY, name VARCHAR(60) NOT NULL,
       price DECIMAL(8,2) NOT NULL, stock INT NOT NULL)`,
  )
  await connection.query(
    `CREATE TABLE ${schema}.line_items (order_id INT NOT NULL, place INT NOT NULL, product VARCHAR(20), amount INT NOT NULL,
       PRIMARY KEY (order_id, place), KEY (product),
       FOREIGN KEY (order_id) REFERENCES ${schema}.orders (id) ON DELETE CASCADE ON UPDATE CASCADE)`,
  )
  await connection.query(
    `CREATE TABLE ${schema}.tags (id INT NOT NULL PRIMARY KEY, label VARCHAR(20) NOT NULL)`,
  )
  await connection.query(
    `CREATE TABLE ${schema}.order_tags (order_id INT NOT NULL, tag_id INT NOT NULL, PRIMARY KEY (order_id, tag_id),
       KEY (tag_id))`,
  )
  const random = new Random(1)
  const insert = (table: string, values: unknown[][]): Promise<unknown> =>
    connection.query(`INSERT IGNORE INTO ${schema}.${table} VALUES ?`, [values])
  await insert(
    'customers',
    made(customers, (id) => [id, `Kund "${id}" ü`, id % 3 === 0 ? null : 'DE']),
  )
  await insert(
    'products',
    made(products, (id) => [codeOf(id), `product ${id}`, id / 4, id]),
  )
  await insert(
    'tags',
    made(tags, (id) => [id, `tag ${id}`]),
  )
  await insert(
    'orders',
    made(orders, (id) => [id, random.below(customers + 2), stateOf(random), `note ${id}`]),
  )
  await insert(
    'line_items',
    made(orders * 3, () => [random.below(orders), random.below(5), spelled(random), random.below(9)]),
  )
  await insert(
    'order_tags',
    made(orders, () => [random.below(orders), random.below(tags)]),
  )
}

function made(count: number, row: (id: number) => readonly unknown[]): unknown[][] {
  return Array.from({ length: count }, (_, id) => [...row(id)])
}

const customers = 20
const products = 15
const tags = 6

function codeOf(id: number): string {
  return `Sku-${id}`
}

/** As their collation has it, letters of either case are equal. */
function spelled(random: Random): string | null {
  const code = codeOf(random.below(products + 1))
  return random.next() < 0.1 ? null : random.next() < 0.3 ? code.toUpperCase() : code
}

function stateOf(random: Random): string {
  return random.next() < 0.2 ? 'draft' : random.next() < 0.5 ? 'open' : 'paid'
}

/** Orders that are no drafts, with their customer, their items and each item's product, and their tags. */
export function shopPipeline(schema: string): object {
  return {
    table: `${schema}.orders`,
    where: { state: { ne: 'draft' } },
    children: {
      customer: {
        table: `${schema}.customers`,
        kind: 'one',
        on: { id: 'customer_id' },
        fields: { name: 'name', land: 'country' },
      },
      items: {
        table: `${schema}.line_items`,
        on: { order_id: 'id' },
        fields: { place: 'place', amount: 'amount' },
        where: { amount: { gt: 0 } },
        order: { amount: 'desc', place: 'asc' },
        children: {
          product: {
            table: `${schema}.products`,
            kind: 'one',
            on: { code: 'product' },
            fields: { code: 'code', name: 'name', price: 'price' },
          },
        },
      },
      tags: {
        table: `${schema}.tags`,
        through: { table: `${schema}.order_tags`, on: { order_id: 'id' } },
        on: { id: 'tag_id' },
        order: { label: 'desc' },
      },
    },
    target: { index: schema, settings: { number_of_replicas: 0 } },
  }
}

/** Whose SQL it is: MariaDB has no type for JSON, and takes for a text what another part of a query made of it. */
type Flavor = 'mysql' | 'mariadb'

function json(text: string, flavor: Flavor): string {
  return flavor === 'mysql' ? `CAST(${text} AS JSON)` : `JSON_COMPACT(${text})`
}

/** The same documents, by a query of the pipeline's own. */
export function shopQueryPipeline(schema: string, flavor: Flavor = 'mysql'): object {
  return {
    table: `${schema}.orders`,
    sql: {
      query: `SELECT o.id, o.customer_id, o.state, o.note, ${customerOf(schema, flavor)} AS customer,
          ${itemsOf(schema, flavor)} AS items, ${tagsOf(schema, flavor)} AS tags FROM ${schema}.orders o WHERE o.state <> 'draft' AND o.id IN (:ids)`,
      triggers: {
        [`${schema}.customers`]: { on: { id: 'customer_id' } },
        [`${schema}.line_items`]: { on: { order_id: 'id' } },
        [`${schema}.order_tags`]: { on: { order_id: 'id' } },
        [`${schema}.products`]: {
          columns: ['code'],
          roots: `SELECT i.order_id FROM ${schema}.line_items i WHERE i.product IN (:values)`,
        },
        [`${schema}.tags`]: {
          columns: ['id'],
          roots: `SELECT order_id FROM ${schema}.order_tags WHERE tag_id IN (:values)`,
        },
      },
    },
    ...(flavor === 'mysql' ? {} : { forms: { customer: 'json', items: 'json', tags: 'json' } }),
    target: { index: `${schema}_query`, settings: { number_of_replicas: 0 } },
  }
}

function customerOf(schema: string, flavor: Flavor): string {
  return json(
    `(SELECT JSON_OBJECT('name', c.name, 'land', c.country) FROM ${schema}.customers c WHERE c.id = o.customer_id)`,
    flavor,
  )
}

function itemsOf(schema: string, flavor: Flavor): string {
  const product = `(SELECT JSON_OBJECT('code', p.code, 'name', p.name, 'price', CAST(p.price AS CHAR))
    FROM ${schema}.products p WHERE p.code = i.product)`
  return json(
    `COALESCE((SELECT CONCAT('[', GROUP_CONCAT(
      JSON_OBJECT('place', i.place, 'amount', i.amount, 'product', ${json(product, flavor)})
      ORDER BY i.amount DESC, i.place SEPARATOR ','), ']')
    FROM ${schema}.line_items i WHERE i.order_id = o.id AND i.amount > 0), '[]')`,
    flavor,
  )
}

function tagsOf(schema: string, flavor: Flavor): string {
  return json(
    `COALESCE((SELECT CONCAT('[', GROUP_CONCAT(JSON_OBJECT('id', t.id, 'label', t.label)
      ORDER BY t.label DESC, t.id SEPARATOR ','), ']')
    FROM ${schema}.order_tags ot JOIN ${schema}.tags t ON t.id = ot.tag_id WHERE ot.order_id = o.id), '[]')`,
    flavor,
  )
}

/** The same as shopPipeline, and of orders with a customer what a service says. */
export function ratedShopPipeline(schema: string): object {
  return {
    ...shopPipeline(schema),
    enrich: [{ field: 'rating', upstream: 'ratings', with: { customer: 'customer_id' } }],
  }
}

/** What a service says that is asked for the ratings of customers; `body` = `{"keys":[{"customer":7},...]}`. */
export function ratings(body: string): string {
  const { keys } = JSON.parse(body) as { readonly keys: readonly { readonly customer: number }[] }
  return JSON.stringify(keys.map(({ customer }) => 7 * customer))
}

interface ShopReference {
  readonly schema: string
  readonly isRated?: boolean
  readonly flavor?: Flavor
}

/** The same documents, built by the database; ordered lists by GROUP_CONCAT, which unlike JSON_ARRAYAGG has an order. */
function referenceOf({ schema, isRated = false, flavor = 'mysql' }: ShopReference): string {
  return `SELECT o.id, JSON_OBJECT(${isRated ? "'rating', 7 * o.customer_id," : ''}
      'id', o.id, 'customer_id', o.customer_id, 'state', o.state, 'note', o.note,
      'customer', ${customerOf(schema, flavor)}, 'items', ${itemsOf(schema, flavor)},
      'tags', ${tagsOf(schema, flavor)}) AS document
    FROM ${schema}.orders o WHERE o.state <> 'draft'`
}

/** The first differences between what the database builds and the index, in words; none = equal. Both must be at rest. */
export async function differencesOfShop(
  connection: Connection,
  shop: ShopReference,
  index: SearchIndex,
): Promise<{ readonly documents: number; readonly differences: readonly string[] }> {
  await index.refresh()
  const documents = new Map<string, Source>()
  for await (const { _id: id, _source: source } of index.documents()) documents.set(id, source)
  await connection.query('SET SESSION group_concat_max_len = 1000000')
  const [rows] = await connection.query<RowDataPacket[]>(referenceOf(shop))
  const differences: string[] = []
  for (const { id, document } of rows) {
    const wanted = canonical(typeof document === 'string' ? JSON.parse(document) : document)
    const found = documents.get(String(id))
    documents.delete(String(id))
    if (found === undefined) differences.push(`${id}: no document`)
    else if (canonical(found) !== wanted) differences.push(`${id}: ${wanted} is ${canonical(found)}`)
  }
  for (const id of documents.keys()) differences.push(`${id}: a document without a row`)
  return { documents: rows.length, differences }
}

/** Members sorted by name. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}

export interface ShopChanges {
  readonly schema: string
  readonly random: Random
  /** Ids are below this. */
  readonly orders: number
  /** Whether orders are deleted and get other keys, with their items by cascade. */
  readonly cascades: boolean
}

/** One random transaction over all tables, now and then rolled back. */
export async function changeShop(connection: Connection, changes: ShopChanges): Promise<void> {
  const { random } = changes
  await connection.beginTransaction()
  for (let left = 1 + random.below(4); left > 0; left--) {
    const [sql, values] = statement(changes)
    // An order may not get a key under which there are items already; IGNORE does not help there.
    await connection.query(sql, [...values]).catch((error: unknown) => {
      if (!String(error).includes('Foreign key constraint')) throw error
    })
  }
  if (random.next() < 0.1) await connection.rollback()
  else await connection.commit()
}

function statement({ schema, random, orders, cascades }: ShopChanges): readonly [string, readonly unknown[]] {
  const [order, other, place] = [random.below(orders), random.below(orders), random.below(5)]
  const [tag, product] = [random.below(tags), codeOf(random.below(products))]
  const statements: readonly (readonly [number, string, readonly unknown[]])[] = [
    [
      10,
      `UPDATE ${schema}.customers SET name = ? WHERE id = ?`,
      [`name ${random.below(1000)}`, random.below(customers)],
    ],
    [
      2,
      `UPDATE IGNORE ${schema}.customers SET id = ? WHERE id = ?`,
      [random.below(customers + 2), random.below(customers)],
    ],
    [8, `UPDATE ${schema}.orders SET customer_id = ? WHERE id = ?`, [random.below(customers + 2), order]],
    [8, `UPDATE ${schema}.orders SET state = ? WHERE id = ?`, [stateOf(random), order]],
    [
      6,
      `INSERT IGNORE INTO ${schema}.orders VALUES (?)`,
      [[order, random.below(customers), stateOf(random), 'new']],
    ],
    [cascades ? 1 : 0, `DELETE FROM ${schema}.orders WHERE id = ?`, [order]],
    [cascades ? 1 : 0, `UPDATE IGNORE ${schema}.orders SET id = ? WHERE id = ?`, [other, order]],
    [
      12,
      `INSERT IGNORE INTO ${schema}.line_items SELECT id, ?, ?, ? FROM ${schema}.orders WHERE id = ?`,
      [place, spelled(random), random.below(9), order],
    ],
    [
      10,
      `UPDATE ${schema}.line_items SET amount = ? WHERE order_id = ? AND place = ?`,
      [random.below(5), order, place],
    ],
    [
      10,
      `UPDATE IGNORE ${schema}.line_items SET order_id = ? WHERE order_id = ? AND place = ?`,
      [other, order, place],
    ],
    [
      8,
      `UPDATE ${schema}.line_items SET product = ? WHERE order_id = ? AND place = ?`,
      [spelled(random), order, place],
    ],
    [8, `DELETE FROM ${schema}.line_items WHERE order_id = ? AND place = ?`, [order, place]],
    [6, `UPDATE ${schema}.products SET price = price + 1 WHERE code = ?`, [product]],
    [4, `UPDATE ${schema}.products SET stock = stock + 1 WHERE code = ?`, [product]],
    [2, `DELETE FROM ${schema}.products WHERE code = ?`, [product]],
    [4, `INSERT IGNORE INTO ${schema}.products VALUES (?)`, [[product, 'again', 9.99, 0]]],
    [4, `UPDATE ${schema}.tags SET label = ? WHERE id = ?`, [`label ${random.below(50)}`, tag]],
    [8, `INSERT IGNORE INTO ${schema}.order_tags VALUES (?)`, [[order, tag]]],
    [6, `DELETE FROM ${schema}.order_tags WHERE order_id = ? AND tag_id = ?`, [order, tag]],
  ]
  let left = random.below(statements.reduce((sum, [weight]) => sum + weight, 0))
  for (const [weight, sql, values] of statements) {
    if (left < weight) return [sql, values]
    left -= weight
  }
  throw new Error('the weights are not their own sum')
}
