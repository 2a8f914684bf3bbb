import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { SqlServer } from '../stack/sql-server.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { millrace } from '../support/command-process.ts'
import { differencesOfItems } from '../support/items.ts'
import { differencesOf } from '../support/mirror.ts'
import { Random } from '../support/random.ts'
import { SearchIndex } from '../support/search-index.ts'
import {
  changeShop,
  createShop,
  differencesOfShop,
  shopPipeline,
  shopQueryPipeline,
} from '../support/shop.ts'
import { startSuiteStack } from '../support/suite-stack.ts'
import { createItems, Workload } from '../support/workload.ts'

suite('sources of other kinds and versions', () => {
  let stack: Stack

  before(async () => {
    stack = await startSuiteStack({
      servers: ['mysql@8.0', 'mariadb@10.11', 'mysql@5.7', 'mariadb@11.8', 'elasticsearch'],
    })
  })
  after(() => stack?.[Symbol.asyncDispose]())

  test('MySQL 8.0: loaded under changes, stopped, gone on, killed, gone on', async () => {
    await followed('older', stack.mysql)
  })

  test('MariaDB 10.11: loaded under changes, stopped, gone on, killed, gone on', async () => {
    await followed('maria', stack.mariadb)
  })

  for (const [version, name] of [
    ['mysql@5.7', 'nameless'],
    ['mariadb@11.8', 'nameless_maria'],
  ] as const)
    test(`${version}: without names of columns in the binlog, followed through an ALTER, stopped by one unseen`, async () => {
      const server = stack.servers.get(version) as SqlServer
      if (version !== 'mysql@5.7') await server.execute('SET GLOBAL binlog_row_metadata = MINIMAL')
      await altered(name, server)
    })

  test('rows that a foreign key deletes unseen lose their documents', async () => {
    for (const [name, server] of [
      ['older_family', stack.mysql],
      ['maria_family', stack.mariadb],
    ] as const)
      await cascaded(name, server)
  })

  test('MariaDB: documents of several tables, joined and by a query, are what the database would build, through a kill', async () => {
    const schema = 'maria_shop'
    const server = stack.mariadb
    const connection = await server.connect()
    const one: DaemonOptions = {
      directory: join(stack.directory, `daemon-${schema}`),
      mysqlUrl: server.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: {
        [schema]: shopPipeline(schema),
        [`${schema}_query`]: shopQueryPipeline(schema, 'mariadb'),
      },
    }
    const names = Object.keys(one.pipelines)
    const assertEqual = async (): Promise<void> => {
      for (const name of names) {
        const index = new SearchIndex(stack.elasticsearch.url, name)
        const reference = { schema, flavor: 'mariadb' } as const
        const { documents, differences } = await differencesOfShop(connection, reference, index)
        assert.deepEqual(differences.slice(0, 5), [])
        assert(documents > 0)
      }
    }
    try {
      await createShop(connection, schema, 100)
      await using first = await DaemonProcess.start(one)
      await untilCaughtUp(first, connection)
      await assertEqual()
      const changes = { schema, random: new Random(19), orders: 110, cascades: true }
      for (let count = 0; count < 100; count++) await changeShop(connection, changes)
      await first.kill()
      for (let count = 0; count < 100; count++) await changeShop(connection, changes)
      await using second = await DaemonProcess.start(one)
      await untilCaughtUp(second, connection)
      await assertEqual()
      assert.equal((await second.stop()).code, 0)
      for (const words of [['verify'], ['preview', '1', '2', '3']] as const) {
        const [command, ...keys] = words
        const { out, err } = await millrace([command, names[1] ?? '', ...keys], one.directory, {
          MYSQL_URL: one.mysqlUrl,
          ELASTICSEARCH_URL: one.elasticsearchUrl,
        })
        assert.match(out, expected[command], out + err)
      }
    } finally {
      connection.destroy()
    }
  })

  /** These servers do not write the children's deletion to the binlog. */
  async function cascaded(name: string, server: SqlServer): Promise<void> {
    const connection = await server.connect()
    try {
      for (const statement of [
        `CREATE DATABASE ${name}`,
        `CREATE TABLE ${name}.parents (id INT PRIMARY KEY)`,
        `CREATE TABLE ${name}.children (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent)
           REFERENCES ${name}.parents (id) ON DELETE CASCADE ON UPDATE SET NULL)`,
        `INSERT INTO ${name}.parents VALUES (1), (2), (3)`,
        `INSERT INTO ${name}.children VALUES (11, 1), (12, 1), (21, 2), (31, 3)`,
      ])
        await connection.query(statement)
      await using daemon = await DaemonProcess.start({
        directory: join(stack.directory, `daemon-${name}`),
        mysqlUrl: server.cdcUrl,
        elasticsearchUrl: stack.elasticsearch.url,
        pipelines: { [name]: { table: `${name}.children` } },
      })
      await untilCaughtUp(daemon, connection)
      await connection.query(`DELETE FROM ${name}.parents WHERE id = 1`)
      await connection.query(`UPDATE ${name}.parents SET id = 4 WHERE id = 2`)
      await untilCaughtUp(daemon, connection)
      const index = new SearchIndex(stack.elasticsearch.url, name)
      assert.deepEqual(await differencesOf({ connection, table: `${name}.children`, index }), [])
      assert.equal(await index.count(), 2)
    } finally {
      connection.destroy()
    }
  }

  /** What an ALTER that capture sees in time does not need, one that it sees too late does: everything read anew. */
  async function altered(name: string, server: SqlServer): Promise<void> {
    const table = `${name}.items`
    const connection = await server.connect()
    try {
      await createItems(connection, table, 2000)
      const one: DaemonOptions = {
        directory: join(stack.directory, `daemon-${name}`),
        mysqlUrl: server.cdcUrl,
        elasticsearchUrl: stack.elasticsearch.url,
        pipelines: { [name]: { table } },
      }
      const connect = () => server.connect()
      await using workload = new Workload({ connect, table, seed: 5, ids: 3000, transactionsPerSecond: 60 })
      workload.start()
      await using first = await DaemonProcess.start(one)
      await first.until('finish the load', ({ pipelines }) => pipelines[0]?.load?.state === 'done')
      await connection.query(`ALTER TABLE ${table} ADD COLUMN size INT NOT NULL DEFAULT 3 AFTER id`)
      await connection.query(`UPDATE ${table} SET counter = counter + 1, size = 4 WHERE id % 2 = 0`)
      await untilCaughtUp(first, connection)
      await first.kill()
      await connection.query(`UPDATE ${table} SET size = 5 WHERE id % 3 = 0`)
      await connection.query(`ALTER TABLE ${table} MODIFY size INT NOT NULL DEFAULT 3 FIRST`)
      await connection.query(`UPDATE ${table} SET size = 6 WHERE id % 5 = 0`)
      const late = new DaemonProcess(one)
      assert.notEqual((await late.ended()).code, 0)
      assert.match(late.output(), /the table was changed after them \(ALTER TABLE [^]*--reload/)
      await using last = await DaemonProcess.start({ ...one, extraArguments: ['--reload', name] })
      await workload.stop()
      await untilCaughtUp(last, connection)
      const index = new SearchIndex(stack.elasticsearch.url, name)
      const { rows, differences } = await differencesOfItems(connection, table, index)
      assert.deepEqual(differences.slice(0, 10), [])
      assert(rows > 1000)
      assert.equal((await last.stop()).code, 0)
    } finally {
      connection.destroy()
    }
  }

  async function followed(name: string, server: SqlServer): Promise<void> {
    const table = `${name}.items`
    const connection = await server.connect()
    try {
      await createItems(connection, table, 3000)
      const one: DaemonOptions = {
        directory: join(stack.directory, `daemon-${name}`),
        mysqlUrl: server.cdcUrl,
        elasticsearchUrl: stack.elasticsearch.url,
        pipelines: { [name]: { table } },
        settings: { load: { chunkRows: 200, rowsPerSecond: 2000 } },
      }
      const connect = () => server.connect()
      await using workload = new Workload({ connect, table, seed: 3, ids: 4000, transactionsPerSecond: 60 })
      workload.start()
      await using first = await DaemonProcess.start(one)
      await first.until(
        'be in the middle of the load',
        ({ pipelines }) => (pipelines[0]?.load?.rowsDone ?? 0) > 500,
      )
      await first.stop()
      await using second = await DaemonProcess.start(one)
      await second.until('finish the load', ({ pipelines }) => pipelines[0]?.load?.state === 'done')
      await second.kill()
      await connection.query(`ALTER TABLE ${table} ADD COLUMN size INT NOT NULL DEFAULT 3`)
      await using third = await DaemonProcess.start(one)
      await third.until('go on', ({ pipelines }) => pipelines[0]?.state === 'running')
      await workload.stop()
      const { pipelines } = await untilCaughtUp(third, connection)
      const index = new SearchIndex(stack.elasticsearch.url, name)
      const { rows, differences } = await differencesOfItems(connection, table, index)
      assert.deepEqual(differences.slice(0, 10), [])
      assert(rows > 1000)
      for await (const { _source: source } of index.documents()) assert.equal(source['size'], 3)
      assert.equal(pipelines[0]?.deadLetters, 0)
      assert.equal((await third.stop()).code, 0)
    } finally {
      connection.destroy()
    }
  }
})

/** What commands say of documents that a query answers. */
const expected = {
  verify: /^equal: \d+ documents/,
  preview: /"items":\[/,
} as const
