import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { PipelineStatus, Status } from '../../src/control/operations.ts'
import { freePort } from '../stack/ports.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaptured, untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { startFreezingProxy } from '../support/freezing-proxy.ts'
import { differencesOfItems } from '../support/items.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'
import { createItems, Workload } from '../support/workload.ts'

suite('several targets of one pipeline', () => {
  let stack: Stack
  /** In front of the backup, which is the same server: behind it nothing is away. */
  let backup: Awaited<ReturnType<typeof startFreezingProxy>>
  let connection: Connection

  before(async () => {
    stack = await startSuiteStack({ servers: ['mysql', 'elasticsearch'] })
    backup = await startFreezingProxy(stack.elasticsearch.port, undefined, await freePort())
    connection = await stack.mysql.connect()
  })
  after(async () => {
    connection?.destroy()
    await backup?.[Symbol.asyncDispose]()
    await stack?.[Symbol.asyncDispose]()
  })

  function options(name: string, more: Partial<DaemonOptions> = {}, policy = {}): DaemonOptions {
    const metadata = true
    const targets = [
      { name: 'primary', metadata },
      { name: 'backup', index: `${name}_spare`, metadata },
    ]
    return {
      directory: join(stack.directory, name),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { [name]: { table: `${name}.items`, targets, policy } },
      ...more,
      settings: {
        targets: {
          primary: { url: stack.elasticsearch.url },
          backup: { url: `http://127.0.0.1:${backup.port}` },
        },
        delivery: { waitSecondsMax: 2 },
        ...more.settings,
      },
    }
  }

  async function assertBothEqual(name: string): Promise<void> {
    const indexes = [
      new SearchIndex(stack.elasticsearch.url, name),
      new SearchIndex(stack.elasticsearch.url, `${name}_spare`),
    ]
    const hashes: Record<string, unknown>[] = []
    for (const index of indexes) {
      const { rows, differences } = await differencesOfItems(connection, `${name}.items`, index)
      assert.deepEqual(differences.slice(0, 10), [])
      assert(rows > 0)
      hashes.push(await hashesIn(index))
    }
    assert.deepEqual(hashes[0], hashes[1], 'documents that are alike show the same hash')
  }

  test('a backup that is away holds up neither capture nor the primary, and catches up in order', async () => {
    const name = 'mirrored'
    await createItems(connection, `${name}.items`, 500)
    await using daemon = await DaemonProcess.start(options(name))
    await untilCaughtUp(daemon, connection)
    await using workload = new Workload({
      connect: () => stack.mysql.connect(),
      table: `${name}.items`,
      seed: 5,
      ids: 800,
      transactionsPerSecond: 100,
    })
    workload.start()
    await backup.shut()
    const waiting = await daemon.until(
      'wait for the backup',
      (status) =>
        stateAt(status, 'backup') === 'waiting' && /no answer/.test(of(status, 'backup')?.error ?? ''),
    )
    const begun = of(waiting, 'primary')?.indexed ?? 0
    await daemon.until('fill the primary while the backup waits', (status) => {
      const primary = of(status, 'primary')
      const isFilled = primary?.state === 'running' && (primary.indexed ?? 0) > begun + 300
      return isFilled && stateAt(status, 'backup') === 'waiting'
    })
    await workload.stop()
    const delivered = await daemon.until(
      'deliver everything to the primary',
      (status) => of(status, 'primary')?.lagChanges === 0 && (of(status, 'backup')?.lagChanges ?? 0) > 300,
    )
    assert.equal(of(delivered, 'backup')?.deadLetters, 0)
    await daemon.untilMetrics(/^millrace_pipeline_state\{.*target="backup",state="waiting".*\} 1$/m)
    await backup.open()
    await untilCaughtUp(daemon, connection)
    await assertBothEqual(name)
    assert.equal((await daemon.stop()).code, 0)
  })

  test('a row that changes thousands of times is written once in each window, and right in the end', async () => {
    const name = 'fresh'
    await createItems(connection, `${name}.items`, 10)
    await using daemon = await DaemonProcess.start(options(name, {}, { freshness: 4 }))
    await untilCaughtUp(daemon, connection)
    const index = new SearchIndex(stack.elasticsearch.url, name)
    const earlier = await index.written()
    const begun = performance.now()
    for (let counter = 1; counter <= 10_000; counter++) {
      if (counter % 10 === 1) await connection.beginTransaction()
      await connection.query(`UPDATE ${name}.items SET counter = ? WHERE id = 7`, [counter])
      if (counter % 10 === 0) await connection.commit()
    }
    await untilCaughtUp(daemon, connection)
    const windows = Math.ceil((performance.now() - begun) / 2000) + 1
    assert((await index.written()) - earlier <= windows, `${await index.written()} in ${windows} windows`)
    const document = await index.document('7')
    assert.equal(document?.['counter'], 10_000)
    assert.equal(stampOf(document).gtid, await lastTransaction())
    assert.equal(stampOf(await index.document('8')).gtid, null, 'the load has read it')
    await assertBothEqual(name)
    assert.equal((await daemon.stop()).code, 0)
  })

  test('a new log begins, and the primary is filled, while the backup is away', async () => {
    const name = 'half'
    await createItems(connection, `${name}.items`, 200)
    await backup.shut()
    await using daemon = await DaemonProcess.start(options(name))
    const status = await daemon.until('fill the primary', isPrimaryFilled)
    assert.notEqual(stateAt(status, 'backup'), 'running')
    await backup.open()
    await untilCaughtUp(daemon, connection)
    await assertBothEqual(name)
  })

  test('a backup that the log left behind needs a reload, of itself alone', async () => {
    const name = 'outrun'
    await createItems(connection, `${name}.items`, 200)
    const log = { segmentMb: 0.1, retentionGb: 0.001, ceilingGb: 0.001 }
    const small = options(name, { settings: { log } })
    await using daemon = await DaemonProcess.start(small)
    await untilCaughtUp(daemon, connection)
    await backup.shut()
    await fatten(name, daemon)
    const failed = await daemon.until(
      'say so',
      (status) =>
        /log/.test(of(status, 'backup')?.error ?? '') &&
        stateAt(status, 'backup') === 'failed' &&
        stateAt(status, 'primary') === 'running',
    )
    assert.match(of(failed, 'backup')?.remedy ?? '', /--reload outrun@backup/)
    assert.equal((await daemon.stop()).code, 0)
    await backup.open()
    await using again = await DaemonProcess.start({ ...small, extraArguments: ['--reload', 'outrun@backup'] })
    await untilCaughtUp(again, connection)
    await assertBothEqual(name)
    const loads = again.logLines().filter(({ fact }) => fact === 'load-finished')
    assert.deepEqual(loads.map(({ group }) => String(group)).toSorted(), [
      'outrun@backup',
      'outrun@backup',
      'outrun@primary',
    ])
    assert.equal((await again.stop()).code, 0)

    // With the policy, it does so by itself.
    await using patient = await DaemonProcess.start(
      options(name, { settings: { log } }, { onLost: 'reload' }),
    )
    await untilCaughtUp(patient, connection)
    await backup.shut()
    const lost = patient.expect('group-lost')
    await fatten(name, patient)
    await lost()
    await backup.open()
    await untilCaughtUp(patient, connection)
    await assertBothEqual(name)
  })

  /** The GTID of what was executed last on the server. */
  async function lastTransaction(): Promise<string> {
    const [rows] = await connection.query<RowDataPacket[]>('SELECT @@gtid_executed AS done')
    return String(rows[0]?.['done']).replace(/:1-(\d+)$/, ':$1')
  }

  /** Fills the log with changes, more than it may keep; never so many at once that the primary is left behind as well. */
  async function fatten(name: string, daemon: DaemonProcess): Promise<void> {
    for (let round = 0; round < 6; round++) {
      await connection.query(`UPDATE ${name}.items SET note = REPEAT(?, 1500)`, [String(round % 10)])
      await untilCaptured(daemon, connection)
      await daemon.until('fill the primary', (status) => of(status, 'primary')?.lagChanges === 0)
    }
  }
})

function of({ pipelines }: Status, target: string): PipelineStatus | undefined {
  return pipelines.find((each) => each.target === target)
}

function stateAt(status: Status, target: string): string | undefined {
  return of(status, target)?.state
}

function isPrimaryFilled(status: Status): boolean {
  const primary = of(status, 'primary')
  return primary?.state === 'running' && primary.load?.state === 'done' && primary.lagChanges === 0
}

/** By id, as the documents themselves show them. */
async function hashesIn(index: SearchIndex): Promise<Record<string, unknown>> {
  const hashes: Record<string, unknown> = {}
  for await (const { _id: id, _source: source } of index.documents()) hashes[id] = stampOf(source).hash
  return hashes
}

function stampOf(document: Readonly<Record<string, unknown>> | undefined): {
  readonly hash: string
  readonly gtid: string | null
} {
  const stamp = document?.['_millrace']
  assert(stamp !== null && typeof stamp === 'object' && 'hash' in stamp && 'gtid' in stamp)
  const { hash, gtid } = stamp
  assert(typeof hash === 'string' && (gtid === null || typeof gtid === 'string'))
  return { hash, gtid }
}
