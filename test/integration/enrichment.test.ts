import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import type { Stack } from '../stack/stack.ts'
import type { Status } from '../../src/control/operations.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { writeConfigFile } from '../support/config-file.ts'
import { millrace, type CommandResult } from '../support/command-process.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startService, type ServiceRequest } from '../support/service.ts'
import { startSuiteStack } from '../support/suite-stack.ts'
import { citiesOf, colder, temperatures, troubled, troubles } from '../support/weather.ts'

suite('documents that are enriched and transformed', () => {
  let stack: Stack
  let connection: Connection

  before(async () => {
    stack = await startSuiteStack({ servers: ['mysql', 'elasticsearch', 'redis'] })
    connection = await stack.mysql.connect()
  })
  after(async () => {
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  test('rows get what a service and a module know, go through a function, and leave as they do', async () => {
    await execute(
      'CREATE DATABASE trips',
      'CREATE TABLE trips.trip (id BIGINT PRIMARY KEY, city INT, km INT)',
      `INSERT INTO trips.trip VALUES ${tuples(1, 500, (id) => `${id}, ${id % 7}, ${id}`)}`,
    )
    await using weather = await startService(({ body }) => ({ body: temperatures(body) }))
    const options = daemonOptions('trips', {
      settings: {
        upstreams: {
          weather: { url: weather.url, method: 'post', value: 'degrees', batch: 3, cacheSeconds: 3600 },
          names: { kind: 'module', module: './names.ts' },
        },
      },
      pipeline: {
        table: 'trips.trip',
        enrich: [
          { field: 'degrees', upstream: 'weather', with: { city: 'city' } },
          { field: 'city_name', upstream: 'names', with: { id: 'city' }, missing: 'omit' },
        ],
        transform: '../far.ts',
        target: { mappings: { degrees: { type: 'integer' }, city_name: { type: 'keyword' } } },
      },
    })
    writeConfigFile(
      options,
      'names.ts',
      "export const ask = async (all: readonly { id: number }[]) => all.map(({ id }) => (id === 5 ? null : 'city ' + id))",
    )
    writeConfigFile(
      options,
      'far.ts',
      `export function transform({ km, ...rest }: Record<string, unknown>) {
         return Number(km) < 10 ? null : { ...rest, metres: 1000 * Number(km) }
       }`,
    )
    await using daemon = await DaemonProcess.start(options)
    await untilCaughtUp(daemon, connection)
    await execute(
      'UPDATE trips.trip SET km = 1 WHERE id = 100',
      'UPDATE trips.trip SET km = 20 WHERE id = 5',
      'UPDATE trips.trip SET city = 5 WHERE id = 101',
      'DELETE FROM trips.trip WHERE id = 102',
      'INSERT INTO trips.trip VALUES (9007199254740993, 6, 77)',
    )
    await untilCaughtUp(daemon, connection)
    const index = indexOf('trips')
    await index.refresh()
    assert.equal(await index.count(), 500 - 9 + 1 - 1 - 1 + 1)
    assert.deepEqual(await documentOf(index, '5'), {
      id: 5,
      city: 5,
      degrees: -5,
      metres: 20_000,
    })
    assert.deepEqual(await documentOf(index, '101'), { id: 101, city: 5, degrees: -5, metres: 101_000 })
    assert.match(
      await rawDocument(index, '9007199254740993'),
      /\{"id":9007199254740993,"city":6,"degrees":-6,"city_name":"city 6","metres":77000\}/,
    )
    assert.equal(await documentOf(index, '100'), null)
    const asked = weather.requests.flatMap(({ body }) => citiesOf(body))
    assert.deepEqual(
      asked.toSorted((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6],
      'each city is asked for once',
    )
    const config = join(options.directory, 'config', 'millrace.yaml')
    const environment = { MYSQL_URL: options.mysqlUrl, ELASTICSEARCH_URL: options.elasticsearchUrl }
    const command = (...words: readonly string[]) =>
      millrace([...words, '--config', config], options.directory, environment)
    const types = await command('types', 'trips')
    assert.match(types.out, /interface TripsDocument \{\n.*\n {2}readonly id: number \| bigint\n/)
    const verified = await command('verify', 'trips')
    assert.equal(verified.out, 'equal: 491 documents\n', verified.err)
    await previews(command, options)
    const planned = await command('plan', 'trips', '--json')
    const plan = JSON.parse(planned.out) as Readonly<Record<string, number>>
    // One node has no other to hold a copy.
    assert.deepEqual([plan['rows'], plan['documents'], plan['shards'], plan['replicas']], [500, 491, 1, 0])
    const { queries = 0, rowsExamined = 0, bytesSent = 0 } = plan
    assert(queries >= 1 && queries < 20, `${queries} queries`)
    assert(rowsExamined >= 500 && rowsExamined < 1500, `${rowsExamined} rows examined`)
    assert(bytesSent > 5000 && bytesSent < 100_000, `${bytesSent} bytes`)
    const people = await command('plan', 'trips', '--sample', '10')
    assert.match(
      people.out,
      /^trips, by a sample of 10 of about \d+ rows of trips.trip\n {2}documents {2}\d+, \d+ bytes/,
    )
    const indices = await (await fetch(`${stack.elasticsearch.url}/_cat/indices/*preview*?h=index`)).text()
    assert.equal(indices, '', 'what was tried out is gone')
  })

  test('an upstream that is down and lies: each document fares as its pipeline says, others do not notice, and all is made whole when it is well', async () => {
    await execute(
      'CREATE DATABASE partly',
      'CREATE TABLE partly.trip (id INT PRIMARY KEY, city INT)',
      `INSERT INTO partly.trip VALUES ${tuples(1, 50, (id) => `${id}, ${id % 7}`)}`,
    )
    await using weather = await startService(troubled())
    // It takes every question and answers none.
    await using stuck = await startService(() => new Promise(() => {}))
    const table = 'partly.trip'
    const asking = (upstream: string, more: object) => ({
      table,
      enrich: [{ field: 'degrees', upstream, with: { city: 'city' }, ...more }],
    })
    const options = {
      ...daemonOptions('partly', {
        settings: {
          upstreams: {
            weather: {
              url: weather.url,
              method: 'post',
              responseMb: 0.001,
              retries: 0,
              breakerFailures: 2,
              breakerSeconds: 0.5,
              completeSeconds: 1,
            },
            stuck: { url: `${stuck.url}/{city}`, timeoutSeconds: 600 },
          },
        },
        pipeline: {},
      }),
      pipelines: {
        partly: asking('weather', { onFailure: 'partial', missing: 'omit' }),
        partly_letters: asking('weather', { onFailure: 'dead-letter' }),
        partly_stops: asking('weather', { onFailure: 'stop' }),
        partly_stuck: asking('stuck', {}),
        partly_plain: { table },
      },
    }
    await using daemon = await DaemonProcess.start(options)
    await daemon.until(
      'dead letters of two pipelines',
      (status) => lettersOf(status, 'partly') === 50 && lettersOf(status, 'partly_letters') === 50,
    )
    // A letter is there before its document.
    await daemon.until('documents that lack a part', ({ pipelines }) =>
      pipelines.some(({ name, indexed }) => name === 'partly' && (indexed ?? 0) >= 50),
    )
    assert.deepEqual(await documentOf(indexOf('partly'), '5'), { id: 5, city: 5 })
    await daemon.until('every trouble', () => weather.requests.length >= troubles.length)
    await execute('INSERT INTO partly.trip VALUES (51, 2)')
    await daemon.until('a change that needs no upstream', ({ pipelines }) =>
      pipelines.some(({ name, indexed }) => name === 'partly_plain' && indexed === 51),
    )
    assert.deepEqual(await documentOf(indexOf('partly_plain'), '51'), { id: 51, city: 2 })
    for (const name of ['partly_letters', 'partly_stops', 'partly_stuck']) {
      await indexOf(name).refresh()
      assert.equal(await indexOf(name).count(), 0, name)
    }
    assert.equal(lettersOf(await daemon.status(), 'partly_stops'), 0)
    weather.answer = ({ body }: ServiceRequest) => ({ body: temperatures(body, (degrees) => degrees) })
    await daemon.until(
      'no dead letter',
      (status) => lettersOf(status, 'partly') === 0 && lettersOf(status, 'partly_letters') === 0,
    )
    await daemon.until('what had stopped', ({ pipelines }) =>
      pipelines.some(({ name, indexed }) => name === 'partly_stops' && (indexed ?? 0) >= 51),
    )
    for (const name of ['partly', 'partly_letters', 'partly_stops'])
      assert.deepEqual(await documentOf(indexOf(name), '5'), { id: 5, city: 5, degrees: -5 }, name)
    stuck.answer = () => ({ body: '1' })
  })

  test('two processes keep to one limit together and ask once for what both want; Redis killed in between does no harm', async () => {
    const [rows, perSecond, concurrency] = [150, 30, 4]
    await execute(
      'CREATE DATABASE shared',
      'CREATE TABLE shared.trip (id INT PRIMARY KEY, city INT)',
      `INSERT INTO shared.trip VALUES ${tuples(1, rows, (id) => `${id}, ${id % 7}`)}`,
    )
    await using weather = await startService(({ body }) => ({ body: temperatures(body) }))
    await using prices = await startService(() => ({ body: '1' }))
    const process = (name: string) =>
      daemonOptions(name, {
        settings: {
          cache: { kind: 'redis', url: stack.redis.url, processes: 2 },
          upstreams: {
            weather: { url: weather.url, method: 'post', value: 'degrees', cacheSeconds: 3600 },
            prices: { url: `${prices.url}/{trip}`, requestsPerSecond: perSecond, concurrency },
          },
        },
        pipeline: {
          table: 'shared.trip',
          enrich: [
            { field: 'degrees', upstream: 'weather', with: { city: 'city' } },
            { field: 'price', upstream: 'prices', with: { trip: 'id' } },
          ],
        },
      })
    await using one = await DaemonProcess.start(process('shared-one'))
    await using other = await DaemonProcess.start(process('shared-other'))
    const asked = (count: number) => one.until(`${count} requests`, () => prices.requests.length >= count)
    await asked(rows / 2)
    const cities = weather.requests.flatMap(({ body }) => citiesOf(body)).toSorted((a, b) => a - b)
    // A Redis that is slow to answer is away for a while, which is told: then each asks for itself.
    const isShared = [one, other].every((daemon) => daemon.told('cache-state').length === 1)
    assert.deepEqual(
      isShared ? cities : [...new Set(cities)],
      [0, 1, 2, 3, 4, 5, 6],
      'each city is asked for once',
    )
    await stack.redis.kill()
    await asked(rows)
    for (const daemon of [one, other]) await daemon.untilMetrics(/^millrace_cache_away 1$/m)
    await stack.redis.start()
    for (const daemon of [one, other]) {
      await untilCaughtUp(daemon, connection)
      await daemon.untilMetrics(/^millrace_cache_away 0$/m)
    }
    assert.equal(prices.requests.length, 2 * rows)
    // What is under way in a process that was held up comes at once.
    const most = perSecond + 2 * concurrency + 1
    assert.ok(mostInASecond(prices.requests) <= most, `${mostInASecond(prices.requests)} in a second`)
    for (const name of ['shared-one', 'shared-other'])
      assert.deepEqual(await documentOf(indexOf(name), '5'), {
        id: 5,
        city: 5,
        degrees: -5,
        price: 1,
      })
  })

  test('a first load and a refresh ask where tasks are to ask, live changes where they always do; a refresh brings what the upstream has learnt', async () => {
    await execute(
      'CREATE DATABASE learnt',
      'CREATE TABLE learnt.trip (id INT PRIMARY KEY, city INT)',
      `INSERT INTO learnt.trip VALUES ${tuples(1, 30, (id) => `${id}, ${id % 7}`)}`,
    )
    await using live = await startService(({ body }) => ({ body: temperatures(body, (degrees) => degrees) }))
    await using tasks = await startService(({ body }) => ({ body: temperatures(body, (degrees) => degrees) }))
    const weather = {
      url: live.url,
      method: 'post',
      cacheSeconds: 3600,
      endpoints: { backfill: { url: tasks.url } },
    }
    const options = daemonOptions('learnt', {
      settings: { upstreams: { weather } },
      pipeline: {
        table: 'learnt.trip',
        enrich: [{ field: 'degrees', upstream: 'weather', with: { city: 'city' } }],
      },
    })
    await using daemon = await DaemonProcess.start(options)
    await untilCaughtUp(daemon, connection)
    await execute('UPDATE learnt.trip SET city = 8 WHERE id = 8')
    await untilCaughtUp(daemon, connection)
    assert.deepEqual(
      live.requests.flatMap(({ body }) => citiesOf(body)),
      [8],
    )
    live.answer = tasks.answer = colder
    const begun = await millrace(
      ['refresh', '--upstream', 'weather', '--config', 'config/millrace.yaml'],
      options.directory,
      { MYSQL_URL: options.mysqlUrl, ELASTICSEARCH_URL: options.elasticsearchUrl },
    )
    assert.equal(begun.out, 'learnt@primary: every document is made anew\n', begun.err)
    await untilCaughtUp(daemon, connection)
    const index = indexOf('learnt')
    assert.deepEqual(await documentOf(index, '8'), { id: 8, city: 8, degrees: -108 })
    assert.deepEqual(await documentOf(index, '13'), { id: 13, city: 6, degrees: -106 })
    assert.equal(live.requests.length, 1, 'a refresh is a task')
    const metrics = await daemon.metrics()
    assert.match(
      metrics,
      /millrace_upstream_request_duration_seconds_count\{upstream="weather\/task"\} [1-9]/,
    )
    assert.match(
      metrics,
      /millrace_upstream_spared_questions_total\{upstream="weather\/task",by="shared"\} [1-9]/,
    )
  })

  function daemonOptions(
    name: string,
    { settings, pipeline }: { readonly settings: Record<string, unknown>; readonly pipeline: object },
  ): DaemonOptions {
    return {
      directory: join(stack.directory, name),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { [name]: pipeline },
      settings,
    }
  }

  function indexOf(name: string): SearchIndex {
    return new SearchIndex(stack.elasticsearch.url, name)
  }

  async function execute(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) await connection.query(statement)
  }
})

/** What the table's rows become, and what a changed file would make of them. */
async function previews(
  command: (...words: readonly string[]) => Promise<CommandResult>,
  options: DaemonOptions,
): Promise<void> {
  const shown = await command('preview', 'trips', '101', '100', '102')
  const call =
    'POST /trips/_bulk?filter_path=errors%2Citems.*.status%2Citems.*.error%2Citems.*._index&require_alias=true'
  assert.deepEqual(
    shown.out
      .replaceAll(/"version":\d{15,}/g, '"version":N')
      .split('\n')
      .slice(0, -1),
    [
      'key [100]',
      '  row       {"id":100,"city":2,"km":1}',
      `  request   ${call}`,
      action('delete', 100),
      'key [101]',
      '  row       {"id":101,"city":5,"km":101}',
      `  request   ${call}`,
      action('index', 101),
      '            {"id":101,"city":5,"degrees":-5,"metres":101000}',
      '  target    accepts it',
      'key [102]',
      '  row       is not there',
      `  request   ${call}`,
      action('delete', 102),
    ],
  )
  assert.equal(shown.code, 1)
  writeConfigFile(
    options,
    'draft.yaml',
    JSON.stringify({ table: 'trips.trip', fields: { id: 'id', km: 'km' } }),
  )
  const compared = await command('preview', 'trips', '--against', 'config/draft.yaml', '--rows', '10')
  assert.match(compared.out, /^0 documents are the same\n.* differ in .*metres/)
}

function action(op: string, id: number): string {
  return `            {"${op}":{"_id":"${id}","version":N,"version_type":"external"}}`
}

function lettersOf({ pipelines }: Status, name: string): number | undefined {
  return pipelines.find((pipeline) => pipeline.name === name)?.deadLetters
}

function tuples(first: number, count: number, tuple: (id: number) => string): string {
  return Array.from({ length: count }, (_, at) => `(${tuple(first + at)})`).join(', ')
}

function mostInASecond(requests: readonly ServiceRequest[]): number {
  const times = requests.map(({ atMs }) => atMs)
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 1000).length))
}

/** As the server keeps it. */
async function rawDocument(index: SearchIndex, id: string): Promise<string> {
  const answer = await fetch(`${index.server}/${index.name}/_source/${id}`)
  return answer.status === 404 ? 'null' : await answer.text()
}

async function documentOf(index: SearchIndex, id: string): Promise<unknown> {
  return JSON.parse(await rawDocument(index, id))
}
