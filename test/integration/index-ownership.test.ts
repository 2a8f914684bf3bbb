import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { differencesOfItems } from '../support/items.ts'
import { differencesOf, type MirrorQuestion } from '../support/mirror.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'
import { createItems, Workload } from '../support/workload.ts'

suite('whose index it is', { concurrency: 3 }, () => {
  let stack: Stack
  let connection: Connection

  before(async () => {
    stack = await startSuiteStack({ servers: ['mysql', 'elasticsearch'] })
    connection = await stack.mysql.connect()
  })
  after(async () => {
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  test('after the state folder was lost, a new lineage in a higher epoch makes all equal again', async () => {
    const name = 'lost_state'
    await createItems(connection, `${name}.items`, 300)
    const first = await ranOnce(options(name))
    await connection.query(`DELETE FROM ${name}.items WHERE id < 40`)
    rmSync(join(stack.directory, name, 'state'), { recursive: true })
    await connection.query(`UPDATE ${name}.items SET name = 'changed meanwhile' WHERE id > 250`)
    const second = await ranOnce(options(name))
    assert.notEqual(second.lineage, first.lineage)
    assert(second.epoch > first.epoch)
    await assertItemsEqual(name)
  })

  test('an index that others filled is refused, and adopted on demand', async () => {
    const name = 'filled'
    await createThings(name)
    await fill(name, { 'index.number_of_replicas': 0 }, [
      { index: { _id: '1' } },
      { id: 1, name: 'old', amount: '0.00' },
      { index: { _id: 'stranger' } },
      { id: 99, name: 'a stranger', amount: '9.00' },
    ])
    const refused = await ended(options(name))
    assert.equal(refused.code, 1)
    assert.match(refused.output, /holds 2 documents that millrace did not write/)
    assert.match(refused.output, /--adopt filled/)
    assert.equal((await indexOf(name).document('1'))?.['name'], 'old')
    await ranOnce(options(name, { extraArguments: ['--adopt', name] }))
    await assertEqual(name)
    // Once is enough: the index is ours now.
    await ranOnce(options(name))
    await assertEqual(name)
  })

  test('an index is adopted by its pipeline file, too', async () => {
    const name = 'adopted'
    await createThings(name)
    await fill(name, {}, [{ index: { _id: 'stranger' } }, { id: 99, name: 'a stranger', amount: '9.00' }])
    await ranOnce(
      options(name, { pipelines: { [name]: { table: `${name}.things`, target: { adopt: true } } } }),
    )
    await assertEqual(name)
  })

  test('an index that cannot hold the documents is refused with the difference', async () => {
    const name = 'unfit'
    await createThings(name)
    await fill(name, {}, [{ index: { _id: 'a' } }, { name: true }])
    const refused = await ended(options(name, { extraArguments: ['--adopt', name] }))
    assert.equal(refused.code, 2)
    assert.match(refused.output, /field name is boolean in the index, but its values need text/)
  })

  test('an index whose versions are higher than ours could be is left alone', async () => {
    const name = 'higher'
    await createThings(name)
    const version = { _id: '1', version: 9_000_000_000_000_000_000n, version_type: 'external' }
    await fill(name, {}, [{ index: version }, { id: 1, name: 'from the future', amount: '0.00' }])
    const refused = await ended(options(name, { extraArguments: ['--adopt', name] }))
    assert.equal(refused.code, 1)
    assert.match(refused.output, /document 1 has version 9000000000000000000, which this log never gave/)
    assert.match(refused.output, /remedy/)
    assert.equal((await indexOf(name).document('1'))?.['name'], 'from the future')
    await indexOf(name).delete()
    await ranOnce(options(name))
    await assertEqual(name)
  })

  test('a second run goes on; a changed pipeline file is settled by the person', async () => {
    const name = 'again'
    await createThings(name)
    await ranOnce(options(name))
    const loads = loadsIn(name)
    await connection.query(`UPDATE ${name}.things SET name = 'changed meanwhile' WHERE id = 2`)
    await ranOnce(options(name))
    await assertEqual(name)
    assert.deepEqual([loads, loadsIn(name)], [1, 1])

    const without = { [name]: { table: `${name}.things`, exclude: ['amount'] } }
    // The daemon that refuses may have captured this change already; the old file still gets all of it.
    await connection.query(`UPDATE ${name}.things SET amount = 5.25, name = 'while refused' WHERE id = 5`)
    const refused = await ended(options(name, { pipelines: without }))
    assert.equal(refused.code, 2)
    assert.match(refused.output, /the pipeline file of again changed: exclude/)
    assert.match(refused.output, /--reload again .*--keep again/)
    await ranOnce(options(name))
    await assertEqual(name)

    await connection.query(`UPDATE ${name}.things SET name = 'kept' WHERE id = 3`)
    await ranOnce(options(name, { pipelines: without, extraArguments: ['--keep', name] }))
    assert.equal(loadsIn(name), 1)
    assert.deepEqual(await indexOf(name).document('3'), { id: 3, name: 'kept' })
    assert.equal((await indexOf(name).document('2'))?.['amount'], '2.50')
    // What was kept is the pipeline's file from now on.
    await ranOnce(options(name, { pipelines: without }))
    await ranOnce(options(name, { pipelines: without, extraArguments: ['--reload', name] }))
    assert.equal(loadsIn(name), 2)
    await assertEqual(name, ({ id = null, name: text = null }) => ({
      id: String(id),
      document: { id, name: text },
    }))
  })

  test('an index that is deleted under load comes back by itself', async () => {
    const name = 'deleted'
    await createItems(connection, `${name}.items`, 1000)
    await using daemon = await DaemonProcess.start(options(name))
    await untilCaughtUp(daemon, connection)
    await using workload = workloadOn(name)
    workload.start()
    assert((await indexOf(name).written()) > 0)
    const begun = daemon.expect('load-started')
    await indexOf(name).delete()
    await begun()
    await workload.stop()
    await untilCaughtUp(daemon, connection)
    await assertItemsEqual(name)
    assert.equal((await daemon.pipeline(name)).deadLetters, 0)
  })

  test('an alias that is moved to another index, for good, is followed when a person says so', async () => {
    const name = 'moved'
    await createItems(connection, `${name}.items`, 300)
    await using daemon = await DaemonProcess.start(options(name))
    await untilCaughtUp(daemon, connection)
    const index = indexOf(name)
    await index.ask('PUT', `/${name}-copy`, { mappings: { dynamic: false } })
    await index.ask('POST', '/_aliases', {
      actions: [
        { add: { index: `${name}-copy`, alias: name } },
        { remove: { index: `${name}-000001`, alias: name } },
      ],
    })
    await daemon.until('wait', ({ pipelines: [pipeline] }) =>
      /points at moved-copy in place of moved-000001/.test(pipeline?.error ?? ''),
    )
    await connection.query(`DELETE FROM ${name}.items WHERE id < 50`)
    const begun = daemon.expect('load-started')
    await daemon.steer(name, 'reload')
    await begun()
    await untilCaughtUp(daemon, connection)
    await assertItemsEqual(name)
  })

  test('an index that is replaced under load stops the pipeline until it is loaded anew', async () => {
    const name = 'replaced'
    await createItems(connection, `${name}.items`, 1000)
    await using daemon = await DaemonProcess.start(options(name))
    await untilCaughtUp(daemon, connection)
    await using workload = workloadOn(name)
    workload.start()
    const index = indexOf(name)
    await index.ask('PUT', `/${name}-copy`, {})
    await index.ask('PUT', `/${name}-copy/_doc/stranger`, { id: 0 })
    await index.ask('POST', '/_aliases', {
      actions: [
        { add: { index: `${name}-copy`, alias: name } },
        { remove_index: { index: `${name}-000001` } },
      ],
    })
    const exit = await daemon.ended()
    assert.equal(exit.code, 1)
    assert.match(daemon.outputTail(5), /restored or replaced[^]*--reload replaced/)
    const again = await ended(options(name))
    assert.equal(again.code, 1)
    assert.match(again.output, /--reload replaced/)
    await index.ask('DELETE', `/${name}-copy`)
    await index.ask('PUT', `/${name}-copy`, { aliases: { [name]: {} } })
    await index.ask('PUT', `/${name}-copy/_doc/stranger`, {})
    await using reloading = await DaemonProcess.start(options(name, { extraArguments: ['--reload', name] }))
    await reloading.until('load anew', () => loadsIn(name) > 1)
    await workload.stop()
    await untilCaughtUp(reloading, connection)
    await assertItemsEqual(name)
  })

  function options(name: string, more: Partial<DaemonOptions> = {}): DaemonOptions {
    const table =
      name === 'lost_state' || name === 'deleted' || name === 'replaced' || name === 'moved'
        ? 'items'
        : 'things'
    return {
      directory: join(stack.directory, name),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { [name]: { table: `${name}.${table}` } },
      ...more,
    }
  }

  function indexOf(name: string): SearchIndex {
    return new SearchIndex(stack.elasticsearch.url, name)
  }

  /** Rows 1 to 9. */
  async function createThings(name: string): Promise<void> {
    await connection.query(`CREATE DATABASE ${name}`)
    await connection.query(
      `CREATE TABLE ${name}.things (id INT PRIMARY KEY, name VARCHAR(60), amount DECIMAL(10,2))`,
    )
    const rows = Array.from({ length: 9 }, (_, at) => [at + 1, `thing ${at + 1}`, `${at + 1}.50`])
    await connection.query(`INSERT INTO ${name}.things VALUES ?`, [rows])
  }

  /** Makes an index under the alias and fills it by a plain bulk request. */
  async function fill(name: string, settings: object, lines: readonly object[]): Promise<void> {
    await indexOf(name).ask('PUT', `/${name}-old`, { settings, aliases: { [name]: {} } })
    const body = lines.map((line) => `${jsonOf(line)}\n`).join('')
    const answer = await fetch(`${stack.elasticsearch.url}/${name}/_bulk?refresh=true`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body,
    })
    assert.match(await answer.text(), /"errors":false/)
  }

  /** A run until all is delivered, ended as a person would; what it was then. */
  async function ranOnce(one: DaemonOptions): Promise<{ readonly lineage: string; readonly epoch: number }> {
    await using daemon = await DaemonProcess.start(one)
    const { sources, pipelines } = await untilCaughtUp(daemon, connection)
    const exit = await daemon.stop()
    assert.equal(exit.code, 0)
    assert.equal(pipelines[0]?.deadLetters, 0)
    return { lineage: sources[0]?.lineage ?? '', epoch: sources[0]?.epoch ?? 0 }
  }

  /** How many loads the daemons in the folder of this name have begun. */
  function loadsIn(name: string): number {
    const output = readFileSync(join(stack.directory, name, 'daemon.log'), 'utf8')
    return output.split('"fact":"load-started"').length - 1
  }

  async function connect(): Promise<Connection> {
    return await stack.mysql.connect()
  }

  function workloadOn(name: string): Workload {
    return new Workload({ connect, table: `${name}.items`, seed: 5, ids: 1500, transactionsPerSecond: 80 })
  }

  async function assertItemsEqual(name: string): Promise<void> {
    const { rows, differences } = await differencesOfItems(connection, `${name}.items`, indexOf(name))
    assert.deepEqual(differences.slice(0, 10), [])
    assert(rows > 0)
  }

  async function assertEqual(name: string, expect?: MirrorQuestion['expect']): Promise<void> {
    const table = `${name}.things`
    const question = { connection, table, index: indexOf(name), ...(expect === undefined ? {} : { expect }) }
    assert.deepEqual(await differencesOf(question), [])
    assert.equal(await indexOf(name).count(), 9)
  }
})

/** JSON with whole bigints. */
function jsonOf(line: object): string {
  const text = JSON.stringify(line, (_, value: unknown) =>
    typeof value === 'bigint' ? `bigint:${value}` : value,
  )
  return text.replaceAll(/"bigint:(\d+)"/g, '$1')
}

/** A run that ends by itself, and the last lines of its output. */
async function ended(one: DaemonOptions): Promise<{ readonly code: number | null; readonly output: string }> {
  await using daemon = new DaemonProcess(one)
  const { code } = await daemon.ended()
  return { code, output: daemon.outputTail(8) }
}
