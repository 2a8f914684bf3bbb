/** Documents that somebody else has changed are mended by touching their keys. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { SqlServer } from '../stack/sql-server.ts'
import type { Stack } from '../stack/stack.ts'
import { BulkProxy } from '../support/bulk-proxy.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { millrace, type CommandResult } from '../support/command-process.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { differencesOf } from '../support/mirror.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'

suite('touch', { concurrency: false }, () => {
  let stack: Stack

  before(async () => {
    stack = await startSuiteStack({ servers: ['mysql', 'mariadb', 'elasticsearch'] })
  })
  after(() => stack?.[Symbol.asyncDispose]())

  for (const name of ['mysql', 'mariadb'] as const)
    test(`${name}: what was lost, spoilt and left behind in an index is as in the table again`, async () => {
      const server = stack.servers.get(name) as SqlServer
      const schema = `touched_${name}`
      const keys =
        'CREATE TABLE SCHEMA.places (land CHAR(2) COLLATE utf8mb4_general_ci, since DATE, name TEXT,'
      await server.execute(
        `CREATE DATABASE ${schema} CHARACTER SET utf8mb4`,
        `CREATE TABLE ${schema}.items (id INT PRIMARY KEY, name VARCHAR(40))`,
        `${keys.replace('SCHEMA', schema)} PRIMARY KEY (land, since))`,
        `INSERT INTO ${schema}.items VALUES ${Array.from({ length: 1500 }, (_, id) => `(${id}, 'row ${id}')`).join()}`,
        `INSERT INTO ${schema}.places VALUES ('de', '2026-11-22', 'Köln'), ('fr', '2026-11-22', 'Metz')`,
      )
      const directory = join(stack.directory, `daemon-${schema}`)
      const connection = await server.connect()
      const [items, places] = [`${schema}_items`, `${schema}_places`]
      const settings = { table: `${schema}.items`, target: { name: 'primary' } }
      /** Documents that went the way of tasks. */
      let ofTasks = 0
      await using proxy = await BulkProxy.start(stack.elasticsearch.url, ({ body }) => {
        ofTasks += body.toString().match(/^\{"index"/gm)?.length ?? 0
      })
      await using daemon = await DaemonProcess.start({
        directory,
        mysqlUrl: server.cdcUrl,
        elasticsearchUrl: stack.elasticsearch.url,
        settings: {
          targets: {
            primary: { url: stack.elasticsearch.url },
            nightly: { url: proxy.url, tags: ['backfill'] },
          },
        },
        pipelines: {
          [items]: settings,
          [places]: { table: `${schema}.places`, target: { name: 'primary', taskTag: 'backfill' } },
        },
      })
      await untilCaughtUp(daemon, connection)
      const touch = async (...words: string[]): Promise<CommandResult> =>
        await millrace(['touch', '--config', 'config/millrace.yaml', ...words], directory, {
          MYSQL_URL: server.cdcUrl,
          ELASTICSEARCH_URL: stack.elasticsearch.url,
        })

      const index = new SearchIndex(stack.elasticsearch.url, items)
      await index.refresh()
      await index.ask('POST', `/${items}/_delete_by_query?refresh`, { query: { terms: { id: [1, 2, 3] } } })
      for (const id of [7, 1400])
        await index.ask('POST', `/${items}/_update/${id}`, { doc: { name: 'spoilt' } })
      await index.ask('PUT', `/${items}/_doc/9999?version=1&version_type=external`, {
        id: 9999,
        name: 'left',
      })
      const mirrored = async (table: string): Promise<readonly string[]> =>
        await differencesOf({ connection, table, index })
      assert.equal((await mirrored(`${schema}.items`)).length, 6)
      writeFileSync(
        join(directory, 'keys.txt'),
        `${Array.from({ length: 1450 }, (_, id) => id).join('\n')}\n9999\n`,
      )
      const done = await touch(items, '--file', 'keys.txt', '--wait', '--json')
      assert.equal(done.code, 0, done.err)
      assert.equal((JSON.parse(done.out) as { touched: number }).touched, 1451)
      assert.deepEqual(await mirrored(`${schema}.items`), [])

      const other = new SearchIndex(stack.elasticsearch.url, places)
      await other.refresh()
      await other.ask('POST', `/${places}/_delete_by_query?refresh`, { query: { match_all: {} } })
      assert.equal(
        (await touch(`${places}@primary`, '["DE","2026-11-22"]', '["fr","2026-11-22"]', '--wait')).code,
        0,
      )
      await other.refresh()
      assert.equal(await other.count(), 2)
      // The load and the touches went through the target with the tag; what somebody changes does not.
      assert.equal(ofTasks, 4)
      await server.execute(`UPDATE ${schema}.places SET name = 'Lyon' WHERE land = 'fr'`)
      await untilCaughtUp(daemon, connection)
      await other.refresh()
      const names: string[] = []
      for await (const { _source: source } of other.documents()) names.push(String(source['name']))
      assert.deepEqual([names.toSorted(), ofTasks], [['Köln', 'Lyon'], 4])

      if (name === 'mysql') {
        // What the server cannot compare never gets into the log, where a lane would stop at it.
        const refused = await touch(places, '["de","2026-02-31"]')
        assert.deepEqual([refused.code, /2026-02-31/.test(refused.err)], [1, true], refused.err)
      }
      const short = await touch(places, '["de"]')
      assert.match(short.err, /key 1: 1 value, but the key of \S+ is land, since/)
      const unknown = await touch('plaices', '1')
      assert.match(unknown.err, /runs no pipeline "plaices"/)
      connection.destroy()
      assert.equal((await daemon.stop()).code, 0)
      assert.equal((await touch(items, '1')).code, 3)
    })
})
