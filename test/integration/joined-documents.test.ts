import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import { startStack, type Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { Random } from '../support/random.ts'
import { SearchIndex } from '../support/search-index.ts'
import { changeShop, createShop, differencesOfShop, shopPipeline } from '../support/shop.ts'

suite('documents that hold rows of several tables', () => {
  let stack: Stack
  let connection: Connection

  before(async () => {
    stack = await startStack({ servers: ['mysql', 'elasticsearch'] })
    connection = await stack.mysql.connect()
  })
  after(async () => {
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  function options(schema: string, more: Partial<DaemonOptions> = {}): DaemonOptions {
    return {
      directory: join(stack.directory, schema),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { [schema]: shopPipeline(schema) },
      ...more,
    }
  }

  async function assertEqual(schema: string): Promise<void> {
    const index = new SearchIndex(stack.elasticsearch.url, schema)
    const { documents, differences } = await differencesOfShop(connection, schema, index)
    assert.deepEqual(differences.slice(0, 5), [])
    assert(documents > 0)
  }

  test('a first load builds what the database would build, and changes of every table reach their documents', async () => {
    const schema = 'shop_one'
    await createShop(connection, schema, 200)
    await using daemon = await DaemonProcess.start(options(schema))
    await untilCaughtUp(daemon, connection)
    await assertEqual(schema)
    const random = new Random(7)
    for (let count = 0; count < 200; count++) await changeShop(connection, schema, random, 220)
    await untilCaughtUp(daemon, connection)
    await assertEqual(schema)
    assert.equal((await daemon.stop()).code, 0)
  })
})
