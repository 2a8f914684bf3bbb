/** The whole daemon with its log in Kafka: what it promises holds when it, the broker or a part of the group is killed. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import { startStack, type Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { differencesOfItems } from '../support/items.ts'
import { SearchIndex } from '../support/search-index.ts'
import { changesOf } from '../support/topic-changes.ts'
import { createItems, Workload } from '../support/workload.ts'

suite('a daemon with its log in Kafka', () => {
  let stack: Stack
  let connection: Connection

  before(async () => {
    stack = await startStack({ servers: ['mysql', 'elasticsearch', 'kafka'] })
    connection = await stack.mysql.connect()
  })
  after(async () => {
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  function options(name: string): DaemonOptions {
    return {
      directory: join(stack.directory, name),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { [name]: { table: `${name}.items` } },
      settings: {
        log: {
          kind: 'kafka',
          kafka: { brokers: [stack.kafka.broker], prefix: name, replication: 1, compression: 'gzip' },
        },
      },
    }
  }

  async function assertEqual(name: string): Promise<void> {
    const index = new SearchIndex(stack.elasticsearch.url, name)
    const { rows, differences } = await differencesOfItems(connection, `${name}.items`, index)
    assert.deepEqual(differences.slice(0, 10), [])
    assert(rows > 0)
  }

  test('the index follows the table through kills of the daemon and of the broker, each change once', async () => {
    const name = 'killed'
    await createItems(connection, `${name}.items`, 2000)
    let daemon = await DaemonProcess.start(options(name))
    try {
      const workload = new Workload({
        connect: () => stack.mysql.connect(),
        table: `${name}.items`,
        seed: 7,
        ids: 3000,
        transactionsPerSecond: 100,
      })
      workload.start()
      await daemon.until('deliver something', ({ pipelines }) => (pipelines[0]?.indexed ?? 0) > 500)
      await daemon.kill()
      daemon = await DaemonProcess.start(options(name))
      await daemon.until('deliver something', ({ pipelines }) => (pipelines[0]?.indexed ?? 0) > 100)
      await stack.kafka.kill()
      await stack.kafka.start()
      await workload.stop()
      await untilCaughtUp(daemon, connection)
      await assertEqual(name)
    } finally {
      await daemon.kill()
    }
    const changes = await changesOf(stack.kafka.broker, `${name}.${name}.items`)
    assert(changes.length > 100)
    assert.equal(new Set(changes.map(({ version }) => version)).size, changes.length, 'each change once')
    for (const partition of new Set(changes.map((change) => change.partition))) {
      const own = changes.filter((change) => change.partition === partition).map(({ version }) => version)
      assert.deepEqual(
        own,
        own.toSorted((one, other) => (one < other ? -1 : 1)),
        'in order',
      )
    }
  })
})
