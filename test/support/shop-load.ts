/** Load on a shop: an application that changes all of its tables, and a watch over the versions of its documents. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection } from 'mysql2/promise'
import type { Stack } from '../stack/stack.ts'
import { Random } from './random.ts'
import { SearchIndex } from './search-index.ts'
import { changeShop } from './shop.ts'
import { VersionWatch } from './version-watch.ts'

export interface ShopLoadOptions {
  readonly schema: string
  readonly seed: number
  /** Ids of orders are below this. */
  readonly orders: number
}

const pauseMs = 25

export class ShopLoad implements AsyncDisposable {
  readonly #connection: Connection
  readonly #versions: VersionWatch
  readonly #stopped = new AbortController()
  readonly #changing: Promise<void>

  private constructor(connection: Connection, versions: VersionWatch, options: ShopLoadOptions) {
    this.#connection = connection
    this.#versions = versions
    this.#changing = this.#change(options)
    versions.start()
  }

  static async start({ mysql, elasticsearch }: Stack, options: ShopLoadOptions): Promise<ShopLoad> {
    const { schema, orders, seed } = options
    const versions = new VersionWatch(new SearchIndex(elasticsearch.url, schema), orders, seed)
    return new ShopLoad(await mysql.connect(), versions, options)
  }

  /** Resolves when nothing is changed any more. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#changing
  }

  /** To be called when all is delivered: throws where a document went back to an earlier version, or none was looked at. */
  async assertForward(): Promise<void> {
    await this.#versions.stop()
    assert.deepEqual(this.#versions.violations, [])
    assert(this.#versions.looks > 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.#versions.stop()
    this.#connection.destroy()
  }

  async #change({ schema, seed, orders }: ShopLoadOptions): Promise<void> {
    const changes = { schema, orders, random: new Random(seed), cascades: true }
    while (!this.#stopped.signal.aborted) {
      await changeShop(this.#connection, changes)
      await delay(pauseMs)
    }
  }
}
