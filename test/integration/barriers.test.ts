/** Statements that change rows without showing them, where millrace need not read the table again. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { differencesOfItems } from '../support/items.ts'
import { SearchIndex } from '../support/search-index.ts'
import { createItems, Workload } from '../support/workload.ts'

suite('barriers', { concurrency: false }, () => {
  let stack: Stack

  before(async () => {
    stack = await startStack({ servers: ['mysql', 'mariadb', 'elasticsearch'] })
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
      const refill = `INSERT INTO ${table} SELECT * FROM ${schema}.kept WHERE id % 3 = `
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
          await connection.query(`REPLACE ${refill.slice('INSERT '.length)}${round}`)
          await daemon.until('meet the barrier', () => barriersIn(daemon) > seen)
          await daemon.kill()
        }
        await workload.stop()
        await using last = await DaemonProcess.start(options)
        await untilCaughtUp(last, connection)
        const index = new SearchIndex(stack.elasticsearch.url, schema)
        const { rows, differences } = await differencesOfItems(connection, table, index)
        assert.deepEqual(differences.slice(0, 10), [])
        assert.ok(rows >= 1000)
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

function barriersIn(daemon: DaemonProcess): number {
  return daemon.logLines().filter(({ fact }) => fact === 'barrier').length
}

/** Of all daemons that ran in the folder. */
function loadsOf(daemon: DaemonProcess): number {
  const started = daemon.logLines().filter(({ fact }) => fact === 'load-started')
  // A daemon that was killed in a load tells of it again.
  return new Set(started.map(({ rowsDone }) => rowsDone)).size
}
