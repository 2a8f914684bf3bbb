import assert from 'node:assert/strict'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { freePort } from '../stack/ports.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { startFreezingProxy } from '../support/freezing-proxy.ts'
import { differencesOf, type MirrorQuestion } from '../support/mirror.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'

suite('what is lost is said, and loaded anew', () => {
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

  test('a change that the server purged before we read it', async () => {
    const name = 'purged'
    await createThings(name, 50)
    await ranOnce(options(name))
    await execute(
      `DELETE FROM ${name}.things WHERE id < 20`,
      `UPDATE ${name}.things SET name = 'changed' WHERE id > 40`,
      'FLUSH BINARY LOGS',
      'FLUSH BINARY LOGS',
    )
    const [files] = await connection.query<RowDataPacket[]>('SHOW BINARY LOGS')
    await connection.query('PURGE BINARY LOGS TO ?', [files.at(-1)?.['Log_name']])
    await using refused = new DaemonProcess(options(name))
    assert.equal((await refused.ended()).code, 1)
    assert.match(refused.outputTail(5), /purged|no longer/i)
    assert.match(refused.outputTail(5), /anew|--reload/)
    await ranOnce(options(name, { extraArguments: ['--reload', name] }))
    await assertEqual(name)
    await ranOnce(options(name))
    await assertEqual(name)
  })

  test('a binlog that was reset, and files that were restored from a backup', async () => {
    const name = 'set_back'
    await createThings(name, 50)
    await ranOnce(options(name))
    await execute('RESET BINARY LOGS AND GTIDS', `DELETE FROM ${name}.things WHERE id < 10`)
    await refusedThenLoaded(name, /was reset/, 2)
    await stack.mysql.stop()
    const { dataDirectory } = stack.mysql
    await cp(dataDirectory, `${dataDirectory}-backup`, { recursive: true })
    await restart()
    await execute(`DELETE FROM ${name}.things WHERE id > 40`, `INSERT INTO ${name}.things VALUES (99, 'new')`)
    await ranOnce(options(name))
    await stack.mysql.kill()
    await rm(dataDirectory, { recursive: true })
    await cp(`${dataDirectory}-backup`, dataDirectory, { recursive: true })
    await restart()
    await refusedThenLoaded(name, /restored from a backup/, 3)
  })

  test('a statement that is in the binlog without its rows', async () => {
    const name = 'stated'
    await createThings(name, 50)
    await ranOnce(options(name))
    await execute(
      "SET SESSION binlog_format = 'STATEMENT'",
      `UPDATE ${name}.things SET name = 'changed' WHERE id > 40`,
      "SET SESSION binlog_format = 'ROW'",
      `DELETE FROM ${name}.things WHERE id < 10`,
    )
    await refusedThenLoaded(name, /as a statement, without its rows/, 2)
  })

  test('a lagging pipeline is told of a column that its rows did not have yet', async () => {
    const name = 'columns'
    await createThings(name, 20)
    const others = { other: { table: `${name}.things` } }
    const pipelines = { ...others, [name]: { table: `${name}.things`, fields: { id: 'id', name: 'name' } } }
    await ranOnce(options(name, { pipelines }))
    await execute(
      `UPDATE ${name}.things SET name = 'before' WHERE id < 5`,
      `ALTER TABLE ${name}.things ADD COLUMN colour VARCHAR(10) NOT NULL DEFAULT 'blue'`,
      `UPDATE ${name}.things SET colour = 'red' WHERE id = 7`,
    )
    const more = { ...others, [name]: { table: `${name}.things`, fields: { id: 'id', shade: 'colour' } } }
    await ranOnce(options(name, { pipelines: more, extraArguments: ['--reload', name] }))
    await assertEqual(name, ({ id = null, colour = null }) => ({
      id: String(id),
      document: { id, shade: colour },
    }))
    await assertEqual(name, undefined, 'other')
  })

  test('changes that the log dropped before they were delivered', async () => {
    const name = 'dropped'
    await createThings(name, 100)
    const log = { segmentMb: 0.1, retentionGb: 0.001, ceilingGb: 0.001 }
    await using door = await startFreezingProxy(stack.elasticsearch.port, undefined, await freePort())
    const small = options(name, {
      elasticsearchUrl: `http://127.0.0.1:${door.port}`,
      settings: { log, delivery: { waitSecondsMax: 2 } },
    })
    await using daemon = await DaemonProcess.start(small)
    await untilCaughtUp(daemon, connection)
    const warned = daemon.expect('group-endangered')
    await door.shut()
    await fatten(name, 1000, 4000)
    await warned()
    assert.equal(daemon.exit, undefined)
    await fatten(name, 10_000, 20_000)
    assert.equal((await daemon.ended()).code, 1)
    await door.open()
    assert(daemon.told('group-lost').length > 0)
    assert.match(daemon.outputTail(5), /--reload dropped/)
    // With the usual room: what is loaded fits.
    await ranOnce(options(name, { extraArguments: ['--reload', name] }))
    await assertEqual(name)
  })

  function options(name: string, more: Partial<DaemonOptions> = {}): DaemonOptions {
    return {
      directory: join(stack.directory, name),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { [name]: { table: `${name}.things` } },
      ...more,
    }
  }

  async function restart(): Promise<void> {
    await stack.mysql.start()
    connection.destroy()
    connection = await stack.mysql.connect()
  }

  /** The epoch is raised where continuity is lost, and only there. */
  async function refusedThenLoaded(name: string, why: RegExp, epoch: number): Promise<void> {
    const settings = { sources: { main: { url: '${MYSQL_URL}', catchUpSeconds: 0.5 } } }
    await using refused = new DaemonProcess(options(name, { settings }))
    assert.equal((await refused.ended()).code, 1)
    assert.match(refused.outputTail(5), why)
    assert.match(refused.outputTail(5), /--reload/)
    await ranOnce(options(name, { settings, extraArguments: ['--reload', name] }))
    await assertEqual(name)
    await using again = await DaemonProcess.start(options(name, { settings }))
    assert.equal((await untilCaughtUp(again, connection)).sources[0]?.epoch, epoch)
    await assertEqual(name)
  }

  async function execute(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) await connection.query(statement)
  }

  async function createThings(name: string, count: number): Promise<void> {
    await execute(
      `CREATE DATABASE ${name}`,
      `CREATE TABLE ${name}.things (id INT PRIMARY KEY, name VARCHAR(400))`,
    )
    await insert(
      name,
      Array.from({ length: count }, (_, at) => [at + 1, `thing ${at + 1}`]),
    )
  }

  /** So many rows of 200 bytes. */
  async function fatten(name: string, first: number, count: number): Promise<void> {
    await insert(
      name,
      Array.from({ length: count }, (_, at) => [first + at, 'fat '.repeat(50)]),
    )
  }

  async function insert(name: string, rows: readonly (readonly [number, string])[]): Promise<void> {
    await connection.query(`INSERT INTO ${name}.things VALUES ?`, [rows])
  }

  async function ranOnce(one: DaemonOptions): Promise<void> {
    await using daemon = await DaemonProcess.start(one)
    const { pipelines } = await untilCaughtUp(daemon, connection)
    for (const { deadLetters } of pipelines) assert.equal(deadLetters, 0)
    assert.equal((await daemon.stop()).code, 0)
  }

  async function assertEqual(
    name: string,
    expect?: MirrorQuestion['expect'],
    indexName = name,
  ): Promise<void> {
    const index = new SearchIndex(stack.elasticsearch.url, indexName)
    const question = { connection, table: `${name}.things`, index }
    const differences = await differencesOf(expect === undefined ? question : { ...question, expect })
    assert.deepEqual(differences.slice(0, 10), [])
    assert((await index.count()) > 0)
  }
})
