import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { after, before, suite, test } from 'node:test'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { SqlServer } from '../stack/sql-server.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { millrace } from '../support/command-process.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import {
  assertMasked,
  createPeople,
  filesWith,
  hiddenText,
  maskSecret,
  peoplePipelines,
} from '../support/people.ts'
import { replayChangedProduct } from '../support/replayed-shop.ts'
import { startFreezingProxy } from '../support/freezing-proxy.ts'
import { Random } from '../support/random.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startService } from '../support/service.ts'
import { ShopLoad } from '../support/shop-load.ts'
import {
  changeShop,
  createShop,
  differencesOfShop,
  ratedShopPipeline,
  ratings,
  shopPipeline,
  shopQueryPipeline,
} from '../support/shop.ts'
import { startSuiteStack } from '../support/suite-stack.ts'

suite('documents that hold rows of several tables', () => {
  let stack: Stack
  let connection: Connection

  before(async () => {
    stack = await startSuiteStack({ servers: ['mysql', 'mysql-replica', 'elasticsearch'] })
    connection = await stack.mysql.connect()
  })
  after(async () => {
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  function options(schema: string, more: Partial<DaemonOptions> = {}): DaemonOptions {
    return {
      directory: join(stack.directory, schema),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { [schema]: shopPipeline(schema), [`${schema}_query`]: shopQueryPipeline(schema) },
      ...more,
    }
  }

  /** What a command prints. */
  async function say(directory: string, words: readonly string[]): Promise<string> {
    const environment = { MYSQL_URL: stack.mysql.cdcUrl, ELASTICSEARCH_URL: stack.elasticsearch.url }
    const { code, out, err } = await millrace(words, directory, environment)
    // Letters that there are to show make a 1.
    assert(code === 0 || words[0] === 'dead-letters', out + err)
    return out + err
  }

  async function assertEqual(
    schema: string,
    names = [schema, `${schema}_query`],
    isRated = false,
  ): Promise<void> {
    for (const name of names) {
      const index = new SearchIndex(stack.elasticsearch.url, name)
      const { documents, differences } = await differencesOfShop(connection, { schema, isRated }, index)
      assert.deepEqual(differences.slice(0, 5), [])
      assert(documents > 0)
    }
  }

  test('a first load builds what the database would build, and changes of every table reach their documents', async () => {
    const schema = 'shop_one'
    await createShop(connection, schema, 200)
    await using daemon = await DaemonProcess.start(options(schema))
    await untilCaughtUp(daemon, connection)
    await assertEqual(schema)
    // Without cascades nothing is read again that was not touched.
    const changes = { schema, random: new Random(7), orders: 220, cascades: false }
    for (let count = 0; count < 300; count++) await changeShop(connection, changes)
    const { pipelines } = await untilCaughtUp(daemon, connection)
    assert.equal(pipelines[0]?.load?.rowsDone, 200)
    await assertEqual(schema)
    for (let count = 0; count < 40; count++) await changeShop(connection, { ...changes, cascades: true })
    await untilCaughtUp(daemon, connection)
    await assertEqual(schema)
    const command = (...words: readonly string[]): Promise<string> => say(options(schema).directory, words)
    await replayChangedProduct({
      connection,
      schema,
      command,
      index: new SearchIndex(stack.elasticsearch.url, `${schema}_query`),
      caughtUp: () => untilCaughtUp(daemon, connection),
    })
    assert.equal((await daemon.stop()).code, 0)
    const name = `${schema}_query`
    assert.match(await command('verify', name), /^equal: /)
    assert.match(await command('preview', name, '1', '2', '3'), /"customer":/)
    assert.match(await command('plan', name), /documents/)
    assert.match(await command('types'), /interface ShopOneQuery[^]*items/)
    assert.match(await command('doctor'), /joins of shop_one_query +every join has its indexes/)
    await connection.query(`ALTER TABLE ${schema}.order_tags DROP KEY tag_id`)
    await connection.query(`ALTER TABLE ${schema}.orders DROP KEY customer_id`)
    await connection.query(`ALTER TABLE ${schema}.line_items DROP KEY product`)
    const examined = await command('doctor')
    assert.match(examined, /CREATE INDEX `by_tag_id` ON `shop_one`\.`order_tags` \(`tag_id`\)/)
    assert.match(
      examined,
      /joins of shop_one_query +shop_one\.line_items is read whole for each batch.*\n.*CREATE INDEX `by_product` ON `shop_one`\.`line_items` \(`product`\)/,
    )
    assert.match(examined, /CREATE INDEX `by_customer_id` ON `shop_one`\.`orders` \(`customer_id`\)/)
  })

  test('killed at random times under load, behind networks that are slow and break, no document goes back, and at rest all are what the database would build', async () => {
    const schema = 'shop_two'
    await createShop(connection, schema, 300)
    await using load = await ShopLoad.start(stack, { schema, seed: 11, orders: 320 })
    await using service = await startService(({ body }) => ({ body: ratings(body) }))
    await using toDatabase = await startFreezingProxy(portOf(stack.mysql.cdcUrl))
    await using toUpstream = await startFreezingProxy(portOf(service.url))
    const rough = options(schema, {
      mysqlUrl: withPort(stack.mysql.cdcUrl, toDatabase.port),
      pipelines: {
        [schema]: ratedShopPipeline(schema),
        [`${schema}_query`]: shopQueryPipeline(schema),
      },
      settings: {
        log: { lanes: 3 },
        upstreams: { ratings: { url: withPort(service.url, toUpstream.port), method: 'post', batch: 20 } },
      },
    })
    const random = new Random(13)
    for (let lives = 0; lives < 3; lives++) {
      const goal = 20 + random.below(150)
      for (const proxy of [toDatabase, toUpstream]) proxy.slow(5 * lives)
      await using daemon = await DaemonProcess.start(rough)
      await daemon.until('deliver', ({ pipelines }) => (pipelines[0]?.indexed ?? 0) > goal / 2)
      toDatabase.cut()
      toUpstream.cut()
      await daemon.until('deliver more', ({ pipelines }) => (pipelines[0]?.indexed ?? 0) > goal)
      await daemon.kill()
    }
    await using daemon = await DaemonProcess.start(rough)
    await daemon.until('deliver once more', ({ pipelines }) => (pipelines[0]?.indexed ?? 0) > 20)
    toDatabase.cut()
    toUpstream.cut()
    await load.stop()
    await untilCaughtUp(daemon, connection)
    await load.assertForward()
    await assertEqual(schema, [schema], true)
    await assertEqual(schema, [`${schema}_query`])
  })

  test('a row that very many documents show is worked off in bounded pieces, and others stay fresh meanwhile', async () => {
    const schema = 'shop_hot'
    await createShop(connection, schema, 10)
    const many = 15_000
    // Behind all of them in every order but that of the work.
    const quiet = '99000'
    for (let from = 1000; from < 1000 + many; from += 1000) {
      const rows = Array.from({ length: 1000 }, (_, at) => [from + at, 1, 'open', null])
      await connection.query(`INSERT INTO ${schema}.orders VALUES ?`, [rows])
    }
    await connection.query(`INSERT INTO ${schema}.customers VALUES (900, 'quiet', NULL)`)
    await connection.query(`INSERT INTO ${schema}.orders VALUES (${quiet}, 900, 'open', NULL)`)
    const pipelines = { [schema]: shopPipeline(schema) }
    await using daemon = await DaemonProcess.start(options(schema, { pipelines }))
    await untilCaughtUp(daemon, connection)
    await connection.query("SET GLOBAL log_output = 'TABLE'")
    await connection.query('SET GLOBAL general_log = ON')
    for (let round = 0; round < 2; round++) {
      await connection.beginTransaction()
      await connection.query(`UPDATE ${schema}.customers SET name = 'hot ${round}' WHERE id = 1`)
      await connection.query(`UPDATE ${schema}.customers SET name = 'quiet ${round}' WHERE id = 900`)
      await connection.commit()
      await untilDocument(schema, quiet, (text) => text.includes(`quiet ${round}`))
    }
    await untilCaughtUp(daemon, connection)
    const last = `${1000 + many - 1}`
    const versions = await new SearchIndex(stack.elasticsearch.url, schema).versionsIfServing([quiet, last])
    assert((versions?.get(quiet) ?? 0n) < (versions?.get(last) ?? 0n), 'others are not behind all of them')
    await connection.query('SET GLOBAL general_log = OFF')
    await assertEqual(schema, [schema])
    const [queries] = await connection.query<RowDataPacket[]>(
      `SELECT CONVERT(argument USING utf8mb4) AS text FROM mysql.general_log
       WHERE argument LIKE CONCAT('SELECT %FROM \`', ?, '\`%') AND argument NOT LIKE '%JSON_OBJECT%'`,
      [schema],
    )
    assert(queries.length > 10)
    for (const { text } of queries) {
      assert(String(text).split(',').length < 2100, 'a statement names a bounded number of rows')
    }
  })

  test('what is masked leaves the database in no way: not into documents, log, letters, previews or messages', async () => {
    const schema = 'people'
    await createPeople(connection, schema, 60)
    const people = options(schema, {
      pipelines: peoplePipelines(schema),
      settings: { masks: { secret: maskSecret } },
    })
    const { directory } = people
    await using daemon = await DaemonProcess.start(people)
    await untilCaughtUp(daemon, connection)
    const execute = async (sql: string, ...values: readonly unknown[]): Promise<unknown> =>
      await connection.query(sql.replaceAll('@', `${schema}.`), [...values])
    await execute('UPDATE @people SET email = ? WHERE id = 1', hiddenText('changed'))
    await execute('UPDATE @people SET name = ?, born = NULL WHERE id = 2', hiddenText('Öl'))
    await execute(
      'INSERT INTO @people VALUES (900, ?, ?, ?, NULL, 9)',
      ...[1, 2, 3].map((at) => hiddenText(`${at}`)),
    )
    await execute('DELETE FROM @people WHERE id = 3')
    await execute('UPDATE @notes SET body = ?, person = 5 WHERE id = 4', hiddenText('moved'))
    await execute('UPDATE @people SET code = ? WHERE id = 5', 'no number')
    const command = (...words: readonly string[]): Promise<string> => say(directory, words)
    await command('touch', `${schema}_joined`, '6', '7', '--wait')
    await untilCaughtUp(daemon, connection)
    const letters = await command('dead-letters', 'show', `${schema}_rows`)
    assert.match(letters, /no number/)
    const preview = await command('preview', `${schema}_joined`, '8')
    assert.match(preview, /notes/)
    await execute("UPDATE @people SET code = '5' WHERE id = 5")
    await untilCaughtUp(daemon, connection)
    for (const name of Object.keys(people.pipelines)) {
      const index = new SearchIndex(stack.elasticsearch.url, name)
      await assertMasked(connection, schema, index)
      assert.match(await command('verify', name), /^equal: /)
    }
    assert.doesNotMatch(letters + preview, /not-to-be-seen/)
    assert.deepEqual(filesWith(directory, 'not-to-be-seen'), [])
    assert(filesWith(directory, 'no number').length > 0, 'what is not masked is in the log as it is')
    await execute('ALTER TABLE @people RENAME COLUMN email TO mail')
    await execute('UPDATE @people SET mail = ? WHERE id = 1', hiddenText('under another name'))
    assert.notEqual((await daemon.ended()).code, 0)
    assert.match(daemon.output(), /people\.people has no column email, which is to be masked/)
    assert.deepEqual(filesWith(directory, 'not-to-be-seen'), [])
  })

  test('rows are read on a replica five seconds behind, and no document is older than it should be', async () => {
    const schema = 'shop_late'
    const replica = stack.servers.get('mysql-replica') as SqlServer
    await createShop(connection, schema, 60)
    await replica.execute(
      'STOP REPLICA SQL_THREAD',
      'CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 5',
      'START REPLICA SQL_THREAD',
    )
    const late = (reads: object): DaemonOptions => {
      const main = { url: '${MYSQL_URL}', reads: { from: 'late', ...reads } }
      return options(schema, { settings: { sources: { main, late: { url: replica.cdcUrl } } } })
    }
    const changes = { schema, random: new Random(17), orders: 70, cascades: true }
    const reads = await readsOn(connection, schema, async () => {
      await using daemon = await DaemonProcess.start(late({ otherwise: 'wait', waitSeconds: 30 }))
      for (let count = 0; count < 40; count++) await changeShop(connection, changes)
      await untilCaughtUp(daemon, connection)
      for (let count = 0; count < 20; count++) await changeShop(connection, changes)
      await untilCaughtUp(daemon, connection)
    })
    await assertEqual(schema)
    assert.equal(reads, 0, 'the primary is asked for no rows of joined tables')
    // From here on it comes to have nothing more, however long it takes to ask it.
    await replica.execute('STOP REPLICA SQL_THREAD')
    const otherwise = await readsOn(connection, schema, async () => {
      await using daemon = await DaemonProcess.start(late({ otherwise: 'primary', waitSeconds: 1 }))
      for (let count = 0; count < 20; count++) await changeShop(connection, changes)
      await untilCaughtUp(daemon, connection)
    })
    assert(otherwise > 0, 'a replica that is too far behind is not waited for')
    await assertEqual(schema)
  })

  async function documentText(schema: string, id: string): Promise<string> {
    return JSON.stringify(await new SearchIndex(stack.elasticsearch.url, schema).document(id))
  }

  async function untilDocument(
    schema: string,
    id: string,
    isRight: (text: string) => boolean,
  ): Promise<void> {
    const endMs = Date.now() + 120_000
    while (!isRight(await documentText(schema, id))) {
      assert(Date.now() < endMs, `document ${id} is ${await documentText(schema, id)}`)
      await delay(20)
    }
  }
})

/** How many reads of customers, which are only joined, the server saw meanwhile. */
async function readsOn(connection: Connection, schema: string, during: () => Promise<void>): Promise<number> {
  await connection.query("SET GLOBAL log_output = 'TABLE'")
  await connection.query('SET GLOBAL general_log = ON')
  await connection.query('TRUNCATE TABLE mysql.general_log')
  await during()
  await connection.query('SET GLOBAL general_log = OFF')
  const [[found]] = await connection.query<RowDataPacket[]>(
    "SELECT COUNT(*) AS reads_seen FROM mysql.general_log WHERE argument LIKE CONCAT('SELECT %FROM `', ?, '`.`customers`%')",
    [schema],
  )
  return Number(found?.['reads_seen'])
}

function portOf(url: string): number {
  return Number(new URL(url).port)
}

function withPort(url: string, port: number): string {
  const moved = new URL(url)
  moved.port = String(port)
  return moved.href
}
