/** Statements that change rows without showing them, where millrace need not read the table again. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { SqlServer } from '../stack/sql-server.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { differencesOf } from '../support/mirror.ts'
import { differencesOfItems } from '../support/items.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'
import { createItems, executeBeside, Workload } from '../support/workload.ts'

suite('barriers', { concurrency: false }, () => {
  let stack: Stack

  before(async () => {
    stack = await startSuiteStack({ servers: ['mysql', 'mysql@8.0', 'mariadb', 'elasticsearch'] })
  })
  after(() => stack?.[Symbol.asyncDispose]())

  for (const name of ['mysql', 'mariadb'] as const)
    test(`${name}: a table is emptied again and again under load, the daemon is killed, and no row is read`, async () => {
      const server = stack.servers.get(name) as SqlServer
      const schema = `emptied_${name}`
      const table = `${schema}.items`
      const connection = await server.connect()
      await createItems(connection, table, 3000)
      await connection.query(`CREATE TABLE ${schema}.kept AS SELECT * FROM ${table}`)
      const options = optionsOf(schema, server, { [schema]: { table } })
      const refill = `REPLACE INTO ${table} SELECT * FROM ${schema}.kept WHERE id % 3 = `
      const workload = new Workload({
        connect: () => server.connect(),
        table,
        seed: 3,
        ids: 4000,
        transactionsPerSecond: 60,
      })
      try {
        const first = await DaemonProcess.start(options)
        await untilCaughtUp(first, connection)
        await first.stop()
        workload.start()
        for (let round = 0; round < 3; round++) {
          await using daemon = await DaemonProcess.start(options)
          const seen = barriersIn(daemon)
          await connection.query(`TRUNCATE TABLE ${table}`)
          await executeBeside(connection, `${refill}${round}`)
          await daemon.until('meet the barrier', () => barriersIn(daemon) > seen)
          await daemon.kill()
        }
        await workload.stop()
        await using last = await DaemonProcess.start(options)
        await untilCaughtUp(last, connection)
        const index = new SearchIndex(stack.elasticsearch.url, schema)
        const { rows, differences } = await differencesOfItems(connection, table, index)
        assert.deepEqual(differences.slice(0, 10), [])
        assert.ok(rows >= 500, `${rows} rows are left to compare`)
        assert.equal(loadsOf(last), 1, 'the first load was the only one')
        await connection.query(`DROP TABLE ${table}`)
        await untilCaughtUp(last, connection)
        await index.refresh()
        assert.equal(await index.count(), 0)
        assert.equal((await last.pipeline(schema)).state, 'running')
        assert.equal(loadsOf(last), 1)
      } finally {
        await workload.stop()
        connection.destroy()
      }
    })

  for (const name of ['mysql@8.0', 'mariadb'] as const)
    test(`${name}: rows that a foreign key deletes or changes unseen are found in the index and read, and no others`, async () => {
      const server = stack.servers.get(name) as SqlServer
      const schema = `cascades_${name.replaceAll(/\W/g, '_')}`
      const captured = ['deleted', 'changed', 'boxes', 'things']
      const connection = await server.connect()
      const foreign = (actions: string): string =>
        `FOREIGN KEY (parent) REFERENCES ${schema}.parents (id) ${actions}`
      await server.execute(
        `CREATE DATABASE ${schema}`,
        `CREATE TABLE ${schema}.parents (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(20))`,
        `CREATE TABLE ${schema}.deleted (id INT PRIMARY KEY, parent BIGINT UNSIGNED, ${foreign('ON DELETE CASCADE ON UPDATE CASCADE')})`,
        `CREATE TABLE ${schema}.changed (id INT PRIMARY KEY, parent BIGINT UNSIGNED,
           ${foreign('ON DELETE SET NULL ON UPDATE CASCADE')})`,
        `INSERT INTO ${schema}.parents VALUES ${tuples(40, (id) => `${id === 39 ? '18446744073709551615' : id}, 'p'`)}`,
        ...['deleted', 'changed'].map(
          (table) =>
            `INSERT INTO ${schema}.${table} VALUES ${tuples(2000, (id) => `${id}, ${id % 50 < 39 ? id % 50 : id % 50 === 39 ? '18446744073709551615' : 'NULL'}`)}`,
        ),
      )
      // Things share the owner with their boxes: so theirs are found as well, one level further down.
      await server.execute(
        `USE ${schema}`,
        'CREATE TABLE owners (id BINARY(10) PRIMARY KEY)',
        `CREATE TABLE boxes (owner BINARY(10), no INT, PRIMARY KEY (owner, no),
           FOREIGN KEY (owner) REFERENCES owners (id) ON DELETE CASCADE)`,
        `CREATE TABLE things (id INT PRIMARY KEY, Owner BINARY(10), box INT,
           FOREIGN KEY (Owner, box) REFERENCES boxes (owner, no) ON DELETE CASCADE)`,
        `INSERT INTO owners VALUES ${tuples(10, (id) => `'${owner(id)}'`)}`,
        `INSERT INTO boxes VALUES ${tuples(100, (id) => `'${owner(id % 10)}', ${id}`)}`,
        `INSERT INTO things VALUES ${tuples(1000, (id) => `${id}, '${owner(id % 10)}', ${id % 100}`)}`,
      )
      const options = optionsOf(
        schema,
        server,
        Object.fromEntries(captured.map((table) => [`${schema}_${table}`, { table: `${schema}.${table}` }])),
      )
      try {
        await using first = await DaemonProcess.start(options)
        await untilCaughtUp(first, connection)
        await server.execute(
          `USE ${schema}`,
          'BEGIN',
          'DELETE FROM parents WHERE id IN (3, 18446744073709551615)',
          'INSERT INTO deleted VALUES (9003, 4)',
          'DELETE FROM parents WHERE id = 5',
          'COMMIT',
          'UPDATE parents SET id = 777 WHERE id = 7',
          `DELETE FROM owners WHERE id IN ('${owner(3)}', '${owner(4)}')`,
          "UPDATE parents SET name = 'other' WHERE id = 8",
        )
        await first.until('meet the barriers', () => barriersIn(first) >= 6)
        await first.kill()
        await server.execute(`DELETE FROM ${schema}.parents WHERE id = 10`)
        await using second = await DaemonProcess.start(options)
        await untilCaughtUp(second, connection)
        for (const [table, left] of [
          ['boxes', 80],
          ['things', 800],
        ] as const) {
          const index = new SearchIndex(stack.elasticsearch.url, `${schema}_${table}`)
          await index.refresh()
          assert.equal(await index.count(), left, table)
        }
        for (const table of ['deleted', 'changed']) {
          const index = new SearchIndex(stack.elasticsearch.url, `${schema}_${table}`)
          const differences = await differencesOf({ connection, table: `${schema}.${table}`, index })
          assert.deepEqual(differences.slice(0, 10), [], table)
        }
        const { pipelines } = await second.status()
        assert(pipelines.every(({ state }) => state === 'running'))
        const started = second.logLines().filter(({ fact }) => fact === 'load-started')
        assert.equal(started.length, captured.length, 'no table was read again')
      } finally {
        connection.destroy()
      }
    })

  function optionsOf(name: string, server: SqlServer, pipelines: DaemonOptions['pipelines']): DaemonOptions {
    return {
      directory: join(stack.directory, name),
      mysqlUrl: server.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines,
      settings: { delivery: { bulkCount: 200 } },
    }
  }
})

/** `(...), (...)` for so many ids. */
function tuples(count: number, row: (id: number) => string): string {
  return Array.from({ length: count }, (_, id) => `(${row(id)})`).join(', ')
}

/** 10 bytes (of 16, MariaDB's binlog does not tell them from a UUID), with their like in the other case for another one. */
function owner(id: number): string {
  return `${id % 2 === 0 ? 'a' : 'A'}${Math.floor(id / 2)}`.padEnd(10, 'x')
}

function barriersIn(daemon: DaemonProcess): number {
  return daemon.logLines().filter(({ fact }) => fact === 'barrier').length
}

/** Of all daemons that ran in the folder. */
function loadsOf(daemon: DaemonProcess): number {
  const started = daemon.logLines().filter(({ fact }) => fact === 'load-started')
  // A daemon that was killed in a load tells of it again.
  return new Set(started.map(({ rowsDone }) => rowsDone)).size
}
