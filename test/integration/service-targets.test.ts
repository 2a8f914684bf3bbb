/** The daemon and targets that are no search servers: a write service of the user's, and a module. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { startStack, type Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { createItems, Workload } from '../support/workload.ts'
import { startWriteService, type WriteService } from '../support/write-service.ts'

suite('targets that are no search servers', () => {
  let stack: Stack
  let connection: Connection

  before(async () => {
    stack = await startStack({ servers: ['mysql'] })
    connection = await stack.mysql.connect()
  })
  after(async () => {
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  function options(name: string, targets: object): DaemonOptions {
    return {
      directory: join(stack.directory, name),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: 'http://127.0.0.1:1',
      settings: { targets },
      pipelines: { [name]: { table: `${name}.items` } },
    }
  }

  for (const marks of [true, false]) {
    test(`a write service that keeps ${marks ? 'our' : 'no'} marks is filled, followed and swept`, async () => {
      const name = marks ? 'marked' : 'plain'
      await createItems(connection, `${name}.items`, 500)
      await using service = await startWriteService({ marks })
      const settings = options(name, { own: { kind: 'http', url: service.url } })
      {
        await using daemon = await DaemonProcess.start(settings)
        await untilCaughtUp(daemon, connection)
        let refused = 0
        // Now and then there is no room, and now and then it breaks down after it has written.
        service.fault = () => (++refused % 7 === 0 ? 503 : refused % 5 === 0 ? 429 : undefined)
        await using workload = workloadOn(name)
        workload.start()
        await daemon.until('write', () => workload.transactions > 100)
        await workload.stop()
        await untilCaughtUp(daemon, connection)
        await assertEqual(name, service)
        assert.equal((await daemon.stop()).code, 0)
      }
      await connection.query(`TRUNCATE TABLE ${name}.items`)
      await connection.query(`INSERT INTO ${name}.items (id, counter, name) VALUES (1, 1, 'the only one')`)
      service.fault = () => undefined
      await using daemon = await DaemonProcess.start(settings)
      await untilCaughtUp(daemon, connection)
      await assertEqual(name, service)
      assert.equal(service.store.documents(name).length, 1)
      assert.equal((await daemon.pipeline(name)).deadLetters, 0)
    })
  }

  test('a module of the user’s is handed every row and every change', async () => {
    const name = 'module'
    await createItems(connection, `${name}.items`, 50)
    const settings = options(name, { own: { kind: 'module', module: './own.ts', lists: false } })
    mkdirSync(join(settings.directory, 'config'), { recursive: true })
    const output = join(settings.directory, 'written')
    writeFileSync(
      join(settings.directory, 'config', 'own.ts'),
      `import { appendFileSync } from 'node:fs'
       type Operation = { op: string; id: string; document?: { counter: number } }
       export async function write({ operations }: { operations: readonly Operation[] }): Promise<object[]> {
         for (const { op, id, document } of operations)
           appendFileSync(${JSON.stringify(output)}, op + ' ' + id + ' ' + document?.counter + '\\n')
         return operations.map(() => ({ status: 'applied' }))
       }`,
    )
    await using daemon = await DaemonProcess.start(settings)
    await untilCaughtUp(daemon, connection)
    await connection.query(`UPDATE ${name}.items SET counter = 77 WHERE id = 3`)
    await connection.query(`DELETE FROM ${name}.items WHERE id = 4`)
    await untilCaughtUp(daemon, connection)
    const lines = readFileSync(output, 'utf8').trim().split('\n')
    assert.equal(lines.length, 52)
    assert.deepEqual(lines.slice(-2).toSorted(), ['delete 4 undefined', 'index 3 77'])
  })

  test('a service of two nodes sees no more requests, and no more bytes, than its limits allow each of them', async () => {
    const name = 'limited'
    await createItems(connection, `${name}.items`, 0)
    await using one = await startWriteService({ marks: true })
    const other = await startWriteService({ marks: true, store: one.store })
    const together = { now: 0, most: 0 }
    const seen = [new Seen(one, together), new Seen(other, together)]
    const limits = { requestsPerSecond: 5, megabytesPerSecond: 0.04, connections: 1 }
    const usual = options(name, { own: { kind: 'http', url: [one.url, other.url], limits } })
    const settings = { ...usual.settings, delivery: { bulkCount: 5 } }
    await using daemon = await DaemonProcess.start({ ...usual, settings })
    await untilCaughtUp(daemon, connection)
    const fill = async (rows: number, note: string): Promise<void> => {
      for (const node of seen) node.begin()
      const values = Array.from({ length: rows }, (_, id) => [id, 1, 'x', note])
      await connection.query(`REPLACE INTO ${name}.items (id, counter, name, note) VALUES ?`, [values])
      await untilCaughtUp(daemon, connection)
    }
    await fill(150, 'short')
    for (const { requests, perSecond } of seen) {
      assert(requests.length >= 5, `each of them is asked: ${requests.length}`)
      assert(perSecond(() => 1) < 6, `${perSecond(() => 1)} requests a second`)
    }
    await fill(150, 'long '.repeat(500))
    for (const { perSecond } of seen)
      assert(perSecond(({ bytes }) => bytes) < 48_000, `${perSecond(({ bytes }) => bytes)} bytes a second`)
    assert(together.most <= 2, `${together.most} requests at once`)
    await other[Symbol.asyncDispose]()
    together.most = 0
    await fill(100, 'short')
    const [left] = seen
    assert(left !== undefined && left.requests.length >= 20, 'the one that is left gets all of them')
    assert(left.perSecond(() => 1) < 6, `${left.perSecond(() => 1)} requests a second at it`)
    assert.equal(together.most, 1)
    await assertEqual(name, one)
    assert.equal((await daemon.stop()).code, 0)
  })

  async function assertEqual(name: string, { store }: WriteService): Promise<void> {
    const [rows] = await connection.query<RowDataPacket[]>(`SELECT id, counter FROM ${name}.items`)
    const expected = new Map(rows.map(({ id, counter }) => [String(id), Number(counter)]))
    const found = store.documents(name).map(({ id, json = '' }): [string, unknown] => {
      return [id, (JSON.parse(json) as { readonly counter: number }).counter]
    })
    assert.deepEqual(new Map(found), expected)
  }

  async function connect(): Promise<Connection> {
    return await stack.mysql.connect()
  }

  function workloadOn(name: string): Workload {
    const table = `${name}.items`
    return new Workload({ connect, table, seed: 7, ids: 600, transactionsPerSecond: 50 })
  }
})

/** What a node is asked to write. */
class Seen {
  requests: { readonly atMs: number; readonly bytes: number }[] = []
  #beganAtMs = 0

  /** `together` counts what is under way at all nodes. */
  constructor(service: WriteService, together: { now: number; most: number }) {
    service.fault = async ({ url = '' }, body) => {
      if (!url.endsWith('/write')) return undefined
      this.requests.push({ atMs: performance.now(), bytes: Buffer.byteLength(body) })
      together.most = Math.max(together.most, ++together.now)
      await new Promise((resolve) => setTimeout(resolve, 20))
      together.now--
      return undefined
    }
  }

  begin(): void {
    this.requests = []
    this.#beganAtMs = performance.now()
  }

  /**
   * From the beginning to the last request; what the first one had is from before. A request that is seen late makes it
   * less, never more.
   */
  readonly perSecond = (sizeOf: (request: { readonly bytes: number }) => number): number => {
    const [, ...rest] = this.requests
    const seconds = ((rest.at(-1)?.atMs ?? 0) - this.#beganAtMs) / 1000
    return rest.reduce((sum, request) => sum + sizeOf(request), 0) / seconds
  }
}
