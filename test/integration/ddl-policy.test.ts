import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import type { PipelineStatus } from '../../src/control/operations.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp, untilDelivered } from '../support/caught-up.ts'
import { millrace } from '../support/command-process.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { differencesOf, type MirrorQuestion, type TextRow } from '../support/mirror.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'
import { createItems, executeBeside, Workload } from '../support/workload.ts'

const names = ['mysql', 'mysql@8.0', 'mariadb', 'mariadb@11.8'] as const
let stack: Stack

before(async () => {
  stack = await startSuiteStack({ servers: [...names, 'elasticsearch'] })
})
after(() => stack?.[Symbol.asyncDispose]())

for (const name of names)
  suite(`what becomes of the index when the columns change: ${name}`, () => testServer(name))

/** Everything on one server; of the others what depends on their words and events. */
function testServer(kind: (typeof names)[number]): void {
  const suffix = names.indexOf(kind)
  let server: SqlServer
  let connection: Connection

  before(async () => {
    server = stack.servers.get(kind) as SqlServer
    connection = await server.connect()
  })
  after(() => connection?.destroy())

  test('auto: the index follows the columns under load, and a table that is swapped for another', async () => {
    const schema = `follows${suffix}`
    const table = await createTable(schema)
    const [whole, picked] = [`whole${suffix}`, `picked${suffix}`]
    const pipelines = { [whole]: { table }, [picked]: { table, fields: { number: 'id', title: 'name' } } }
    await using daemon = await DaemonProcess.start(options(schema, pipelines))
    await untilCaughtUp(daemon, connection)
    await using workload = await working(table)
    const delivered = () => untilDelivered(daemon, connection, [whole, picked])
    await execute(`ALTER TABLE ${table} ADD INDEX (name)`)
    await delivered()
    assert.equal(loadsOf(daemon, whole), 1, 'an index changes no row')
    await execute(
      `ALTER TABLE ${table} ADD COLUMN colour VARCHAR(10) NOT NULL DEFAULT 'blue' AFTER id`,
      `ALTER TABLE ${table} ADD COLUMN size INT`,
    )
    await delivered()
    assert.deepEqual(await mappingOf(whole, 'size'), { type: 'integer' })
    assert.equal(loadsOf(daemon, picked), 1, 'columns that are not shown change no document')
    await execute(`ALTER TABLE ${table} MODIFY name VARCHAR(200) NOT NULL`)
    await delivered()
    assert.equal(loadsOf(daemon, picked), 2)
    await execute(
      `ALTER TABLE ${table} DROP COLUMN weight, RENAME COLUMN spare TO extra`,
      `RENAME TABLE ${table} TO ${schema}.aside, ${schema}.aside TO ${table}`,
      `CREATE TABLE ${schema}._items_gho LIKE ${table}`,
      `ALTER TABLE ${schema}._items_gho ADD COLUMN shade VARCHAR(10) NOT NULL DEFAULT 'dark' FIRST`,
      `INSERT INTO ${schema}._items_gho SELECT 'light', items.* FROM ${table} WHERE id % 10 > 0`,
      `RENAME TABLE ${table} TO ${schema}._items_del, ${schema}._items_gho TO ${table}`,
    )
    await daemon.until('write on', () => workload.transactions > 50)
    await workload.stop()
    await untilCaughtUp(daemon, connection)
    await assertEqual(table, whole)
    await assertEqual(table, picked, ({ id = null, name = null }) => ({
      id: String(id),
      document: { number: id, title: name },
    }))
    await assertNoLetters(daemon)
  })

  if (kind !== names[0]) return

  test('auto: what the index cannot hold stops that pipeline alone, before a document is refused', async () => {
    const table = await createTable('unfit')
    const pipelines = {
      grown: { table },
      other: { table, fields: { number: 'id', title: 'name' } },
      chosen: { table, fields: { number: 'id' }, where: { spare: 's' } },
    }
    const settings = options('unfit', pipelines)
    {
      await using daemon = await DaemonProcess.start(settings)
      await untilCaughtUp(daemon, connection)
      await using workload = await working(table)
      await execute(
        `ALTER TABLE ${table} MODIFY weight BIGINT`,
        `UPDATE ${table} SET weight = 5000000000 WHERE id % 3 = 0`,
      )
      const grown = await untilState(daemon, 'grown', 'failed')
      assert.match(grown.error ?? '', /MODIFY weight BIGINT.*field weight is integer in the index/)
      assert.match(grown.remedy ?? '', /delete the index/)
      await workload.stop()
      await assertNoLetters(daemon)
      await untilDelivered(daemon, connection, ['other'])
      await assertEqual(table, 'other', ({ id = null, name = null }) => ({
        id: String(id),
        document: { number: id, title: name },
      }))
      await untilDelivered(daemon, connection, ['chosen'])
      await execute(
        `ALTER TABLE ${table} DROP COLUMN spare`,
        `UPDATE ${table} SET name = 'without' WHERE id % 2 = 0`,
      )
      const chosen = await untilState(daemon, 'chosen', 'failed')
      assert.match(chosen.error ?? '', /DROP COLUMN spare.*no column spare/)
      assert.match(chosen.remedy ?? '', /--reload chosen/)
      await assertEqual(table, 'chosen', ({ id = null }) => ({ id: String(id), document: { number: id } }))
    }
    await new SearchIndex(stack.elasticsearch.url, 'grown').delete()
    const chosen = { table, fields: { number: 'id' } }
    await using daemon = await DaemonProcess.start({
      ...options('unfit', { ...pipelines, chosen }),
      extraArguments: ['--reload', 'chosen'],
    })
    await untilCaughtUp(daemon, connection)
    await assertEqual(table, 'grown')
    assert.deepEqual(await mappingOf('grown', 'weight'), { type: 'long' })
  })

  test('propose: a new column waits to be accepted; one that is gone makes the pipeline wait', async () => {
    const table = await createTable('proposes')
    const pipelines = { proposed: { table, policy: { ddl: 'propose' } } }
    const settings = options('proposes', pipelines)
    {
      await using daemon = await DaemonProcess.start(settings)
      await untilCaughtUp(daemon, connection)
      await using workload = await working(table)
      await execute(
        `ALTER TABLE ${table} ADD COLUMN colour VARCHAR(10) NOT NULL DEFAULT 'blue' AFTER id`,
        `UPDATE ${table} SET colour = 'red' WHERE id % 3 = 0`,
      )
      await daemon.until('propose', (status) => Object.keys(proposedIn(status.pipelines)).length > 0)
      await execute(`ALTER TABLE ${table} RENAME COLUMN spare TO extra`)
      const waiting = await untilState(daemon, 'proposed', 'waiting')
      assert.match(waiting.error ?? '', /field spare: the column spare is gone.*RENAME COLUMN spare TO extra/)
      assert.match(waiting.remedy ?? '', /--reload proposed/)
      await execute(`ALTER TABLE ${table} RENAME COLUMN extra TO spare`)
      await workload.stop()
      const { pipelines: found, recent } = await untilCaughtUp(daemon, connection)
      assert.deepEqual(Object.keys(proposedIn(found)), ['colour'])
      assert.match(proposedIn(found)['colour'] ?? '', /"type":"text"/)
      assert(recent.some(({ what }) => /left out until they are accepted: colour/.test(what)))
      assert.match(daemon.output(), /--reload proposed to show them in every document/)
      await assertEqual(table, 'proposed', withoutColour)
      assert.equal(await mappingOf('proposed', 'colour'), undefined)
      const verified = await millrace(
        ['verify', 'proposed', '--config', 'config/millrace.yaml'],
        settings.directory,
        {
          MYSQL_URL: settings.mysqlUrl,
          ELASTICSEARCH_URL: settings.elasticsearchUrl,
        },
      )
      assert.equal(verified.code, 0, verified.out + verified.err)
    }
    await using daemon = await DaemonProcess.start({
      ...settings,
      extraArguments: ['--reload', 'proposed'],
    })
    const { pipelines: accepted } = await untilCaughtUp(daemon, connection)
    assert.deepEqual(proposedIn(accepted), {})
    await assertEqual(table, 'proposed')
    assert.notEqual(await mappingOf('proposed', 'colour'), undefined)
  })

  test('freeze: the index stays as it was when the columns changed, until that is accepted', async () => {
    const table = await createTable('freezes')
    const policy = { ddl: 'freeze' }
    const pipelines = {
      frozen: { table, policy },
      narrow: { table, fields: { number: 'id', title: 'name' }, policy },
    }
    const settings = options('freezes', pipelines)
    {
      await using daemon = await DaemonProcess.start(settings)
      await untilCaughtUp(daemon, connection)
      const earlier = await working(table)
      await daemon.until('work', () => earlier.transactions > 50)
      await earlier.stop()
      await execute(
        `UPDATE ${table} SET name = 'changed last' WHERE id % 3 = 0`,
        `DELETE FROM ${table} WHERE id % 5 = 0`,
        `CREATE TABLE freezes.before_it SELECT * FROM ${table}`,
        `CREATE TABLE freezes._items_gho LIKE ${table}`,
        'ALTER TABLE freezes._items_gho DROP COLUMN weight',
        `INSERT INTO freezes._items_gho SELECT id, counter, name, price, note, spare FROM ${table}`,
        `RENAME TABLE ${table} TO freezes._items_del, freezes._items_gho TO ${table}`,
      )
      await using later = await working(table, 2)
      const frozen = await untilState(daemon, 'frozen', 'failed')
      assert.match(
        frozen.error ?? '',
        /field weight: the column weight is gone \(RENAME TABLE freezes\.items/,
      )
      assert.match(frozen.remedy ?? '', /--reload frozen .*--keep frozen/)
      await daemon.until('write on', () => later.transactions > 50)
      await later.stop()
      await untilDelivered(daemon, connection, ['narrow'])
      await assertEqual(table, 'narrow', ({ id = null, name = null }) => ({
        id: String(id),
        document: { number: id, title: name },
      }))
      await assertEqual('freezes.before_it', 'frozen')
    }
    await using daemon = await DaemonProcess.start({ ...settings, extraArguments: ['--reload', 'frozen'] })
    await untilCaughtUp(daemon, connection)
    await assertEqual(table, 'frozen')
  })

  async function createTable(schema: string): Promise<string> {
    const table = `${schema}.items`
    await createItems(connection, table, 300)
    await execute(
      `ALTER TABLE ${table} DROP COLUMN changed_at, ADD COLUMN spare VARCHAR(40) DEFAULT 's', ADD COLUMN weight INT`,
    )
    return table
  }

  /** An application on the table that has begun to work. */
  async function working(table: string, seed = 1): Promise<Workload> {
    const workload = new Workload({
      connect: () => server.connect(),
      table,
      seed,
      ids: 400,
      transactionsPerSecond: 50,
    })
    workload.start()
    return workload
  }

  function options(name: string, pipelines: DaemonOptions['pipelines']): DaemonOptions {
    return {
      directory: join(stack.directory, name),
      mysqlUrl: server.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines,
    }
  }

  async function execute(...statements: readonly string[]): Promise<void> {
    await executeBeside(connection, ...statements)
  }

  async function assertEqual(
    table: string,
    name: string,
    expect: MirrorQuestion['expect'] = wholeRow,
  ): Promise<void> {
    const index = new SearchIndex(stack.elasticsearch.url, name)
    const differences = await differencesOf({ connection, table, index, expect })
    assert.deepEqual(differences.slice(0, 10), [])
    assert((await index.count()) > 0)
  }
}

async function mappingOf(index: string, field: string): Promise<unknown> {
  const found = new SearchIndex(stack.elasticsearch.url, index)
  const answer = await found.ask<Record<string, { mappings: { properties: Record<string, unknown> } }>>(
    'GET',
    `/${index}/_mapping`,
  )
  return Object.values(answer)[0]?.mappings.properties[field]
}

function wholeRow(row: TextRow): { readonly id: string; readonly document: TextRow } {
  return { id: String(row['id']), document: row }
}

function withoutColour(row: TextRow): ReturnType<typeof wholeRow> {
  return wholeRow(Object.fromEntries(Object.entries(row).filter(([column]) => column !== 'colour')))
}

function proposedIn(pipelines: readonly PipelineStatus[]): Readonly<Record<string, string>> {
  return pipelines[0]?.proposed ?? {}
}

function loadsOf(daemon: DaemonProcess, name: string): number {
  return daemon.told('load-started', { group: `${name}@primary` }).length
}

async function untilState(
  daemon: DaemonProcess,
  name: string,
  state: PipelineStatus['state'],
): Promise<PipelineStatus> {
  const { pipelines } = await daemon.until(`be ${state}`, (status) =>
    status.pipelines.some((each) => each.name === name && each.state === state && each.error !== null),
  )
  const found = pipelines.find((each) => each.name === name)
  assert(found)
  return found
}

async function assertNoLetters(daemon: DaemonProcess): Promise<void> {
  const { pipelines } = await daemon.status()
  for (const { deadLetters } of pipelines) assert.equal(deadLetters, 0)
}
