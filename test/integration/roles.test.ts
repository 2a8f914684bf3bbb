/** Processes with roles over one log in Kafka and one store in MySQL: capture moves between two, several deliver. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { LogSwitched } from '../../src/cli/parts.ts'
import { moveCapture } from '../soak/capture-moves.ts'
import { troubleDeliverers } from '../soak/kafka-deliverers.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { millrace } from '../support/command-process.ts'
import { Fleet, startFleetStack } from '../support/fleet.ts'
import { Random } from '../support/random.ts'
import { replayChangedProduct } from '../support/replayed-shop.ts'
import { SearchIndex } from '../support/search-index.ts'
import { ShopLoad } from '../support/shop-load.ts'
import { changeShop, createShop, differencesOfShop, shopPipeline } from '../support/shop.ts'

suite('roles', { concurrency: false }, () => {
  let stack: Stack

  before(async () => {
    stack = await startFleetStack()
  })
  after(() => stack?.[Symbol.asyncDispose]())

  test('capture moves from process to process, asked to stop or killed; the one that delivers misses nothing, and what is refused is redriven', async () => {
    await stack.mysql.execute(
      'CREATE DATABASE roled CHARACTER SET utf8mb4',
      "CREATE TABLE roled.items (id INT PRIMARY KEY, name VARCHAR(40), size VARCHAR(40) DEFAULT '1')",
      "INSERT INTO roled.items (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    )
    await using fleet = await Fleet.create(stack, {
      name: 'roled',
      lanes: 2,
      // Nobody dies here: a leader that the machine leaves no time keeps its lease.
      settings: { leaseSeconds: 30 },
      pipelines: {
        items: { table: 'roled.items', target: { mappings: { size: { type: 'integer' } } } },
      },
    })
    const index = new SearchIndex(stack.elasticsearch.url, 'items')
    const connection = await stack.mysql.connect()
    let rows = 3
    const written = async (): Promise<void> => {
      rows++
      await connection.query(`INSERT INTO roled.items (id, name) VALUES (${rows}, 'row ${rows}')`)
      while ((await index.countIfServing()) !== rows) {
        await delivering.until('run', ({ pipelines }) => pipelines[0]?.state === 'running')
        await index.refresh()
      }
    }
    const leading = await fleet.start('one', 'capture,control')
    await leading.until('lead', ({ sources }) => sources[0]?.state === 'running')
    const other = await fleet.start('other', 'capture,control')
    const delivering = await fleet.start('third', 'deliver,control')
    try {
      await written()
      const { sources } = await other.until('stand by', (status) => status.sources[0]?.state === 'standby')
      assert.match(sources[0]?.leader ?? '', new RegExp(`:${leading.pid}:`))
      assert.equal((await leading.stop()).code, 0)
      await written()
      assert.match((await delivering.status()).sources[0]?.leader ?? '', new RegExp(`:${other.pid}:`))
      // What is asked of capture reaches it wherever it is.
      const command = async (...words: string[]): Promise<string> => {
        const { code, out, err } = await millrace(words, fleet.directoryOf('third'), environment())
        assert.equal(code, 0, out + err)
        return out
      }
      await command('touch', 'items', '1', '2', '--wait')
      await connection.query(`INSERT INTO roled.items VALUES (${++rows}, 'refused', 'large')`)
      await delivering.until('put it aside', ({ pipelines }) => pipelines[0]?.deadLetters === 1)
      await connection.query('SET sql_log_bin = 0')
      await connection.query(`UPDATE roled.items SET size = '7' WHERE id = ${rows}`)
      assert.match(await command('dead-letters', 'redrive', 'items', '--all'), /^1 letters/)
      await delivering.until('deliver it', ({ pipelines }) => pipelines[0]?.deadLetters === 0)
      assert.equal((await index.document(String(rows)))?.['size'], '7')
      // Whoever still delivers finds the log left, and whoever captures is fenced off, be it before that is written down.
      const refused = await millrace(['log', 'switch', 'embedded'], fleet.directoryOf('third'), environment())
      assert.match(refused.err, /another process works with the log in Kafka/)
      const elsewhere = ['log', 'switch', 'embedded', '--json']
      const { out } = await millrace(elsewhere, fleet.directoryOf('one'), environment())
      const switched = JSON.parse(out) as LogSwitched
      assert.deepEqual([switched.to, switched.outcome], ['embedded', 'moved'])
      for (const daemon of [delivering, other]) {
        assert.notEqual((await daemon.ended()).code, 0)
        assert.match(daemon.output(), /\(kafka\) was left: the one in embedded goes on|`millrace log switch`/)
      }
    } finally {
      connection.destroy()
    }
  })

  test('a leader that is killed, or frozen and comes back, leaves each change in the topic exactly once', async () => {
    const { changes } = await moveCapture(stack, { name: 'moves', moves: 4, say })
    assert.ok(changes > 0)
  })

  test('deliverers that are frozen and come back, killed, started and stopped lose nothing and bring nothing back', async () => {
    const trouble = { name: 'troubled', seconds: 0, frozenMs: 8_000, seed: 11, say }
    const { freezes, starts, changesHeld, versionsSeen } = await troubleDeliverers(stack, trouble)
    assert.ok(freezes > 0 && starts > 3, `${freezes} freezes, ${starts} starts`)
    assert.ok(changesHeld > 0 && versionsSeen > 0, `${changesHeld} changes, ${versionsSeen} versions`)
  })

  test('documents of several tables: one process captures and finds their roots, three deliver; the leader is killed, and one of the three', async () => {
    const schema = 'split'
    const connection = await stack.mysql.connect()
    await createShop(connection, schema, 60)
    const pipelines = { [schema]: shopPipeline(schema) }
    await using fleet = await Fleet.create(stack, { name: schema, lanes: 2, pipelines })
    try {
      const leading = await fleet.start('one', 'capture,control')
      const delivering = await fleet.start('deliver', 'deliver,control')
      await untilCaughtUp(delivering, connection)
      const [, third] = await Promise.all(
        ['second', 'third'].map((process) => fleet.start(process, 'deliver,control')),
      )
      await using load = await ShopLoad.start(stack, { schema, seed: 5, orders: 70 })
      const changes = { schema, random: new Random(5), orders: 70, cascades: false }
      for (let count = 0; count < 60; count++) await changeShop(connection, changes)
      await fleet.start('other', 'capture,control')
      await leading.kill()
      for (let count = 0; count < 60; count++) await changeShop(connection, changes)
      await third?.kill()
      await load.stop()
      await untilCaughtUp(delivering, connection)
      await load.assertForward()
      const index = new SearchIndex(stack.elasticsearch.url, schema)
      const { documents, differences } = await differencesOfShop(connection, { schema }, index)
      assert.deepEqual(differences.slice(0, 5), [])
      assert.ok(documents > 0)
      await replayChangedProduct({
        connection,
        schema,
        index,
        command: async (...words) => {
          const { code, out, err } = await millrace(words, fleet.directoryOf('deliver'), environment())
          assert.equal(code, 0, out + err)
          return out
        },
        caughtUp: () => untilCaughtUp(delivering, connection),
      })
    } finally {
      connection.destroy()
    }
  })

  test('roles that cannot be split are refused with the reason', async () => {
    const directory = join(stack.directory, 'roled-third')
    const words = ['run', '--config', 'config/millrace.yaml', '--roles', 'capture']
    const refused = await millrace([...words, '--set', 'log.kind=embedded'], directory, environment())
    assert.match(refused.err, /log\.kind embedded one process has them all\n.*kafka/)
    assert.notEqual(refused.code, 0)
  })

  function environment(): Record<string, string> {
    return { MYSQL_URL: stack.mysql.cdcUrl, ELASTICSEARCH_URL: stack.elasticsearch.url }
  }
})

function say(text: string): void {
  console.error(text)
}
