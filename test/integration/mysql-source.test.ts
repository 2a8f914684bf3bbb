import assert from 'node:assert/strict'
import { createServer, connect as connectSocket, type Socket } from 'node:net'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { after, before, suite, test } from 'node:test'
import type { Barrier, Change, Position } from '../../src/change/change.ts'
import { Failure } from '../../src/change/failure.ts'
import { textOf, unpackRow } from '../../src/change/row.ts'
import type { MysqlSettings } from '../../src/source/mysql/connection.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import { parsePosition } from '../../src/source/mysql/position.ts'
import type { SourceBatch } from '../../src/source/source.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'

const names = ['mysql', 'mysql@8.0', 'mariadb'] as const

suite('the stream of a MySQL source', { concurrency: false }, () => {
  let stack: Stack

  before(async () => {
    stack = await startStack({ servers: names })
  })
  after(() => stack?.[Symbol.asyncDispose]())

  for (const name of names) {
    const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer

    test(`${name}: inserts, updates, deletes and changes of the key come in order`, async () => {
      const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(20))')
      const reading = await startReading(serverOf(), [`${schema}.t`])
      await write(serverOf(), schema, [
        "INSERT INTO t VALUES (1, 'one'), (2, 'zwölf')",
        "UPDATE t SET word = 'two' WHERE id = 2",
        'UPDATE t SET id = 3 WHERE id = 2',
        'BEGIN',
        'DELETE FROM t WHERE id = 1',
        'INSERT INTO t VALUES (1, NULL)',
        'COMMIT',
      ])
      await reading.untilHead()
      assert.deepEqual(reading.changes.map(describe), [
        'insert [1] - 1,"one"',
        'insert [2] - 2,"zwölf"',
        'update [2] 2,"zwölf" 2,"two"',
        'delete [2] 2,"two" -',
        'insert [3] - 3,"two"',
        'delete [1] 1,"one" -',
        'insert [1] - 1,NULL',
      ])
      const now = Date.now()
      for (const { committedAtMs } of reading.changes) assert(Math.abs(now - committedAtMs) < 60_000)
      await reading.end()
    })

    test(`${name}: a large transaction comes in pieces, and each of them is a place to go on from`, async () => {
      const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY, filler VARCHAR(200))')
      const first = await startReading(serverOf(), [`${schema}.t`])
      const rows = Array.from({ length: 6000 }, (_, id) => `(${id}, '${'x'.repeat(180)}')`)
      await write(serverOf(), schema, [
        'BEGIN',
        `INSERT INTO t VALUES ${rows.slice(0, 3000).join(',')}`,
        `INSERT INTO t VALUES ${rows.slice(3000).join(',')}`,
        'UPDATE t SET id = id + 10000 WHERE id < 10',
        'COMMIT',
      ])
      await first.untilHead()
      await first.end()
      const all = first.changes.map(describe)
      assert.equal(all.length, 6020)
      const inside = first.batches.filter((batch) => parsePosition(batch.position).inside !== undefined)
      assert(inside.length >= 3, `${inside.length} pieces`)
      for (const batch of first.batches) assert(batch.bytes < 512 * 1024, `a piece of ${batch.bytes} bytes`)
      let given = 0
      for (const batch of first.batches) {
        given += batch.changes.length
        const rest = await startReading(serverOf(), [`${schema}.t`], { from: batch.position })
        await rest.untilHead()
        await rest.end()
        assert.deepEqual(rest.changes.map(describe), all.slice(given))
      }
    })

    test(`${name}: a part of a transaction does not count on another server`, async () => {
      const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY)')
      const first = await startReading(serverOf(), [`${schema}.t`])
      await write(serverOf(), schema, ['INSERT INTO t VALUES (1)'])
      await first.untilHead()
      await first.end()
      const { from } = first
      const executed = parsePosition(first.position).executed.toString()
      const gtid = name === 'mariadb' ? executed : `${executed.split(':')[0]}:${executed.split('-').at(-1)}`
      const foreign = JSON.stringify({ ...JSON.parse(from), inside: { gtid, events: 1, server: 'another' } })
      const again = await startReading(serverOf(), [`${schema}.t`], { from: foreign as Position })
      await again.untilHead()
      await again.end()
      assert.deepEqual(again.changes.map(describe), ['insert [1] - 1'])
    })

    test(`${name}: a killed dump and a restarted server are survived without a gap or a repetition`, async () => {
      const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY)')
      const reading = await startReading(serverOf(), [`${schema}.t`])
      await write(serverOf(), schema, ['INSERT INTO t VALUES (1)'])
      await reading.untilHead()
      await killDumps(serverOf())
      await write(serverOf(), schema, ['INSERT INTO t VALUES (2)'])
      await reading.untilHead()
      await serverOf().stop()
      await serverOf().start()
      await write(serverOf(), schema, ['INSERT INTO t VALUES (3)'])
      await reading.untilHead()
      await serverOf().kill()
      await serverOf().start()
      await write(serverOf(), schema, ['INSERT INTO t VALUES (4)'])
      await reading.untilHead()
      await reading.end()
      assert.deepEqual(
        reading.changes.map(({ key }) => key),
        ['[1]', '[2]', '[3]', '[4]'],
      )
    })

    test(`${name}: statements that change rows unseen become barriers after what came before them`, async () => {
      const schema = await freshSchema(
        serverOf(),
        'CREATE TABLE t (id INT PRIMARY KEY, n INT)',
        'CREATE TABLE other (id INT PRIMARY KEY)',
      )
      const reading = await startReading(serverOf(), [`${schema}.t`])
      await write(serverOf(), schema, [
        'INSERT INTO t VALUES (1, 1)',
        'ALTER TABLE t ADD INDEX (n)',
        'TRUNCATE other',
        'TRUNCATE /* all */ `t`',
        'INSERT INTO t VALUES (2, 2)',
        'ALTER TABLE t ADD COLUMN m INT DEFAULT 7',
        `RENAME TABLE t TO u, other TO t`,
      ])
      await reading.untilHead()
      await reading.end()
      assert.deepEqual(
        reading.barriers.map(({ table, statement }) => `${table}: ${statement}`),
        [
          `${schema}.t: TRUNCATE /* all */ \`t\``,
          `${schema}.t: ALTER TABLE t ADD COLUMN m INT DEFAULT 7`,
          `${schema}.t: RENAME TABLE t TO u, other TO t`,
        ],
      )
      const order = reading.batches.flatMap(({ changes, barriers }) => [
        ...changes.map(({ key }) => String(key)),
        ...barriers.map(() => 'barrier'),
      ])
      assert.deepEqual(order, ['[1]', 'barrier', '[2]', 'barrier', 'barrier'])
    })

    test(`${name}: rows that a foreign key changed are in the stream, or their table is to be read again`, async () => {
      const schema = await freshSchema(
        serverOf(),
        'CREATE TABLE p (id INT PRIMARY KEY, word INT)',
        'CREATE TABLE c (id INT PRIMARY KEY, pid INT, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)',
        'CREATE TABLE g (id INT PRIMARY KEY, cid INT, FOREIGN KEY (cid) REFERENCES c (id) ON DELETE SET NULL)',
        'INSERT INTO p VALUES (1, 1), (2, 2)',
        'INSERT INTO c VALUES (1, 1), (2, 2)',
        'INSERT INTO g VALUES (1, 1), (2, 2)',
      )
      const reading = await startReading(serverOf(), [`${schema}.c`, `${schema}.g`])
      await write(serverOf(), schema, ['UPDATE p SET word = 9', 'INSERT INTO p VALUES (5, 5)'])
      await reading.untilHead()
      assert.equal(reading.barriers.length, 0)
      await write(serverOf(), schema, ['DELETE FROM p WHERE id = 1', 'UPDATE p SET id = 3 WHERE id = 2'])
      await reading.untilHead()
      await reading.end()
      const seen = reading.changes.map((change) => `${change.table.name.replace(/.*\./, '')} ${change.op}`)
      const marked = reading.barriers.map(({ table }) => table.split('.')[1])
      if (name === 'mysql') {
        assert.deepEqual(seen.toSorted(), ['c delete', 'c update', 'g update'])
        assert.equal(marked.length, 0)
      } else assert.deepEqual(marked.toSorted(), ['c', 'c', 'g'])
    })

    test(`${name}: wrong credentials and unknown transactions are refused with a remedy`, async () => {
      const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY)')
      const refused = await failureOf(serverOf(), `${schema}.t`, { password: 'wrong' })
      assert.equal(refused.kind, 'unauthorised')
      assert.match(refused.message, /Access denied/)
      assert.doesNotMatch(`${refused.message}${refused.remedy}`, /wrong|cdcpass/)
      const future = name === 'mariadb' ? '0-1-99999999' : '11111111-1111-1111-1111-111111111111:1-5'
      const lacking = await failureOf(serverOf(), `${schema}.t`, { catchUpMs: 300 }, future)
      assert.equal(lacking.kind, 'lost')
      assert.match(lacking.message, new RegExp(`does not have .*${future}`))
    })

    test(`${name}: transactions that the server has purged are named as lost`, async () => {
      const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY)')
      const source = createMysqlSource(settingsOf(serverOf()), [`${schema}.t`])
      const from = await source.head()
      await write(serverOf(), schema, [
        'INSERT INTO t VALUES (1)',
        'FLUSH BINARY LOGS',
        'INSERT INTO t VALUES (2)',
      ])
      const files = await ask(serverOf(), 'SHOW BINARY LOGS')
      await write(serverOf(), schema, [`PURGE BINARY LOGS TO '${files.at(-1)?.['Log_name']}'`])
      const gone = await failureOf(serverOf(), `${schema}.t`, {}, from)
      assert.equal(gone.kind, 'lost')
      assert.match(gone.message, /purged/)
      assert.match(gone.remedy ?? '', /load the pipelines of this source anew/)
      const earliest = await source.earliest()
      await source.close()
      const reading = await startReading(serverOf(), [`${schema}.t`], { from: earliest })
      await reading.untilHead()
      await reading.end()
      assert.deepEqual(
        reading.changes.map(({ key }) => key),
        ['[2]'],
      )
    })

    test(`${name}: a connection that went silent is replaced`, async () => {
      const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY)')
      await using proxy = await startProxy(serverOf().port)
      const reading = await startReading(serverOf(), [`${schema}.t`], {
        settings: { port: proxy.port, heartbeatMs: 200 },
      })
      await write(serverOf(), schema, ['INSERT INTO t VALUES (1)'])
      await reading.untilHead()
      proxy.freeze()
      await write(serverOf(), schema, ['INSERT INTO t VALUES (2)'])
      await reading.untilHead()
      await reading.end()
      assert.deepEqual(
        reading.changes.map(({ key }) => key),
        ['[1]', '[2]'],
      )
    })
  }

  test('the server is checked over TLS by the authority that is given', async () => {
    const { mysql } = stack
    const schema = await freshSchema(mysql, 'CREATE TABLE t (id INT PRIMARY KEY)')
    const ca = await readFile(mysql.caFile ?? '', 'utf8')
    const tls = { ca, verify: true, verifyName: false }
    const reading = await startReading(mysql, [`${schema}.t`], { settings: { tls } })
    await write(mysql, schema, ['INSERT INTO t VALUES (1)'])
    await reading.untilHead()
    await reading.end()
    assert.equal(reading.changes.length, 1)
    const unknown = await failureOf(mysql, `${schema}.t`, { tls: { verify: true } })
    assert.equal(unknown.kind, 'configuration')
    assert.match(unknown.remedy ?? '', /tls/)
  })

  test('a transaction with a tag is read once', async () => {
    const { mysql } = stack
    const schema = await freshSchema(mysql, 'CREATE TABLE t (id INT PRIMARY KEY)')
    const reading = await startReading(mysql, [`${schema}.t`])
    await write(mysql, schema, ["SET gtid_next = 'AUTOMATIC:harvest'", 'INSERT INTO t VALUES (1)'])
    await reading.untilHead()
    await reading.end()
    assert.match(reading.position, /:harvest:1/)
    const again = await startReading(mysql, [`${schema}.t`], { from: reading.position })
    await write(mysql, schema, ['INSERT INTO t VALUES (2)'])
    await again.untilHead()
    await again.end()
    assert.deepEqual(
      [...reading.changes, ...again.changes].map(({ key }) => key),
      ['[1]', '[2]'],
    )
  })

  test('an event that cannot be read stops the stream before its transaction, by name and place', async () => {
    const { mysql } = stack
    const schema = await freshSchema(mysql, 'CREATE TABLE t (id INT PRIMARY KEY)')
    const source = createMysqlSource(settingsOf(mysql), [`${schema}.t`])
    await write(mysql, schema, ['INSERT INTO t VALUES (1)'])
    const before = await source.head()
    await source.close()
    await write(mysql, schema, [
      'SET SESSION binlog_transaction_compression = ON',
      'INSERT INTO t VALUES (2)',
    ])
    const batches: SourceBatch[] = []
    const stopped = await failureOf(mysql, `${schema}.t`, {}, before, batches)
    assert.equal(stopped.kind, 'unsupported')
    assert.match(
      stopped.message,
      /TRANSACTION_PAYLOAD \(event type 40\).*in transaction [0-9a-f-]{36}:\d+, before binlog\.\d+:\d+/,
    )
    assert.match(stopped.remedy ?? '', /SET GLOBAL binlog_transaction_compression = OFF/)
    for (const { position } of batches) assert(source.covers(before, position))
  })

  test('an XA transaction passes in one phase, or without captured rows, and stops the stream otherwise', async () => {
    const { mysql } = stack
    const schema = await freshSchema(
      mysql,
      'CREATE TABLE t (id INT PRIMARY KEY)',
      'CREATE TABLE other (id INT PRIMARY KEY)',
    )
    const reading = await startReading(mysql, [`${schema}.t`])
    await write(mysql, schema, [
      "XA START 'a'",
      'INSERT INTO t VALUES (1)',
      "XA END 'a'",
      "XA COMMIT 'a' ONE PHASE",
    ])
    await write(mysql, schema, [
      "XA START 'b'",
      'INSERT INTO other VALUES (1)',
      "XA END 'b'",
      "XA PREPARE 'b'",
    ])
    await write(mysql, schema, ["XA COMMIT 'b'", 'INSERT INTO t VALUES (2)'])
    await reading.untilHead()
    await reading.end()
    assert.deepEqual(
      reading.changes.map(({ key }) => key),
      ['[1]', '[2]'],
    )
    assert.equal(reading.barriers.length, 0)
    await write(mysql, schema, ["XA START 'c'", 'INSERT INTO t VALUES (3)', "XA END 'c'", "XA PREPARE 'c'"])
    const stopped = await failureOf(mysql, `${schema}.t`, {}, reading.position)
    await write(mysql, schema, ["XA COMMIT 'c'"])
    assert.equal(stopped.kind, 'unsupported')
    assert.match(stopped.message, /XA transaction that was prepared with rows of/)
  })
})

const waitMsMax = 30_000

class Reading {
  readonly from: Position
  readonly batches: SourceBatch[] = []
  readonly #source: ReturnType<typeof createMysqlSource>
  readonly #server: SqlServer
  readonly #control = new AbortController()
  readonly #running: Promise<void>
  #wake = Promise.withResolvers<undefined>()
  #failure: unknown

  constructor(source: ReturnType<typeof createMysqlSource>, server: SqlServer, from: Position) {
    this.#source = source
    this.#server = server
    this.from = from
    this.#running = this.#run()
  }

  get changes(): readonly Change[] {
    return this.batches.flatMap(({ changes }) => changes)
  }

  get barriers(): readonly Barrier[] {
    return this.batches.flatMap(({ barriers }) => barriers)
  }

  get position(): Position {
    return this.batches.at(-1)?.position ?? this.from
  }

  /** Until everything that the server has executed now was given. */
  async untilHead(): Promise<void> {
    const asking = createMysqlSource(settingsOf(this.#server), [])
    const head = await asking.head()
    await asking.close()
    const late = AbortSignal.timeout(waitMsMax)
    while (!this.#source.covers(this.position, head)) {
      if (this.#failure !== undefined) throw this.#failure
      if (late.aborted) throw new Error(`at ${this.position}, the head is ${head}`)
      await Promise.race([this.#wake.promise, once(late, 'abort')])
    }
  }

  async end(): Promise<void> {
    this.#control.abort()
    await this.#running
    await this.#source.close()
    if (this.#failure !== undefined) throw this.#failure
  }

  async #run(): Promise<void> {
    try {
      for await (const batch of this.#source.read(this.from, this.#control.signal)) {
        this.batches.push(batch)
        this.#notify()
      }
    } catch (error) {
      this.#failure = error
      this.#notify()
    }
  }

  #notify(): void {
    this.#wake.resolve(undefined)
    this.#wake = Promise.withResolvers()
  }
}

/** From the server's head, unless a place is given. */
async function startReading(
  server: SqlServer,
  tables: readonly string[],
  options: { readonly from?: Position; readonly settings?: Partial<MysqlSettings> } = {},
): Promise<Reading> {
  const source = createMysqlSource({ ...settingsOf(server), ...options.settings }, tables)
  return new Reading(source, server, options.from ?? (await source.head()))
}

function settingsOf(server: SqlServer): MysqlSettings {
  return {
    name: 'test',
    host: server.host,
    port: server.port,
    user: 'cdc',
    password: 'cdcpass',
    heartbeatMs: 500,
  }
}

/** What reading fails with. */
async function failureOf(
  server: SqlServer,
  table: string,
  settings: Partial<MysqlSettings>,
  from = '',
  batches: SourceBatch[] = [],
): Promise<Failure> {
  const source = createMysqlSource({ ...settingsOf(server), ...settings }, [table])
  const position = from.startsWith('{') ? (from as Position) : source.parse(from)
  try {
    for await (const batch of source.read(position, AbortSignal.timeout(waitMsMax))) batches.push(batch)
  } catch (error) {
    assert(error instanceof Failure, String(error))
    return error
  } finally {
    await source.close()
  }
  throw new Error('reading did not fail')
}

let schemas = 0

async function freshSchema(server: SqlServer, ...statements: readonly string[]): Promise<string> {
  const schema = `stream_${process.pid}_${++schemas}`
  await server.execute(`CREATE DATABASE ${schema} CHARACTER SET utf8mb4`)
  await write(server, schema, statements)
  return schema
}

/** In one session. */
async function write(server: SqlServer, schema: string, statements: readonly string[]): Promise<void> {
  await server.execute(`USE ${schema}`, ...statements)
}

async function ask(server: SqlServer, sql: string): Promise<readonly Record<string, unknown>[]> {
  const connection = await server.connect()
  try {
    const [rows] = await connection.query(sql)
    return rows as readonly Record<string, unknown>[]
  } finally {
    await connection.end()
  }
}

async function killDumps(server: SqlServer): Promise<void> {
  const sql = "SELECT id FROM information_schema.PROCESSLIST WHERE command LIKE 'Binlog Dump%'"
  const dumps = await ask(server, sql)
  assert(dumps.length > 0, 'there is a dump to kill')
  for (const dump of dumps) await server.execute(`KILL ${String(Object.values(dump)[0])}`)
}

/** `update [2] 2,"old" 2,"new"` */
function describe({ op, key, table, before, after }: Change): string {
  const show = (row: typeof before): string => {
    if (row === undefined) return '-'
    return unpackRow(row, table.columns.length)
      .map((cell) => (cell === null ? 'NULL' : textOf(cell ?? '')))
      .join(',')
  }
  return `${op} ${key} ${show(before)} ${show(after)}`
}

/** Passes bytes on, until it is told to swallow those of the connections that it has. */
async function startProxy(target: number) {
  const pairs: (readonly [Socket, Socket])[] = []
  const server = createServer((client) => {
    const upstream = connectSocket(target, '127.0.0.1')
    client.pipe(upstream)
    upstream.pipe(client)
    for (const socket of [client, upstream]) socket.on('error', () => socket.destroy())
    pairs.push([client, upstream])
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  assert(address !== null && typeof address === 'object')
  return {
    port: address.port,
    freeze(): void {
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream)
        upstream.unpipe(client)
        upstream.resume()
      }
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const socket of pairs.flat()) socket.destroy()
      server.close()
    },
  }
}
