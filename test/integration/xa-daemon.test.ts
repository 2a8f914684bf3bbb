/** The whole way with XA transactions in two phases: the index equals the table, through loads, restarts and crashes. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { SqlServer } from '../stack/sql-server.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { differencesOfItems } from '../support/items.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'
import { createItems } from '../support/workload.ts'
import { endBranch, prepareBranch } from '../support/xa.ts'

const names = ['mysql', 'mysql@8.0', 'mariadb'] as const

let stack: Stack

before(async () => {
  stack = await startSuiteStack({ servers: [...names, 'elasticsearch'] })
})
after(() => stack?.[Symbol.asyncDispose]())

for (const name of names)
  test(`${name}: branches prepared before, during and after the load, ended after a crash or a stop`, async () => {
    const server = stack.servers.get(name) as SqlServer
    const pipeline = `xa_${name.replace(/\W.*/, '')}${names.indexOf(name)}`
    const table = `${pipeline}.items`
    const connection = await server.connect()
    const matches = async (daemon: DaemonProcess): Promise<void> => {
      await untilCaughtUp(daemon, connection)
      const index = new SearchIndex(stack.elasticsearch.url, pipeline)
      const { rows, differences } = await differencesOfItems(connection, table, index)
      assert.deepEqual(differences.slice(0, 10), [])
      assert(rows > 1000)
    }
    try {
      await createItems(connection, table, 3000)
      const one: DaemonOptions = {
        directory: join(stack.directory, `daemon-${pipeline}`),
        mysqlUrl: server.cdcUrl,
        elasticsearchUrl: stack.elasticsearch.url,
        pipelines: { [pipeline]: { table } },
        settings: { load: { chunkRows: 200, rowsPerSecond: 1500 } },
      }
      await prepareBranch(server, "'before'", [`UPDATE ${table} SET counter = -1 WHERE id IN (5, 6)`])
      await using first = await DaemonProcess.start(one)
      await first.until('be in the load', ({ pipelines }) => (pipelines[0]?.load?.rowsDone ?? 0) > 400)
      await prepareBranch(server, "'during'", [
        `UPDATE ${table} SET counter = -2 WHERE id IN (10, 2900)`,
        `DELETE FROM ${table} WHERE id IN (20, 2950)`,
      ])
      await prepareBranch(server, "'undone'", [`DELETE FROM ${table} WHERE id IN (30, 2800)`])
      await connection.query(`UPDATE ${table} SET counter = -3 WHERE id IN (11, 2901)`)
      await first.until('hold them', ({ sources }) =>
        sources.some(({ position }) => position.includes('prepared XA transactions: 2,')),
      )
      await first.kill()
      await using second = await DaemonProcess.start(one)
      await endBranch(server, "XA COMMIT 'during'")
      await endBranch(server, "XA ROLLBACK 'undone'")
      await matches(second)
      await prepareBranch(server, "'after'", [
        `UPDATE ${table} SET counter = -4 WHERE id BETWEEN 100 AND 120`,
      ])
      await connection.query(`DELETE FROM ${table} WHERE id = 99`)
      await matches(second)
      assert.equal((await second.stop()).code, 0)
      await using third = await DaemonProcess.start(one)
      await third.until('go on', ({ pipelines }) => pipelines[0]?.state === 'running')
      await endBranch(server, "XA COMMIT 'after'")
      await matches(third)
      // Its rows were never seen: the table is read again.
      await endBranch(server, "XA COMMIT 'before'")
      await matches(third)
      assert.equal((await third.stop()).code, 0)
    } finally {
      connection.destroy()
    }
  })
