/** A shop's orders are delivered again because a product that they show has changed, while tombstones live for a second. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { ReplayStatus } from '../../src/control/operations.ts'
import { VersionWatch } from './version-watch.ts'
import { GoneWatch } from './gone-watch.ts'
import type { SearchIndex } from './search-index.ts'
import { differencesOfShop } from './shop.ts'

export interface ReplayedShop {
  readonly connection: Connection
  readonly schema: string
  /** Of the pipeline, which has its name. */
  readonly index: SearchIndex
  /** Runs a command, and answers what it prints. */
  readonly command: (...words: string[]) => Promise<string>
  readonly caughtUp: () => Promise<unknown>
}

/** Throws where orders of the product are missing afterwards, or one that was deleted was to be seen meanwhile. */
export async function replayChangedProduct(shop: ReplayedShop): Promise<void> {
  const { connection, schema, index, command, caughtUp } = shop
  const { name } = index
  await index.ask('PUT', `/${name}/_settings`, { index: { gc_deletes: '1s' } })
  const product = await mostSold(connection, schema)
  await connection.query(`UPDATE ${schema}.products SET price = price + 1 WHERE code = ?`, [product.code])
  const gone = product.orders.slice(0, 3)
  await connection.query(`UPDATE ${schema}.orders SET state = 'draft' WHERE id IN (?)`, [gone])
  await caughtUp()
  await index.refresh()
  const lost = { query: { ids: { values: product.orders } } }
  await index.ask('POST', `/${name}/_delete_by_query?refresh`, lost)
  await delay(2_500)
  const shown = await command('log', 'show', `${schema}.products`, product.code, '--json')
  const { offset } = JSON.parse(shown.trim().split('\n').at(-1) ?? '') as { readonly offset: number }
  const replay = ['replay', name, '--from', String(offset), '--to', String(offset + 1), '--json']
  const dry = JSON.parse(await command(...replay, '--dry-run')) as { readonly keys: number }
  assert.equal(dry.keys, product.orders.length)
  const watch = new GoneWatch(index, gone)
  const versions = new VersionWatch(index, 1000, 1)
  watch.start()
  versions.start()
  const done = JSON.parse(await command(...replay, '--wait')) as ReplayStatus
  await watch.stop()
  await versions.stop()
  assert.deepEqual([done.phase, done.share, done.touched], ['done', 1, product.orders.length])
  assert.deepEqual([...watch.violations, ...versions.violations], [])
  assert(watch.looks > 0)
  assert.deepEqual((await differencesOfShop(connection, { schema }, index)).differences.slice(0, 5), [])
}

/** The product in most orders, as its own row spells it, and these orders. */
async function mostSold(
  connection: Connection,
  schema: string,
): Promise<{ readonly code: string; readonly orders: readonly string[] }> {
  const [[most]] = await connection.query<RowDataPacket[]>(
    `SELECT p.code, GROUP_CONCAT(DISTINCT o.id) AS orders FROM ${schema}.products p
     JOIN ${schema}.line_items i ON i.product = p.code JOIN ${schema}.orders o ON o.id = i.order_id
     GROUP BY p.code ORDER BY COUNT(DISTINCT o.id) DESC LIMIT 1`,
  )
  return { code: String(most?.['code']), orders: String(most?.['orders']).split(',') }
}
