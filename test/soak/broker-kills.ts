/** A broker is killed under load and started again, again and again: no transaction of the log may be lost, doubled or left open. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Connection } from 'mysql2/promise'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { differencesOfItems } from '../support/items.ts'
import { SearchIndex } from '../support/search-index.ts'
import { topicChainOf } from '../support/topic-chain.ts'
import { changesOf } from '../support/topic-changes.ts'
import { createItems, Workload } from '../support/workload.ts'

export interface BrokerKills {
  readonly name: string
  readonly rounds: number
  readonly say: (text: string) => void
}

export interface BrokerKillsResult {
  readonly rounds: number
  readonly transactions: number
  /** In the topic, each exactly once. */
  readonly changes: number
  readonly rows: number
}

/** From the last change on until all is delivered. */
const catchUpMs = 90_000

/** Throws where what was committed is not delivered in time, where the topic lacks a change or has one twice, or where index and table differ. */
export async function killBrokers(
  stack: Stack,
  { name, rounds, say }: BrokerKills,
): Promise<BrokerKillsResult> {
  const table = `${name}.items`
  const connection = await stack.mysql.connect()
  await createItems(connection, table, 0)
  await using daemon = await startDaemon(stack, name)
  const connect = (): Promise<Connection> => stack.mysql.connect()
  await daemon.until('run', ({ pipelines }) => pipelines[0]?.state === 'running')
  let transactions = 0
  try {
    for (let round = 1; round <= rounds; round++) {
      await using workload = new Workload({
        connect,
        table,
        seed: round,
        ids: 3000,
        transactionsPerSecond: 100,
      })
      workload.start()
      await untilMore(daemon)
      await stack.kafka.kill()
      await stack.kafka.start()
      await workload.stop()
      transactions += workload.transactions
      const begun = performance.now()
      await untilCaughtUp(daemon, connection, catchUpMs)
      say(`round ${round} of ${rounds}: all was delivered after ${Math.round(performance.now() - begun)} ms`)
    }
    // The last offsets of all partitions are of one transaction: the reader takes more than one marker for a message to come.
    await connection.query(`UPDATE ${table} SET counter = counter + 1`)
    await untilCaughtUp(daemon, connection)
    const changes = await changesOf(stack.kafka.broker, `${name}.${table}`)
    const { breaks } = topicChainOf(changes)
    assert.deepEqual(breaks.slice(0, 10), [])
    const versions = new Set(changes.map(({ version }) => version))
    assert.equal(versions.size, changes.length, 'each change once')
    const index = new SearchIndex(stack.elasticsearch.url, name)
    const { rows, differences } = await differencesOfItems(connection, table, index)
    assert.deepEqual(differences.slice(0, 10), [])
    return { rounds, transactions, changes: changes.length, rows }
  } finally {
    connection.destroy()
  }
}

async function startDaemon(stack: Stack, name: string): Promise<DaemonProcess> {
  const kafka = { prefix: name, replication: 1, compression: 'gzip', sessionSeconds: 6 }
  return await DaemonProcess.start({
    directory: join(stack.directory, name),
    mysqlUrl: stack.mysql.cdcUrl,
    elasticsearchUrl: stack.elasticsearch.url,
    pipelines: { [name]: { table: `${name}.items` } },
    settings: { log: { kind: 'kafka', kafka: { ...kafka, brokers: [stack.kafka.broker] } } },
  })
}

/** Changes that come from now on are delivered: the load is under way. */
async function untilMore(daemon: DaemonProcess): Promise<void> {
  const { pipelines } = await daemon.status()
  const indexed = pipelines[0]?.indexed ?? 0
  await daemon.until('deliver', (status) => (status.pipelines[0]?.indexed ?? 0) > indexed + 200)
}
