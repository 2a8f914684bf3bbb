/** The daemon and its targets: products and versions beside each other, and a cluster that loses its master. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import { startElasticsearchCluster } from '../stack/elasticsearch-cluster.ts'
import type { ElasticsearchServer } from '../stack/elasticsearch.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { differencesOfItems } from '../support/items.ts'
import { SearchIndex } from '../support/search-index.ts'
import { createItems, Workload } from '../support/workload.ts'

suite('a daemon', () => {
  let stack: Stack
  let connection: Connection

  before(async () => {
    stack = await startStack({ servers: ['mysql', 'elasticsearch@7', 'opensearch'] })
    connection = await stack.mysql.connect()
  })
  after(async () => {
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  test('fills an old Elasticsearch and a new OpenSearch; one that is away holds up neither the other nor itself', async () => {
    const { elasticsearch, opensearch } = stack
    await createItems(connection, 'mixed.items', 1000)
    await using daemon = await DaemonProcess.start({
      directory: join(stack.directory, 'mixed'),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: elasticsearch.url,
      settings: { targets: { old: { url: elasticsearch.url }, open: { url: opensearch.url } } },
      pipelines: { mixed: { table: 'mixed.items', targets: [{ name: 'old' }, { name: 'open' }] } },
    })
    await untilCaughtUp(daemon, connection)
    await using workload = workloadOn('mixed')
    workload.start()
    await opensearch.kill()
    await daemon.until('wait for the one that is away', ({ pipelines }) =>
      pipelines.some(({ target, state }) => target === 'open' && state === 'waiting'),
    )
    await workload.stop()
    await daemon.until('deliver to the other', ({ pipelines }) =>
      pipelines.some(({ target, lagChanges }) => target === 'old' && lagChanges === 0),
    )
    await opensearch.start()
    await untilCaughtUp(daemon, connection)
    for (const server of [elasticsearch, opensearch]) await assertEqual('mixed', server.url)
    // The load's end looks for documents that the table lacks, in either product's way.
    await connection.query('TRUNCATE TABLE mixed.items')
    await connection.query('INSERT INTO mixed.items (id, counter, name) VALUES (1, 1, "the only one")')
    await untilCaughtUp(daemon, connection)
    for (const server of [elasticsearch, opensearch]) await assertEqual('mixed', server.url)
    assert.equal((await daemon.stop()).code, 0)
  })

  test('goes on when the master of a cluster is killed under load', async () => {
    await createItems(connection, 'cluster.items', 1000)
    const nodes = await startElasticsearchCluster({ directory: stack.directory }, 3)
    for (const [at, node] of nodes.entries()) stack.add(`node-${at + 1}`, node)
    const urls = nodes.map(({ url }) => url)
    await using daemon = await DaemonProcess.start({
      directory: join(stack.directory, 'cluster'),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: urls[0] ?? '',
      settings: { targets: { primary: { url: urls, requestTimeoutSeconds: 10 } } },
      pipelines: {
        cluster: { table: 'cluster.items', target: { settings: { number_of_shards: 3 } } },
      },
    })
    await untilCaughtUp(daemon, connection)
    // Only what has copies survives the loss of a node.
    await new SearchIndex(urls[0] ?? '', 'cluster').ask(
      'GET',
      '/_cluster/health?wait_for_status=green&timeout=300s',
    )
    await using workload = workloadOn('cluster')
    workload.start()
    const master = nodes[await masterOf(nodes)]
    await master?.kill()
    const written = workload.transactions
    await daemon.until('write on', () => workload.transactions > written + 200)
    await workload.stop()
    await untilCaughtUp(daemon, connection)
    const [left] = nodes.filter((node) => node !== master)
    await assertEqual('cluster', left?.url ?? '')
    assert.equal((await daemon.pipeline('cluster')).deadLetters, 0)
    assert.equal((await daemon.stop()).code, 0)
  })

  async function assertEqual(name: string, url: string): Promise<void> {
    const { rows, differences } = await differencesOfItems(
      connection,
      `${name}.items`,
      new SearchIndex(url, name),
    )
    assert.deepEqual(differences.slice(0, 10), [])
    assert(rows > 0)
  }

  async function connect(): Promise<Connection> {
    return await stack.mysql.connect()
  }

  function workloadOn(name: string): Workload {
    const table = `${name}.items`
    return new Workload({ connect, table, seed: 5, ids: 2000, transactionsPerSecond: 50 })
  }
})

/** Which of the nodes leads. */
async function masterOf(nodes: readonly ElasticsearchServer[]): Promise<number> {
  const response = await fetch(`${nodes[0]?.url}/_cat/master?h=node`)
  const name = (await response.text()).trim()
  return Number(name.replace('node-', '')) - 1
}
