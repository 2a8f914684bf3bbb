/** Documents whose rows say where they lie: a routing, an index for each month, in both products at once. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { after, before, suite, test } from 'node:test'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { parse } from 'yaml'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { millrace } from '../support/command-process.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { placesQueries, placesTables } from '../support/places.ts'
import { SearchIndex, type Source } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'

type Aliases = Readonly<Record<string, { readonly aliases: object }>>
type Mappings = Readonly<Record<string, { readonly mappings: { _meta: object; properties: object } }>>

suite('documents whose rows say where they lie', () => {
  let stack: Stack
  let connection: Connection

  before(async () => {
    stack = await startSuiteStack({ servers: ['mysql', 'elasticsearch', 'opensearch'] })
    connection = await stack.mysql.connect()
    await connection.query('CREATE DATABASE placed')
    await connection.query(
      'CREATE TABLE placed.visits (id INT PRIMARY KEY, customer INT, created_at DATETIME, note VARCHAR(20))',
    )
    const rows = Array.from({ length: 60 }, (_, id) => [id, id % 7, `2026-0${1 + (id % 3)}-15`, 'first'])
    await connection.query('INSERT INTO placed.visits VALUES ?', [rows])
    await connection.query('INSERT INTO placed.visits VALUES (100, NULL, NULL, "nowhere")')
  })
  after(async () => {
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  const targets = { search: 'elasticsearch', open: 'opensearch' } as const

  function optionsOf(
    name: string,
    target: object,
    pipeline: object = { table: 'placed.visits' },
  ): DaemonOptions {
    const settings = Object.entries(targets).map(([each, kind]) => [each, { url: stack[kind].url }])
    const own = Object.keys(targets).map((each) => ({ name: each, ...target }))
    return {
      directory: join(stack.directory, name),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      settings: { targets: Object.fromEntries(settings) },
      pipelines: { [name]: { ...pipeline, targets: own } },
    }
  }

  async function start(...of: Parameters<typeof optionsOf>): Promise<DaemonProcess> {
    return await DaemonProcess.start(optionsOf(...of))
  }

  test('are found as the example of mappings says: objects, arrays, places on the map, dates, languages', async () => {
    for (const statement of placesTables) await connection.query(statement)
    // The servers of tests lack geo_shape: there the area is kept and not searched.
    const { area: _, ...mappings } = placesExample.target.mappings
    await using daemon = await start(
      'places',
      { ...placesExample.target, mappings },
      {
        ...placesExample,
        target: undefined,
        transform: fileURLToPath(new URL('places.ts', examples)),
      },
    )
    await untilCaughtUp(daemon, connection)
    for (const kind of Object.values(targets)) {
      const index = new SearchIndex(stack[kind].url, 'places')
      await index.refresh()
      for (const [query, wanted] of placesQueries) {
        const found = await fetch(`${index.server}/places/_search`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ query, sort: [{ id: 'asc' }] }),
        })
        const { hits } = (await found.json()) as { readonly hits?: { hits: readonly { _id: string }[] } }
        assert.deepEqual(
          hits?.hits.map(({ _id: id }) => id),
          wanted,
          `${kind}: ${JSON.stringify(query)}`,
        )
      }
    }
  })

  test('move when their rows do, and go when they go', async () => {
    const placing = { index: 'visits-{created_at:YYYY_MM}', routing: ['customer'] }
    const alias = 'visits'
    await using daemon = await start('visits', placing)
    await untilCaughtUp(daemon, connection)
    await assertPlaced(alias, true)
    for (const image of ['FULL', 'MINIMAL']) {
      await connection.query(`SET SESSION binlog_row_image = ${image}`)
      await connection.query('UPDATE placed.visits SET created_at = "2026-04-01" WHERE id BETWEEN 3 AND 9')
      await connection.query('UPDATE placed.visits SET customer = customer + 1 WHERE id BETWEEN 8 AND 20')
      await connection.query('UPDATE placed.visits SET customer = NULL, created_at = NULL WHERE id = 21')
      await connection.query('UPDATE placed.visits SET note = "again" WHERE id > 50')
      await connection.query('DELETE FROM placed.visits WHERE id IN (2, 22, 23)')
      await connection.query('UPDATE placed.visits SET created_at = "2026-01-02" WHERE id IN (4, 100)')
      await untilCaughtUp(daemon, connection)
      await assertPlaced(alias, true)
      await connection.query('REPLACE INTO placed.visits VALUES (2, 9, "2025-12-31 23:59:59", "back")')
    }
    await connection.query('SET SESSION binlog_row_image = FULL')
    // Over and over in one batch: only the last place counts.
    for (let month = 1; month <= 9; month++)
      await connection.query(`UPDATE placed.visits SET created_at = "2026-0${month}-03" WHERE id < 40`)
    await untilCaughtUp(daemon, connection)
    await assertPlaced(alias, true)
    await assertVerified('visits')
    // A month that is dropped by hand is gone, and nothing else happens.
    for (const kind of Object.values(targets))
      await new SearchIndex(stack[kind].url, 'visits-2025_12').ask('DELETE', '/visits-2025_12')
    await connection.query('DELETE FROM placed.visits WHERE created_at < "2026-01-01"')
    await connection.query('TRUNCATE TABLE placed.visits')
    await connection.query('INSERT INTO placed.visits VALUES (1, 5, "2026-05-05", "the only one")')
    await untilCaughtUp(daemon, connection)
    await assertPlaced(alias, true)
    assert.equal((await daemon.stop()).code, 0)
  })

  test('are found in one index by their routing too', async () => {
    const rows = Array.from({ length: 20 }, (_, id) => [id + 10, id % 7, null, 'second'])
    await connection.query('REPLACE INTO placed.visits VALUES ?', [rows])
    await using daemon = await start('routed', {
      routing: ['customer', 'note'],
      settings: { number_of_shards: 3 },
    })
    await untilCaughtUp(daemon, connection)
    await connection.query('UPDATE placed.visits SET note = CONCAT("n|", id % 3) WHERE id < 20')
    await connection.query('DELETE FROM placed.visits WHERE id IN (11, 12)')
    await untilCaughtUp(daemon, connection)
    await assertPlaced('routed', false)
    await assertVerified('routed')
    assert.equal((await daemon.stop()).code, 0)
  })

  test('are dropped with their months when these are not kept any more', async () => {
    const table = 'placed.kept'
    await connection.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, created_at DATETIME)`)
    const months = [0, 1, 2, 3].map(monthBefore)
    await connection.query(`INSERT INTO ${table} VALUES ?`, [months.map((month, id) => [id, `${month}-01`])])
    const placing = { index: 'kept-{created_at:YYYY_MM}' }
    await using all = await start('kept', placing, { table })
    await untilCaughtUp(all, connection)
    assert.equal((await all.stop()).code, 0)
    await using few = await start('kept', { ...placing, keep: 2 }, { table })
    await connection.query(`INSERT INTO ${table} VALUES (9, '${months[3]}-02'), (10, '${months[1]}-02')`)
    await untilCaughtUp(few, connection)
    const names = (at: number): string => `kept-${months[at]?.replace('-', '_')}`
    for (const kind of Object.values(targets))
      assert.deepEqual(
        await placesIn(kind, 'kept'),
        [`0 ${names(0)}`, `1 ${names(1)}`, `10 ${names(1)}`],
        kind,
      )
    await assertVerified('kept')
    assert.equal((await few.stop()).code, 0)
  })

  test('are not mixed with those of others behind an alias that is taken', async () => {
    for (const kind of Object.values(targets))
      await new SearchIndex(stack[kind].url, 'taken').ask('PUT', '/taken-all', { aliases: { taken: {} } })
    await using daemon = await start('taken', { index: 'taken-{created_at:YYYY_MM}', adopt: true })
    // A new log begins in no epoch that an index of its pipelines may have seen.
    const { sources } = await daemon.until('refuse', (status) =>
      status.sources.every(({ error }) =>
        /taken-all, which has no name like taken-YYYY_MM/.test(error ?? ''),
      ),
    )
    assert.match(sources[0]?.remedy ?? '', /from behind the alias taken, or give the pipeline another/)
  })

  /** A template that somebody deletes is put again; an index that was made without it meanwhile is not written to. */
  async function losesTemplate(daemon: DaemonProcess, table: string): Promise<void> {
    const indexes = Object.values(targets).map((kind) => new SearchIndex(stack[kind].url, 'adopted'))
    for (const index of indexes) await makeBare(index)
    await connection.query(`INSERT INTO ${table} VALUES (6, '2026-04-05'), (7, '2026-05-05')`)
    await daemon.until('wait for the bare index', (status) =>
      status.pipelines.every(({ error }) => /adopted-2026_05: there, but not behind/.test(error ?? '')),
    )
    for (const index of indexes) await index.ask('DELETE', '/adopted-2026_05')
    await untilCaughtUp(daemon, connection)
    const places = ['6 adopted-2026_04', '7 adopted-2026_05']
    for (const kind of Object.values(targets))
      assert.deepEqual((await placesIn(kind, 'adopted')).slice(-2), places, kind)
    for (const index of indexes) {
      const made = await index.ask<Mappings>('GET', '/adopted-2026_05/_mapping')
      assert.deepEqual(made['adopted-2026_05']?.mappings.properties, {
        created_at: { type: 'date', format: 'strict_date_optional_time' },
        id: { type: 'integer' },
      })
    }
  }

  test('are those of others where a person says so, and then equal the table', async () => {
    const table = 'placed.adopted'
    await connection.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, created_at DATETIME)`)
    await connection.query(`INSERT INTO ${table} VALUES (1, '2026-01-05'), (2, '2026-02-05')`)
    const placing = { index: 'adopted-{created_at:YYYY_MM}' }
    for (const kind of Object.values(targets)) {
      const index = new SearchIndex(stack[kind].url, 'adopted')
      for (const month of ['01', '02'])
        await index.ask('PUT', `/adopted-2026_${month}`, {
          aliases: { adopted: {} },
          mappings: { _meta: { owner: 'search team' } },
        })
      // One is as it should be, one lies in another month, and one has no row.
      for (const [id, month] of [
        [1, '01'],
        [2, '01'],
        [3, '02'],
      ] as const)
        await index.ask('PUT', `/adopted-2026_${month}/_doc/${id}?refresh=true`, { id })
    }
    await using refused = new DaemonProcess(optionsOf('adopted', placing, { table }))
    assert.equal((await refused.ended()).code, 1)
    assert.match(refused.output(), /holds 3 documents that millrace did not write; .*--adopt adopted@search/)
    await using daemon = await start('adopted', { ...placing, adopt: true }, { table })
    await untilCaughtUp(daemon, connection)
    await connection.query(`INSERT INTO ${table} VALUES (4, '2026-03-05')`)
    await untilCaughtUp(daemon, connection)
    for (const kind of Object.values(targets)) {
      const places = ['1 adopted-2026_01', '2 adopted-2026_02', '4 adopted-2026_03']
      assert.deepEqual(await placesIn(kind, 'adopted'), places, kind)
      const index = new SearchIndex(stack[kind].url, 'adopted')
      const found = await index.ask<Mappings>('GET', '/adopted-2026_01/_mapping')
      assert('owner' in (found['adopted-2026_01']?.mappings['_meta'] ?? {}), 'what it said of itself stays')
    }
    await assertVerified('adopted')
    // What somebody puts behind the alias afterwards is no part of it.
    for (const kind of Object.values(targets))
      await new SearchIndex(stack[kind].url, 'adopted').ask('PUT', '/elsewhere', {
        aliases: { adopted: {} },
      })
    await connection.query(`INSERT INTO ${table} VALUES (5, '2026-03-05')`)
    const waiting = await daemon.until('wait', (status) =>
      status.pipelines.every(({ error }) => /not filled by this pipeline: elsewhere/.test(error ?? '')),
    )
    assert.match(waiting.pipelines[0]?.remedy ?? '', /take them from behind the alias/)
    for (const kind of Object.values(targets))
      await new SearchIndex(stack[kind].url, 'adopted').ask('DELETE', '/elsewhere')
    await untilCaughtUp(daemon, connection)
    await losesTemplate(daemon, table)
    assert.equal((await daemon.stop()).code, 0)
  })

  test('hold rows of other tables wherever they lie', async () => {
    const table = 'placed.orders'
    await connection.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, customer INT, created_at DATETIME)`)
    await connection.query('CREATE TABLE placed.lines (id INT PRIMARY KEY, order_id INT, text VARCHAR(20))')
    const orders = Array.from({ length: 12 }, (_, id) => [id, id % 5, `2026-0${1 + (id % 4)}-15`])
    await connection.query(`INSERT INTO ${table} VALUES ?`, [orders])
    const lines = Array.from({ length: 30 }, (_, id) => [id, id % 12, `line ${id}`])
    await connection.query('INSERT INTO placed.lines VALUES ?', [lines])
    const children = { lines: { table: 'placed.lines', on: { order_id: 'id' } } }
    const placing = { index: 'orders-{created_at:YYYY_MM}', routing: ['customer'] }
    await using daemon = await start('orders', placing, { table, children })
    await untilCaughtUp(daemon, connection)
    await assertJoined()
    await connection.query('UPDATE placed.lines SET order_id = (order_id + 5) % 12 WHERE id < 9')
    await connection.query(`UPDATE ${table} SET created_at = "2026-07-01" WHERE id IN (1, 2, 3)`)
    await connection.query(`UPDATE ${table} SET customer = customer + 2 WHERE id IN (3, 4, 5)`)
    await connection.query(`DELETE FROM ${table} WHERE id IN (6, 7)`)
    await connection.query('DELETE FROM placed.lines WHERE id > 25')
    await untilCaughtUp(daemon, connection)
    await assertJoined()
    await assertVerified('orders')
    assert.equal((await daemon.stop()).code, 0)
  })

  async function assertJoined(): Promise<void> {
    const [rows] = await connection.query<RowDataPacket[]>(
      'SELECT id, customer, DATE_FORMAT(created_at, "%Y_%m") AS month FROM placed.orders',
    )
    const [lines] = await connection.query<RowDataPacket[]>('SELECT * FROM placed.lines ORDER BY id')
    const expected = rows.map(({ id, customer, month }) => {
      const own = lines.filter((line) => line['order_id'] === id).map((line) => String(line['text']))
      return `${id} orders-${month} ${customer} ${own.join()}`
    })
    for (const kind of Object.values(targets)) {
      const { hits } = await hitsOf(kind, 'orders')
      const found = hits.map(({ _id: id, _index: name, _routing: routing, _source: source }) => {
        const own = (source['lines'] as { readonly text: string }[]).map(({ text }) => text)
        return `${id} ${name} ${routing} ${own.join()}`
      })
      assert.deepEqual(found.toSorted(), expected.toSorted(), kind)
    }
  }

  /** Each document and the index that it lies in. */
  async function placesIn(kind: 'elasticsearch' | 'opensearch', alias: string): Promise<readonly string[]> {
    const { hits } = await hitsOf(kind, alias)
    return hits.map(({ _id: id, _index: name }) => `${id} ${name}`).toSorted()
  }

  async function hitsOf(kind: 'elasticsearch' | 'opensearch', alias: string): Promise<Hits['hits']> {
    const index = new SearchIndex(stack[kind].url, alias)
    await index.refresh()
    return (await index.ask<Hits>('GET', `/${alias}/_search?size=1000`)).hits
  }

  async function assertPlaced(alias: string, isFamily: boolean): Promise<void> {
    const [rows] = await connection.query<RowDataPacket[]>(
      'SELECT id, customer, note, DATE_FORMAT(created_at, "%Y_%m") AS month FROM placed.visits',
    )
    const expected = rows.map(({ id, customer, note, month }) => {
      const routing = isFamily ? customer : `${customer ?? '\\N'}|${String(note).replace('|', '\\|')}`
      return `${id} ${isFamily ? `visits-${month ?? 'undated'}` : 'routed-000001'} ${routing ?? id}`
    })
    for (const kind of Object.values(targets)) {
      const { hits } = await hitsOf(kind, alias)
      const found = hits.map(
        ({ _id: id, _index: name, _routing: routing }) => `${id} ${name} ${routing ?? id}`,
      )
      assert.deepEqual(found.toSorted(), expected.toSorted(), kind)
    }
  }

  async function assertVerified(name: string): Promise<void> {
    const directory = join(stack.directory, name)
    const environment = { MYSQL_URL: stack.mysql.cdcUrl, ELASTICSEARCH_URL: stack.elasticsearch.url }
    const config = join(directory, 'config', 'millrace.yaml')
    const { code, out, err } = await millrace(['verify', name, '--config', config], directory, environment)
    assert.equal(code, 0, out + err)
  }
})

/** Makes an index without its template, which the daemon puts again at any time. */
async function makeBare(index: SearchIndex): Promise<void> {
  for (;;) {
    await index.ask('DELETE', '/_index_template/millrace-adopted')
    await index.ask('PUT', '/adopted-2026_05')
    const made = await index.ask<Aliases>('GET', '/adopted-2026_05/_alias')
    if (Object.keys(made['adopted-2026_05']?.aliases ?? {}).length === 0) return
    await index.ask('DELETE', '/adopted-2026_05')
  }
}

/** `2026-11`, in UTC, so many months ago. */
function monthBefore(months: number): string {
  const now = new Date()
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months, 1)).toISOString().slice(0, 7)
}

interface Hits {
  readonly hits: { readonly hits: readonly Hit[] }
}

interface Hit {
  readonly _id: string
  readonly _index: string
  readonly _routing?: string
  readonly _source: Source
}

const examples = new URL('../../config/mappings/pipelines/', import.meta.url)
const placesExample = parse(readFileSync(new URL('places.yaml', examples), 'utf8')) as {
  readonly target: { readonly mappings: Readonly<Record<string, object>> }
}
