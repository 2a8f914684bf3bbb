import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import type { Status } from '../../src/control/operations.ts'
import { freePort } from '../stack/ports.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { startFreezingProxy } from '../support/freezing-proxy.ts'
import { HoldingProxy, type HeldPart } from '../support/holding-proxy.ts'
import { differencesOfItems } from '../support/items.ts'
import { SearchIndex } from '../support/search-index.ts'
import { createItems, Workload } from '../support/workload.ts'

/** How long a request or an answer is held: far longer than the target remembers what was deleted. */
const holdSeconds = Number(process.env['MILLRACE_HOLD_SECONDS'] ?? '5')

suite('outages', () => {
  let stack: Stack
  let connection: Connection

  before(async () => {
    stack = await startStack({ servers: ['mysql', 'elasticsearch'] })
    connection = await stack.mysql.connect()
  })
  after(async () => {
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  function options(name: string, more: Partial<DaemonOptions> = {}): DaemonOptions {
    return {
      directory: join(stack.directory, name),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { [name]: { table: `${name}.items` } },
      ...more,
    }
  }

  async function assertEqual(name: string): Promise<void> {
    const index = new SearchIndex(stack.elasticsearch.url, name)
    const { rows, differences } = await differencesOfItems(connection, `${name}.items`, index)
    assert.deepEqual(differences.slice(0, 10), [])
    assert(rows > 0)
  }

  suite('a network that delays', { concurrency: true }, () => {
    for (const part of ['answer', 'request'] as const) {
      test(`a bulk ${part} that comes late finds its key deleted and made again`, async () => {
        await lateBulk(part)
      })
    }
  })

  /** The key's deletion is long forgotten when the old request arrives, or its answer. */
  async function lateBulk(part: HeldPart): Promise<void> {
    const name = `late_${part}`
    await createItems(connection, `${name}.items`, 10)
    await using proxy = await HoldingProxy.start(stack.elasticsearch.url)
    const settings = {
      targets: { primary: { url: proxy.url, requestTimeoutSeconds: 2 } },
      log: { lanes: 1 },
    }
    const target = { settings: { gc_deletes: '1s' } }
    const pipelines = { [name]: { table: `${name}.items`, target } }
    await using daemon = await DaemonProcess.start(options(name, { pipelines, settings }))
    await untilCaughtUp(daemon, connection)
    const index = new SearchIndex(stack.elasticsearch.url, name)
    const hold = proxy.hold(part, /"held"/)
    await connection.query(`UPDATE ${name}.items SET name = 'held' WHERE id = 7`)
    await hold.caught
    const heldUntil = performance.now() + holdSeconds * 1000
    await connection.query(`DELETE FROM ${name}.items WHERE id = 7`)
    await untilCaughtUp(daemon, connection)
    assert.equal(await index.document('7'), undefined)
    const answered = await forgetDeletes(index)
    await connection.query(`INSERT INTO ${name}.items (id, counter, name) VALUES (7, 1, 'made again')`)
    await untilCaughtUp(daemon, connection)
    await delay(Math.max(0, heldUntil - performance.now()))
    const answer = await hold.release()
    // A held request comes to a document that is newer; a held answer was given while the document was there.
    assert.match(answer, part === 'request' ? /version_conflict_engine_exception/ : /"status":20[01]/)
    assert(answered)
    await connection.query(`UPDATE ${name}.items SET counter = 2 WHERE id IN (6, 7)`)
    await untilCaughtUp(daemon, connection)
    assert.equal((await index.document('7'))?.['name'], 'made again')
    await assertEqual(name)
    assert.equal((await daemon.pipeline(name)).deadLetters, 0)
    assert.match(daemon.output(), /no answer within 2 s/)
  }

  test('a log whose disk is full makes capture wait, and loses nothing', async (context) => {
    const name = 'full'
    const folder = join(stack.directory, name, 'state', 'log')
    mkdirSync(folder, { recursive: true })
    const unmount = mountMemory(folder, '2m')
    if (unmount === undefined) {
      context.skip('a file system cannot be mounted here')
      return
    }
    try {
      await fillUp(name, folder)
    } finally {
      unmount()
    }
  })

  async function fillUp(name: string, folder: string): Promise<void> {
    await createItems(connection, `${name}.items`, 500)
    await using daemon = await DaemonProcess.start(options(name, { settings: { log: { segmentMb: 1 } } }))
    await untilCaughtUp(daemon, connection)
    // Before the application starts: the two would lock each other out.
    await connection.query(
      `INSERT INTO ${name}.items (id, counter, name, note)
       SELECT 10000 + a.id * 500 + b.id, 0, 'filler', REPEAT('x', 200)
       FROM ${name}.items a JOIN ${name}.items b WHERE a.id < 40`,
    )
    await using workload = workloadOn(name, 20)
    workload.start()
    await daemon.until(
      'wait for room',
      (status) => isSourceWaiting(status) && /no space|full/i.test(status.sources[0]?.error ?? ''),
    )
    await daemon.untilMetrics(/^millrace_log_append_errors_total\{source="main"\} [1-9]/m)
    assert(daemon.logLines().some((line) => line['level'] !== 'info' && /log/.test(JSON.stringify(line))))
    execFileSync('mount', ['-o', 'remount,size=200m', folder])
    await workload.stop()
    await untilCaughtUp(daemon, connection)
    await assertEqual(name)
    const { deadLetters } = await daemon.pipeline(name)
    assert.equal(deadLetters, 0)
    assert.equal((await daemon.stop()).code, 0)
  }

  test('both servers are stopped, killed and started again under load', async () => {
    const name = 'restarts'
    const { mysql, elasticsearch } = stack
    await createItems(connection, `${name}.items`, 2000)
    await using daemon = await DaemonProcess.start(options(name))
    await using workload = workloadOn(name, 100)
    workload.start()
    await daemon.until('run', ({ pipelines }) => pipelines[0]?.state === 'running')

    await elasticsearch.stop()
    const { sources } = await daemon.until(
      'wait for the target',
      (status) => isPipelineWaiting(status) && /no answer/.test(status.pipelines[0]?.error ?? ''),
    )
    const logged = sources[0]?.logNextOffset ?? 0
    await daemon.until('go on capturing', (status) => (status.sources[0]?.logNextOffset ?? 0) > logged + 300)
    await mysql.kill()
    const away = await daemon.until('wait for the source', isSourceWaiting)
    assert.notEqual(away.sources[0]?.error, null)
    await Promise.all([mysql.start(), elasticsearch.start()])
    await daemon.until('run again', isRunning)

    await Promise.all([mysql.stop(), elasticsearch.kill()])
    await daemon.until('wait for both', (status) => isSourceWaiting(status) && isPipelineWaiting(status))
    await Promise.all([mysql.start(), elasticsearch.start()])
    await daemon.until('run once more', isRunning)
    await workload.stop()

    connection.destroy()
    connection = await mysql.connect()
    await untilCaughtUp(daemon, connection)
    await assertEqual(name)
    assert.equal((await daemon.pipeline(name)).deadLetters, 0)
    assert.equal(daemon.exit, undefined)
  })

  test('servers that are away at the first start are waited for; a store and a Redis that are away hold up nothing', async () => {
    const name = 'first_start'
    await createItems(connection, `${name}.items`, 100)
    const [source, target, nobody] = [await freePort(), await freePort(), await freePort()]
    await using daemon = new DaemonProcess(
      options(name, {
        mysqlUrl: withPort(stack.mysql.cdcUrl, source),
        elasticsearchUrl: withPort(stack.elasticsearch.url, target),
        settings: {
          store: { kind: 'mysql', url: withPort(`${stack.mysql.appUrl}${name}`, nobody) },
          cache: { kind: 'redis', url: `redis://127.0.0.1:${nobody}/0`, processes: 2 },
        },
      }),
    )
    await daemon.untilWaiting(new RegExp(`source main is waiting: .*${source}`))
    await using doors = new AsyncDisposableStack()
    doors.use(await startFreezingProxy(stack.mysql.port, undefined, source))
    await daemon.untilWaiting(/(source main|pipeline first_start) is waiting: .*no answer/)
    doors.use(await startFreezingProxy(stack.elasticsearch.port, undefined, target))
    await untilCaughtUp(daemon, connection)
    await assertEqual(name)
    const { recent } = await daemon.status()
    assert.match(recent[0]?.what ?? '', new RegExp(`store at 127\\.0\\.0\\.1:${nobody}.*ECONNREFUSED`))
    assert.match(daemon.output(), /"fact":"cache-state"/)
    assert.equal((await daemon.stop()).code, 0)
  })

  async function connect(): Promise<Connection> {
    return await stack.mysql.connect()
  }

  function workloadOn(name: string, transactionsPerSecond: number): Workload {
    const table = `${name}.items`
    return new Workload({ connect, table, seed: 11, ids: 3000, transactionsPerSecond })
  }
})

function withPort(url: string, port: number): string {
  const moved = new URL(url)
  moved.port = String(port)
  return moved.href.replace(/\/$/, '')
}

function isSourceWaiting({ sources }: Status): boolean {
  return sources[0]?.state === 'waiting'
}

function isPipelineWaiting({ pipelines }: Status): boolean {
  return pipelines[0]?.state === 'waiting'
}

function isRunning({ sources, pipelines }: Status): boolean {
  return sources[0]?.state === 'running' && pipelines[0]?.state === 'running'
}

/** Makes the index forget what was deleted more than a second ago: that happens at a refresh. */
async function forgetDeletes(index: SearchIndex): Promise<boolean> {
  await delay(2500)
  await index.refresh()
  return true
}

/** undefined = not allowed here. */
function mountMemory(folder: string, size: string): (() => void) | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { stdio: 'pipe' })
  } catch {
    return undefined
  }
  return () => execFileSync('umount', ['-l', folder])
}
