/** A stretch of the log is delivered again while tombstones live for a second, the table changes, and the daemon dies. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { ReplayStatus } from '../../src/control/operations.ts'
import { VersionWatch } from '../support/version-watch.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { millrace, type CommandResult } from '../support/command-process.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { GoneWatch } from '../support/gone-watch.ts'
import { differencesOf } from '../support/mirror.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'

suite('replay', { concurrency: false }, () => {
  let stack: Stack

  before(async () => {
    stack = await startSuiteStack({ servers: ['mysql', 'elasticsearch'] })
  })
  after(() => stack?.[Symbol.asyncDispose]())

  test('no deleted id reappears and no version goes back, over a SIGKILL; what was lost is there again', async () => {
    const table = 'replayed.items'
    const rows = Array.from({ length: 2000 }, (_, id) => `(${id}, 'row ${id}')`)
    await stack.mysql.execute(
      'CREATE DATABASE replayed CHARACTER SET utf8mb4',
      `CREATE TABLE ${table} (id INT PRIMARY KEY, name VARCHAR(40))`,
      `INSERT INTO ${table} VALUES ${rows.join()}`,
    )
    const directory = join(stack.directory, 'daemon-replayed')
    const connection = await stack.mysql.connect()
    const start = async (): Promise<DaemonProcess> =>
      await DaemonProcess.start({
        directory,
        mysqlUrl: stack.mysql.cdcUrl,
        elasticsearchUrl: stack.elasticsearch.url,
        pipelines: { items: { table } },
      })
    const replay = async (...words: string[]): Promise<CommandResult> =>
      await millrace(['replay', 'items', '--config', 'config/millrace.yaml', ...words], directory, {
        MYSQL_URL: stack.mysql.cdcUrl,
        ELASTICSEARCH_URL: stack.elasticsearch.url,
      })
    let daemon = await start()
    try {
      await untilCaughtUp(daemon, connection)
      const [[earlier]] = (await connection.query('SELECT @@GLOBAL.gtid_executed AS gtids')) as unknown as [
        [{ gtids: string }],
      ]
      await connection.query(`DELETE FROM ${table} WHERE id < 500`)
      for (let round = 0; round < 20; round++)
        await connection.query(`UPDATE ${table} SET name = 'round ${round}' WHERE id BETWEEN 500 AND 1499`)
      await untilCaughtUp(daemon, connection)
      const index = new SearchIndex(stack.elasticsearch.url, 'items')
      await index.refresh()
      await index.ask('PUT', '/items/_settings', { index: { gc_deletes: '1s' } })
      await index.ask('POST', '/items/_delete_by_query?refresh', {
        query: { range: { id: { gte: 500, lt: 1000 } } },
      })
      await delay(2_500)

      const dry = await replay('--from', earlier.gtids, '--dry-run', '--json')
      const found = JSON.parse(dry.out) as { keys: number; records: number }
      assert.deepEqual([found.keys, found.records], [1500, 20_500], dry.err)

      const gone = new GoneWatch(index, idsBetween(0, 499))
      const versions = new VersionWatch(index, 2000, 1)
      gone.start()
      versions.start()
      const begun = await replay('--from', earlier.gtids, '--rate', '400', '--json')
      assert.equal(begun.code, 0, begun.err)
      await untilTouched(replay, 400)
      await daemon.kill()
      await connection.query(`DELETE FROM ${table} WHERE id BETWEEN 500 AND 549`)
      daemon = await start()
      // By now what the killed one had sent last has come to the index.
      gone.watch(idsBetween(500, 549))
      await connection.query(`UPDATE ${table} SET name = 'while it runs' WHERE id BETWEEN 600 AND 1999`)
      await untilTouched(replay, 1500)
      await untilEnded(replay)
      await untilCaughtUp(daemon, connection)
      await gone.stop()
      await versions.stop()
      assert.deepEqual([...gone.violations, ...versions.violations], [])
      assert.ok(gone.looks > 0 && versions.looks > 0, `${gone.looks}, ${versions.looks}`)
      assert.deepEqual(await differencesOf({ connection, table, index }), [])
      const last = await statusOf(replay)
      assert.deepEqual([last.phase, last.share, last.barriers], ['done', 1, []])
      assert.ok(last.touched >= 1500 && last.touched <= 2000, String(last.touched))
      assert.match((await replay('--from', '2001-01-01T00:00:00Z', '--dry-run')).out, /1,9\d\d|2,000|2000/)
      writeFileSync(join(directory, 'keys.txt'), '600\n601\n5000\n')
      const some = await replay('--from', earlier.gtids, '--keys', 'keys.txt', '--wait', '--json')
      assert.equal(some.code, 0, some.err)
      assert.equal((JSON.parse(some.out) as ReplayStatus).touched, 2)
      assert.match(
        (await replay('--from', 'yesterday', '--dry-run')).err,
        /no offset and no time[^]*remedy: [^]*2h/,
      )
      assert.equal((await daemon.stop()).code, 0)
    } finally {
      connection.destroy()
      await daemon[Symbol.asyncDispose]()
    }
  })
})

type Replay = (...words: string[]) => Promise<CommandResult>

async function statusOf(replay: Replay): Promise<ReplayStatus> {
  return JSON.parse((await replay('--json')).out) as ReplayStatus
}

async function untilTouched(replay: Replay, keys: number): Promise<void> {
  while ((await statusOf(replay)).touched < keys) await delay(100)
}

async function untilEnded(replay: Replay): Promise<void> {
  while ((await statusOf(replay)).endedAt === null) await delay(100)
}

function idsBetween(first: number, last: number): readonly string[] {
  return Array.from({ length: last - first + 1 }, (_, at) => String(first + at))
}
