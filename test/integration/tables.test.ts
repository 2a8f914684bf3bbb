import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { differencesOf, type MirrorQuestion, type TextRow } from '../support/mirror.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'

suite('tables and what becomes of them', () => {
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

  test('a table is altered and emptied while capture lags', async () => {
    await execute(
      'CREATE DATABASE alters',
      'CREATE TABLE alters.Altered (id INT PRIMARY KEY, name VARCHAR(40), spare VARCHAR(40), weight INT)',
      'CREATE TABLE alters.emptied (id INT PRIMARY KEY, name VARCHAR(40))',
      `INSERT INTO alters.Altered VALUES ${tuples(1, 300, (id) => `${id}, 'name ${id}', 's', ${id % 7}`)}`,
      `INSERT INTO alters.emptied VALUES ${tuples(1, 300, (id) => `${id}, 'name ${id}'`)}`,
    )
    const lagging = options('alters', {
      altered: { table: 'alters.Altered' },
      picked: { table: 'alters.Altered', fields: { number: 'id', title: 'name' } },
      emptied: { table: 'alters.emptied' },
    })
    await ranOnce(lagging)
    await execute(
      `INSERT INTO alters.Altered VALUES ${tuples(301, 50, (id) => `${id}, 'before', 's', NULL`)}`,
      "UPDATE alters.Altered SET name = 'changed before' WHERE id < 20",
      "ALTER TABLE alters.Altered ADD COLUMN colour VARCHAR(10) NOT NULL DEFAULT 'blue' AFTER name",
      "INSERT INTO alters.Altered VALUES (400, 'new', 'red', 's', 1)",
      'DELETE FROM alters.Altered WHERE id BETWEEN 100 AND 120',
      'ALTER TABLE alters.Altered DROP COLUMN weight',
      "UPDATE alters.Altered SET colour = 'green' WHERE id > 395 OR id = 5",
      'ALTER TABLE alters.Altered RENAME COLUMN spare TO extra, ADD INDEX (name)',
      "UPDATE alters.Altered SET id = 500, extra = 'moved' WHERE id = 7",
      "INSERT INTO alters.emptied VALUES (1000, 'soon gone')",
      'TRUNCATE TABLE alters.emptied',
      "INSERT INTO alters.emptied VALUES (3, 'after'), (1001, 'after')",
    )
    await ranOnce(lagging)
    await assertEqual('alters.Altered', 'altered')
    await assertEqual('alters.Altered', 'picked', ({ id = null, name = null }) => ({
      id: String(id),
      document: { number: id, title: name },
    }))
    await assertEqual('alters.emptied', 'emptied')
  })

  test('a table is altered and emptied while it is being loaded and changed', async () => {
    await execute(
      'CREATE DATABASE busy',
      'CREATE TABLE busy.rows_here (id INT PRIMARY KEY, name VARCHAR(40))',
      `INSERT INTO busy.rows_here VALUES ${tuples(1, 2000, (id) => `${id}, 'name ${id}'`)}`,
    )
    const loading = options(
      'busy',
      { busy: { table: 'busy.rows_here' } },
      { load: { chunkRows: 100, rowsPerSecond: 1000 } },
    )
    await using daemon = await DaemonProcess.start(loading)
    await daemon.until('read a part', ({ pipelines }) => (pipelines[0]?.load?.rowsDone ?? 0) >= 300)
    await execute(
      'ALTER TABLE busy.rows_here ADD COLUMN size INT NOT NULL DEFAULT 7',
      "UPDATE busy.rows_here SET name = 'changed' WHERE id % 10 = 0",
      'DELETE FROM busy.rows_here WHERE id % 10 = 1',
    )
    await untilCaughtUp(daemon, connection)
    await assertEqual('busy.rows_here', 'busy')
    await execute('TRUNCATE TABLE busy.rows_here', "INSERT INTO busy.rows_here VALUES (1, 'only', 1)")
    await untilCaughtUp(daemon, connection)
    await assertEqual('busy.rows_here', 'busy')
  })

  test('a document that is refused for good is put aside, and closed when its row is corrected', async () => {
    await execute(
      'CREATE DATABASE refused',
      'CREATE TABLE refused.codes (id INT PRIMARY KEY, code VARCHAR(20))',
      `INSERT INTO refused.codes VALUES ${tuples(1, 100, (id) => `${id}, '${id % 25 === 0 ? 'none' : id}'`)}`,
    )
    const target = { mappings: { code: { type: 'integer' } } }
    await using daemon = await DaemonProcess.start(
      options('refused', { refused: { table: 'refused.codes', target } }),
    )
    await untilCaughtUp(daemon, connection)
    assert.equal((await daemon.pipeline('refused')).deadLetters, 4)
    await execute(
      "UPDATE refused.codes SET code = 'bad now' WHERE id = 1",
      "UPDATE refused.codes SET code = '250' WHERE id = 25",
      'DELETE FROM refused.codes WHERE id = 50',
      "INSERT INTO refused.codes VALUES (101, '101')",
    )
    await untilCaughtUp(daemon, connection)
    assert.equal((await daemon.pipeline('refused')).deadLetters, 3)
    const metrics = await daemon.metrics()
    assert.match(metrics, /^millrace_dead_letters\{pipeline="refused",target="primary"\} 3$/m)
    assert.match(metrics, /^millrace_dead_letters_written_total\{pipeline="refused",.*\} 5$/m)
    // The text that the target quotes of a document is in the letter, not in the daemon's output.
    assert.match(daemon.output(), /refused for good and put aside/)
    assert.doesNotMatch(daemon.output(), /bad now/)
    // A document whose row was refused later keeps what it had: the row of 1.
    await assertEqual('refused.codes', 'refused', (row) => {
      if (row['id'] === '1') return { id: '1', document: { id: '1', code: '1' } }
      return row['code'] === 'none' ? undefined : whole(row)
    })
    await execute("UPDATE refused.codes SET code = '1' WHERE code IN ('none', 'bad now')")
    await untilCaughtUp(daemon, connection)
    assert.equal((await daemon.pipeline('refused')).deadLetters, 0)
    assert.match(await daemon.metrics(), /^millrace_dead_letters\{.*\} 0$/m)
    await assertEqual('refused.codes', 'refused')
  })

  test('filter, names, exclusion, prefix and keys of several columns', async () => {
    await execute(
      'CREATE DATABASE shapes',
      `CREATE TABLE shapes.lines_sold (shop VARCHAR(10), number INT, state VARCHAR(10), price DECIMAL(8,2), secret TEXT,
         PRIMARY KEY (shop, number))`,
      `INSERT INTO shapes.lines_sold VALUES ${tuples(1, 200, (id) => `'s|${id % 3}', ${id}, '${id % 2 === 0 ? 'open' : 'done'}', ${id}.10, 'hush'`)}`,
    )
    const shaped = options('shapes', {
      shaped: {
        table: 'shapes.lines_sold',
        fields: { store: 'shop', no: 'number', amount: 'price' },
        where: { state: 'open', price: { lt: 150 } },
        id: { prefix: 'line:' },
      },
      hushed: {
        table: 'shapes.lines_sold',
        exclude: ['secret', 'state'],
        where: { state: { in: ['open', 'done'] } },
      },
    })
    await using daemon = await DaemonProcess.start(shaped)
    await untilCaughtUp(daemon, connection)
    await execute(
      "UPDATE shapes.lines_sold SET state = 'done' WHERE number BETWEEN 10 AND 29",
      "UPDATE shapes.lines_sold SET state = 'open' WHERE number BETWEEN 61 AND 69",
      'UPDATE shapes.lines_sold SET price = price + 100 WHERE number BETWEEN 80 AND 90',
      'UPDATE shapes.lines_sold SET number = number + 1000 WHERE number BETWEEN 100 AND 110',
      "UPDATE shapes.lines_sold SET shop = 'moved', state = 'gone' WHERE number = 112",
      "UPDATE shapes.lines_sold SET state = 'lost' WHERE number < 5",
      'DELETE FROM shapes.lines_sold WHERE number BETWEEN 40 AND 50',
    )
    await untilCaughtUp(daemon, connection)
    await assertEqual('shapes.lines_sold', 'shaped', (row) => {
      const { shop = null, number = null, price = null, state } = row
      if (state !== 'open' || Number(price) >= 150) return undefined
      return { id: `line:${soldId(row)}`, document: { store: shop, no: number, amount: price } }
    })
    await assertEqual('shapes.lines_sold', 'hushed', (row) => {
      const { secret: _, state, ...document } = row
      return state === 'open' || state === 'done' ? { id: soldId(row), document } : undefined
    })
  })

  test('a table that is added later gets its own first load', async () => {
    await execute(
      'CREATE DATABASE joined',
      'CREATE TABLE joined.early (id INT PRIMARY KEY, name VARCHAR(40))',
      'CREATE TABLE joined.later (id INT PRIMARY KEY, name VARCHAR(40))',
      `INSERT INTO joined.early VALUES ${tuples(1, 50, (id) => `${id}, 'early ${id}'`)}`,
      `INSERT INTO joined.later VALUES ${tuples(1, 50, (id) => `${id}, 'later ${id}'`)}`,
    )
    const early = { table: 'joined.early' }
    await ranOnce(options('joined', { early }))
    const endedAtMs = Date.now()
    await execute(
      "UPDATE joined.early SET name = 'changed' WHERE id < 10",
      "UPDATE joined.later SET name = 'changed' WHERE id < 10",
      'DELETE FROM joined.later WHERE id > 45',
    )
    await using daemon = await DaemonProcess.start(
      options('joined', { early, later: { table: 'joined.later' } }),
    )
    await untilCaughtUp(daemon, connection)
    await execute("UPDATE joined.later SET name = 'and again' WHERE id = 3")
    await untilCaughtUp(daemon, connection)
    await assertEqual('joined.early', 'early')
    await assertEqual('joined.later', 'later')
    // One that is interrupted begins again, and is told again.
    const loads = daemon
      .logLines()
      .filter((line) => line['fact'] === 'load-started' && Date.parse(String(line['time'])) >= endedAtMs)
    assert.deepEqual([...new Set(loads.map((line) => line['table']))], ['joined.later'])
  })

  test('a pipeline that was taken away for a while lacks nothing when it is back', async () => {
    await execute(
      'CREATE DATABASE back',
      'CREATE TABLE back.shown (id INT PRIMARY KEY, name VARCHAR(40), note VARCHAR(40))',
      'CREATE TABLE back.alone (id INT PRIMARY KEY, name VARCHAR(40))',
      `INSERT INTO back.shown VALUES ${tuples(1, 20, (id) => `${id}, 'row ${id}', 'note ${id}'`)}`,
      `INSERT INTO back.alone VALUES ${tuples(1, 20, (id) => `${id}, 'row ${id}'`)}`,
    )
    const back = { alone: { table: 'back.alone' }, whole: { table: 'back.shown' } }
    const pipelines = { ...back, plain: { table: 'back.shown', exclude: ['note'] } }
    await ranOnce(options('back', pipelines))
    for (const name of Object.keys(back))
      rmSync(join(stack.directory, 'back', 'config', 'pipelines', `${name}.yaml`))
    await using without = await DaemonProcess.start(options('back', {}))
    await execute(
      "UPDATE back.alone SET name = 'nobody captures it' WHERE id < 5",
      'DELETE FROM back.alone WHERE id = 20',
      "UPDATE back.shown SET note = 'nobody shows it' WHERE id < 5",
      "INSERT INTO back.shown VALUES (100, 'new', 'unseen')",
      'DELETE FROM back.shown WHERE id = 20',
    )
    await without.until('deliver', ({ pipelines: [plain] }) => plain?.name === 'plain' && plain.deleted === 1)
    await without.stop()
    await ranOnce(options('back', pipelines))
    await assertEqual('back.alone', 'alone')
    await assertEqual('back.shown', 'whole')
    await assertEqual('back.shown', 'plain', ({ note: _note, ...shown }) => whole(shown))
    await using daemon = await DaemonProcess.start(options('back', pipelines))
    await untilCaughtUp(daemon, connection)
    const loads = daemon.logLines().filter((line) => line['fact'] === 'load-started')
    assert.deepEqual(
      loads.map(({ group }) => String(group)).toSorted(),
      ['alone', 'alone', 'plain', 'whole', 'whole'].map((name) => `${name}@primary`),
    )
  })

  function options(
    name: string,
    pipelines: DaemonOptions['pipelines'],
    settings: DaemonOptions['settings'] = {},
  ): DaemonOptions {
    return {
      directory: join(stack.directory, name),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines,
      settings,
    }
  }

  async function execute(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) await connection.query(statement)
  }

  async function ranOnce(one: DaemonOptions): Promise<void> {
    await using daemon = await DaemonProcess.start(one)
    const { pipelines } = await untilCaughtUp(daemon, connection)
    for (const { deadLetters } of pipelines) assert.equal(deadLetters, 0)
    assert.equal((await daemon.stop()).code, 0)
  }

  async function assertEqual(
    table: string,
    name: string,
    expect: MirrorQuestion['expect'] = whole,
  ): Promise<void> {
    const index = new SearchIndex(stack.elasticsearch.url, name)
    const differences = await differencesOf({ connection, table, index, expect })
    assert.deepEqual(differences.slice(0, 10), [])
    assert((await index.count()) > 0)
  }
})

function whole(row: TextRow): { readonly id: string; readonly document: TextRow } {
  return { id: String(row['id']), document: row }
}

/** `(...), (...)` for so many ids. */
function tuples(first: number, count: number, row: (id: number) => string): string {
  return Array.from({ length: count }, (_, at) => `(${row(first + at)})`).join(', ')
}

/** Of a key of two columns. */
function soldId({ shop, number }: TextRow): string {
  return `${String(shop).replaceAll('|', String.raw`\|`)}|${number}`
}
