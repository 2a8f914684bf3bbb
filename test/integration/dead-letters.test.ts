import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import type { Letter, LetterKind } from '../../src/control/operations.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { millrace as run, type CommandResult } from '../support/command-process.ts'
import { writeConfigFile } from '../support/config-file.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'

const rows = 2000
/** One row in a hundred. */
const hostileIds = Array.from({ length: rows / 100 }, (_, at) => at * 100)

suite('documents that the target refuses', () => {
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

  /** The index takes numbers alone where the table takes any text. */
  function options(name: string): DaemonOptions {
    const target = { mappings: { size: { type: 'integer' } } }
    return {
      directory: join(stack.directory, name),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { [name]: { table: `${name}.things`, target }, [`${name}_well`]: { table: `${name}.well` } },
    }
  }

  async function createThings(name: string, hostile: readonly number[]): Promise<void> {
    await connection.query(`CREATE DATABASE ${name}`)
    for (const table of ['things', 'well'])
      await connection.query(`CREATE TABLE ${name}.${table} (id INT PRIMARY KEY, size VARCHAR(40))`)
    const values = Array.from({ length: rows }, (_, id) => [id, hostile.includes(id) ? 'large' : String(id)])
    await connection.query(`INSERT INTO ${name}.things VALUES ?`, [values])
  }

  async function millrace(name: string, ...words: string[]): Promise<CommandResult> {
    const { directory, mysqlUrl, elasticsearchUrl } = options(name)
    const environment = { MYSQL_URL: mysqlUrl, ELASTICSEARCH_URL: elasticsearchUrl }
    return await run(words, directory, environment)
  }

  async function letters(name: string): Promise<readonly Letter[]> {
    const { out } = await millrace(name, 'dead-letters', 'show', name, '--limit', '1000', '--json')
    return out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Letter)
  }

  async function assertEqual(name: string, except: readonly number[] = []): Promise<void> {
    const index = new SearchIndex(stack.elasticsearch.url, name)
    await index.refresh()
    const documents: [number, string][] = []
    for await (const { _source: source } of index.documents())
      documents.push([Number(source['id']), String(source['size'])])
    const [found] = await connection.query({ sql: `SELECT id, size FROM ${name}.things`, rowsAsArray: true })
    const expected = (found as unknown as [number, string][]).filter(([id]) => !except.includes(id))
    assert.deepEqual(
      documents.toSorted(([a], [b]) => a - b),
      expected.toSorted(([a], [b]) => a - b),
    )
  }

  test('are put aside one by one; they close when their rows are corrected, or when they are redriven', async () => {
    const name = 'hostile'
    await createThings(name, hostileIds)
    await using daemon = await DaemonProcess.start(options(name))
    await untilCaughtUp(daemon, connection)
    await assertEqual(name, hostileIds)
    const put = await letters(name)
    assert.deepEqual(put.map(({ key }) => key).toSorted(), hostileIds.map((id) => `[${id}]`).toSorted())
    assert.match(put[0]?.document ?? '', /"size":"large"/)
    const listed = await millrace(name, 'dead-letters', 'ls', '--json')
    assert.equal(listed.code, 1)
    const [kind] = JSON.parse(listed.out) as readonly LetterKind[]
    assert.equal(kind?.count, hostileIds.length)
    assert.match(kind.fingerprint, /failed to parse field/)

    const [corrected, unseen] = [hostileIds.slice(0, 10), hostileIds.slice(10)]
    await connection.query(`UPDATE ${name}.things SET size = '1' WHERE id IN (?)`, [corrected])
    await untilCaughtUp(daemon, connection)
    assert.equal((await daemon.pipeline(name)).deadLetters, unseen.length)
    await assertEqual(name, unseen)

    // Redriven as it is, a row is refused once more.
    const again = String(unseen[0])
    assert.equal((await millrace(name, 'dead-letters', 'redrive', name, again)).code, 0)
    await untilCaughtUp(daemon, connection)
    assert.equal((await letters(name)).find(({ id }) => id === again)?.attempts, 2)

    // A correction that no binlog tells of is found by a redrive.
    await connection.query('SET sql_log_bin = 0')
    await connection.query(`UPDATE ${name}.things SET size = '2' WHERE id IN (?)`, [unseen.slice(1)])
    await connection.query('SET sql_log_bin = 1')
    assert.match(
      (await millrace(name, 'dead-letters', 'redrive', name, '--fingerprint', kind.name)).out,
      /^10 letters/,
    )
    await untilCaughtUp(daemon, connection)
    assert.deepEqual(
      (await letters(name)).map(({ id }) => id),
      [again],
    )
    assert.match((await millrace(name, 'dead-letters', 'drop', name, '--all')).out, /^1 letters dropped/)
    assert.equal((await millrace(name, 'dead-letters', 'ls')).code, 0)
    await assertEqual(name, [Number(again)])
  })

  test('stop their pipeline where they fail alike, alone and until a person lets it go on', async () => {
    const name = 'alike'
    await createThings(name, [])
    await using daemon = await DaemonProcess.start(options(name))
    await untilCaughtUp(daemon, connection)
    await connection.query(`UPDATE ${name}.things SET size = 'large' WHERE id < 1500`)
    const stopped = await daemon.until('stop it', ({ pipelines }) =>
      pipelines.some((each) => each.name === name && each.state === 'failed'),
    )
    const pipeline = stopped.pipelines.find((each) => each.name === name)
    assert.match(pipeline?.error ?? '', /refuses documents alike/)
    assert.match(pipeline?.remedy ?? '', new RegExp(`pipelines resume ${name}@primary`))
    await connection.query(`INSERT INTO ${name}.well VALUES (1, '1')`)
    await daemon.until('go on with the others', ({ pipelines }) =>
      pipelines.some((each) => each.name === `${name}_well` && each.indexed === 1),
    )
    await connection.query(`UPDATE ${name}.things SET size = '3' WHERE size = 'large'`)
    assert.equal((await millrace(name, 'pipelines', 'resume', name)).code, 0)
    await untilCaughtUp(daemon, connection)
    await assertEqual(name)
    assert.equal((await daemon.pipeline(name)).deadLetters, 0)
  })

  test('a transform that does not end stops its pipeline, by its name, and no other', async () => {
    const name = 'endless'
    await createThings(name, [])
    const { pipelines, ...others } = options(name)
    const things = { table: `${name}.things`, transform: '../endless.ts' }
    const asked = { ...others, pipelines: { ...pipelines, [name]: things } }
    const transform =
      "export const transform = (row: { size: string }) => { while (row.size === 'large'); return row }"
    writeConfigFile(asked, 'endless.ts', transform)
    await using daemon = await DaemonProcess.start(asked)
    await untilCaughtUp(daemon, connection)
    await connection.query(`UPDATE ${name}.things SET size = 'large' WHERE id = 7`)
    const stopped = await daemon.until('stop it', ({ pipelines: all }) =>
      all.some((each) => each.name === name && each.state === 'failed'),
    )
    const pipeline = stopped.pipelines.find((each) => each.name === name)
    assert.match(pipeline?.error ?? '', /endless\.ts does not end for some document/)
    assert.match(pipeline?.remedy ?? '', /^correct it/)
    await connection.query(`INSERT INTO ${name}.well VALUES (1, '1')`)
    await daemon.until('go on with the others', ({ pipelines: all }) =>
      all.some((each) => each.name === `${name}_well` && each.indexed === 1),
    )
  })

  test('a pause holds a pipeline, also over a restart, and loses nothing; a reload reads its table anew', async () => {
    const name = 'paused'
    await createThings(name, [])
    await using first = await DaemonProcess.start(options(name))
    await untilCaughtUp(first, connection)
    assert.match((await millrace(name, 'pipelines', 'pause', name)).out, /^paused@primary: paused$/m)
    await first.until('pause', ({ pipelines }) => pipelines.some(({ state }) => state === 'paused'))
    await connection.query(`DELETE FROM ${name}.things WHERE id < 500`)
    await first.until('capture', ({ pipelines }) => pipelines.some(({ lagChanges }) => lagChanges >= 500))
    assert.equal((await first.stop()).code, 0)
    await using second = await DaemonProcess.start(options(name))
    const status = await second.until('keep the pause', ({ pipelines }) =>
      pipelines.some(({ state }) => state === 'paused'),
    )
    assert.equal(status.pipelines.find((each) => each.name === name)?.indexed, 0)
    assert.equal((await millrace(name, 'pipelines', 'resume', name)).code, 0)
    await untilCaughtUp(second, connection)
    await assertEqual(name)

    await connection.query('SET sql_log_bin = 0')
    await connection.query(`UPDATE ${name}.things SET size = '4' WHERE id > 1500`)
    await connection.query('SET sql_log_bin = 1')
    const loaded = second.expect('load-finished', { group: `${name}@primary` })
    assert.equal((await millrace(name, 'pipelines', 'reload', name)).code, 0)
    await loaded()
    await untilCaughtUp(second, connection)
    await assertEqual(name)
    assert.equal((await millrace(name, 'pipelines', 'pause', 'nobody')).code, 2)
  })
})
