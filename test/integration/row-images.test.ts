/** Sessions that write less than whole rows to the binlog: every document is right all the same. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import type { SqlServer } from '../stack/sql-server.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { differencesOfItems } from '../support/items.ts'
import { differencesOf, type TextRow } from '../support/mirror.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'
import { createItems, Workload } from '../support/workload.ts'

suite('row images that do not show every column', { concurrency: false }, () => {
  let stack: Stack

  before(async () => {
    stack = await startSuiteStack({ servers: ['mysql', 'mysql@8.0', 'mariadb', 'elasticsearch'] })
  })
  after(() => stack?.[Symbol.asyncDispose]())

  for (const name of ['mysql', 'mysql@8.0', 'mariadb'] as const)
    test(`${name}: sessions with FULL, MINIMAL and NOBLOB images write at once, and the daemon is killed`, async () => {
      const server = stack.servers.get(name) as SqlServer
      const schema = `images_${name.replaceAll(/[@.]/g, '_')}`
      const connection = await server.connect()
      try {
        await followed(server, connection, schema)
      } finally {
        connection.destroy()
      }
    })

  test('JSON documents whose differences alone are in the binlog, in whole rows and in minimal ones', async () => {
    const server = stack.mysql
    const connection = await server.connect()
    try {
      await connection.query('CREATE DATABASE differences')
      await connection.query('CREATE TABLE differences.docs (id INT PRIMARY KEY, doc JSON, note TEXT)')
      await using daemon = await DaemonProcess.start(
        daemonOf(server, 'differences', { differences: { table: 'differences.docs' } }),
      )
      for (const image of ['FULL', 'MINIMAL']) await writeDocuments(connection, image)
      await untilCaughtUp(daemon, connection)
      const index = new SearchIndex(stack.elasticsearch.url, 'differences')
      const stored = new Map<string, unknown>()
      await index.refresh()
      for await (const { _id: id, _source: source } of index.documents()) stored.set(id, source)
      const [rows] = await connection.query('SELECT id, doc, note FROM differences.docs')
      for (const row of rows as { id: number }[]) assert.deepEqual(stored.get(String(row.id)), { ...row })
      assert.equal(stored.size, 400)
    } finally {
      connection.destroy()
    }
  })

  async function followed(server: SqlServer, connection: Connection, schema: string): Promise<void> {
    const table = `${schema}.items`
    await createItems(connection, table, 1500)
    const some = `${schema}_some`
    const one = daemonOf(server, schema, {
      [schema]: { table },
      [some]: { table, fields: { number: 'id', count: 'counter' }, where: { counter: { gte: 3 } } },
    })
    const workloads = ['FULL', 'MINIMAL', 'NOBLOB'].map((image, seed) => {
      const connect = async (): Promise<Connection> => {
        const session = await server.connect()
        await session.query(`SET SESSION binlog_row_image = '${image}'`)
        return session
      }
      return new Workload({ connect, table, seed, ids: 2500, transactionsPerSecond: 40 })
    })
    try {
      for (const workload of workloads) workload.start()
      await using first = await DaemonProcess.start(one)
      await first.until('look rows up', ({ pipelines }) =>
        pipelines.every(({ lookedUp }) => (lookedUp ?? 0) > 100),
      )
      await first.kill()
      await using second = await DaemonProcess.start(one)
      await second.until('look rows up', ({ pipelines }) =>
        pipelines.every(({ lookedUp }) => (lookedUp ?? 0) > 100),
      )
      for (const workload of workloads) await workload.stop()
      await untilCaughtUp(second, connection)
      assert.equal((await second.stop()).code, 0)
    } finally {
      for (const workload of workloads) await workload.stop()
    }
    const { url } = stack.elasticsearch
    const { rows, differences } = await differencesOfItems(connection, table, new SearchIndex(url, schema))
    assert.deepEqual(differences.slice(0, 10), [])
    assert(rows > 1000)
    const filtered = await differencesOf({
      connection,
      table,
      index: new SearchIndex(url, some),
      expect: ({ id = null, counter = null }: TextRow) =>
        Number(counter) < 3 ? undefined : { id: String(id), document: { number: id, count: counter } },
    })
    assert.deepEqual(filtered.slice(0, 10), [])
  }

  function daemonOf(server: SqlServer, name: string, pipelines: DaemonOptions['pipelines']): DaemonOptions {
    return {
      directory: join(stack.directory, `daemon-${name}`),
      mysqlUrl: server.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines,
    }
  }
})

/** Two hundred rows of which each is changed in parts. */
async function writeDocuments(connection: Connection, image: string): Promise<void> {
  const base = image === 'FULL' ? 0 : 200
  await connection.query(
    `SET SESSION binlog_row_image = '${image}', binlog_row_value_options = 'PARTIAL_JSON'`,
  )
  const rows = Array.from({ length: 200 }, (_, at) => [
    base + at,
    JSON.stringify({ at, big: 'x'.repeat(300), list: [1, { deep: at }, 'ü'], gone: true }),
    'a note',
  ])
  await connection.query('INSERT INTO differences.docs VALUES ?', [rows])
  for (const change of [
    `JSON_SET(doc, '$.at', id * 2, '$.added', 'ü')`,
    `JSON_REPLACE(doc, '$.list[1].deep', 1.5)`,
    `JSON_REMOVE(doc, '$.gone')`,
  ])
    await connection.query(`UPDATE differences.docs SET doc = ${change} WHERE id >= ?`, [base])
  await connection.query(`UPDATE differences.docs SET note = 'another' WHERE id >= ? AND id % 2 = 0`, [base])
}
