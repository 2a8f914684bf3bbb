/** XA transactions in two phases: given once each, when they commit, whatever happens between PREPARE and COMMIT. */
import assert from 'node:assert/strict'
import { after as atEnd, before as atStart, test } from 'node:test'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { Change } from '../../src/change/change.ts'
import { countOf } from '../../src/change/records.ts'
import { parsePosition, showPosition } from '../../src/source/mysql/gtid/position.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { killDumps, purgeBinlog } from '../support/dumps.ts'
import { Random } from '../support/random.ts'
import { replayed, selected } from '../support/replay.ts'
import { ReplicatedPair } from '../support/replicated-pair.ts'
import { describeChange, freshSchema, settingsOf, startReading, write } from '../support/source-reading.ts'
import { detach, endBranch, prepareBranch } from '../support/xa.ts'

const names = ['mysql', 'mysql@8.0', 'mysql@5.7', 'mariadb', 'mariadb@11.8'] as const

let stack: Stack

atStart(async () => {
  stack = await startStack({ servers: [...names, 'mysql@9.7', 'mariadb@10.11'] })
})
atEnd(() => stack?.[Symbol.asyncDispose]())

for (const name of names) {
  const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer

  test(`${name}: branches among other transactions are given once each, however often reading begins anew`, async () => {
    const server = serverOf()
    const schema = await freshSchema(server, table, 'CREATE TABLE other (id INT PRIMARY KEY)')
    const whole = await startReading(server, [`${schema}.t`])
    await using work = await Work.start(server, schema, 11)
    let reading = await startReading(server, [`${schema}.t`], { from: whole.from })
    const parts: Change[] = []
    let anew = 0
    for (let step = 0; step < 240; step++) {
      await work.step()
      if (step % 12 !== 11) continue
      await reading.untilHead()
      if (work.isAnyPrepared) anew++
      if (step % 24 === 11) await killDumps(server)
      else {
        await reading.end()
        parts.push(...reading.changes)
        assert.deepEqual(reading.barriers, [])
        reading = await startReading(server, [`${schema}.t`], { from: reading.position })
      }
    }
    await work.end()
    await reading.untilHead()
    await reading.end()
    parts.push(...reading.changes)
    assert(anew > 10, `${anew} times with prepared branches`)
    assert.deepEqual(reading.barriers, [])
    assert.equal(parsePosition(reading.position).open, undefined)
    await whole.untilHead()
    await whole.end()
    assert.deepEqual(parts.map(describeChange), whole.changes.map(describeChange))
    assert.deepEqual(replayed(parts), await selected(server, `${schema}.t`))
  })

  test(`${name}: a large branch comes in pieces, and each of them is a place to go on from`, async () => {
    const server = serverOf()
    const schema = await freshSchema(server, table)
    const first = await startReading(server, [`${schema}.t`])
    const work = [0, 1, 2, 3].map((at) => `INSERT INTO t VALUES ${manyRows(at * 1500)}`)
    await prepare(server, schema, "'large'", work)
    await prepare(server, schema, "'small'", ["INSERT INTO t VALUES (9000, 'small')"])
    await write(server, schema, ["INSERT INTO t VALUES (9001, 'between')"])
    await endBranch(server, "XA COMMIT 'large'")
    await write(server, schema, ["UPDATE t SET word = 'after' WHERE id = 7"])
    const once = ["XA START 'once'", `INSERT INTO t VALUES ${manyRows(10_000)}`, "XA END 'once'"]
    await write(server, schema, [...once, "XA COMMIT 'once' ONE PHASE"])
    await first.untilHead()
    await first.end()
    const all = first.changes.map(describeChange)
    assert.equal(all.length, 7502)
    const inside = first.batches.filter(({ position }) => parsePosition(position).inside !== undefined)
    assert(inside.length >= 3, `${inside.length} pieces`)
    for (const batch of first.batches) assert(batch.bytes < 600 * 1024, `a piece of ${batch.bytes} bytes`)
    let given = 0
    for (const batch of first.batches) {
      given += countOf(batch.records)
      const rest = await startReading(server, [`${schema}.t`], { from: batch.position })
      await rest.untilHead()
      await rest.end()
      assert.deepEqual(rest.changes.map(describeChange), all.slice(given), batch.position)
      assert.deepEqual(rest.barriers, [])
    }
    assert.match(showPosition(first.position), /, and prepared XA transactions: 1, the oldest of \d{4}-/)
    const findings = async (user: string, password: string) => {
      const source = createMysqlSource({ ...settingsOf(server), user, password }, [`${schema}.t`])
      const found = await source.examine([`${schema}.t`])
      await source.close()
      return found.filter(({ fact }) => fact === 'prepared XA transactions').map(({ level }) => level)
    }
    assert.deepEqual(await findings('root', ''), ['ok'])
    // MySQL 8 lets only some ask.
    assert.equal((await findings('cdc', 'cdcpass')).length, ['mysql', 'mysql@8.0'].includes(name) ? 0 : 1)
    await endBranch(server, "XA ROLLBACK 'small'")
    assert.deepEqual(await findings('root', ''), [])
  })

  test(`${name}: a branch from before the beginning has the tables read again when it commits`, async () => {
    const server = serverOf()
    const schema = await freshSchema(server, table)
    await prepare(server, schema, "'early'", ["INSERT INTO t VALUES (1, 'early')"])
    await prepare(server, schema, "'never'", ["INSERT INTO t VALUES (2, 'never')"])
    const reading = await startReading(server, [`${schema}.t`])
    await endBranch(server, "XA ROLLBACK 'never'")
    await endBranch(server, "XA COMMIT 'early'")
    await reading.untilHead()
    await reading.end()
    assert.deepEqual(reading.changes, [])
    assert.deepEqual(
      reading.barriers.map(({ table: barred }) => barred),
      [`${schema}.t`],
    )
  })

  test(`${name}: so has one whose PREPARE is purged, and the stream goes on`, async () => {
    const server = serverOf()
    const schema = await freshSchema(server, table)
    const first = await startReading(server, [`${schema}.t`])
    await prepare(server, schema, "'old'", ["INSERT INTO t VALUES (1, 'old')"])
    await first.untilHead()
    await first.end()
    assert.equal(parsePosition(first.position).open?.length, 1)
    await server.execute('FLUSH BINARY LOGS')
    await purgeBinlog(server)
    const rest = await startReading(server, [`${schema}.t`], { from: first.position })
    await write(server, schema, ["INSERT INTO t VALUES (2, 'new')"])
    await endBranch(server, "XA COMMIT 'old'")
    await rest.untilHead()
    await rest.end()
    assert.deepEqual(rest.changes.map(describeChange), ['insert [2] - 2,"new"'])
    assert.deepEqual(
      rest.barriers.map(({ table: barred }) => barred),
      [`${schema}.t`],
    )
  })
}

for (const name of ['mysql', 'mariadb'] as const)
  test(`${name}: a branch outlives a crash of the server`, async () => {
    const server = stack.servers.get(name) as SqlServer
    const schema = await freshSchema(server, table)
    const reading = await startReading(server, [`${schema}.t`])
    await prepare(server, schema, "'kept'", ["INSERT INTO t VALUES (1, 'kept')"])
    await write(server, schema, ["INSERT INTO t VALUES (2, 'between')"])
    await reading.untilHead()
    await server.kill()
    await server.start()
    await endBranch(server, "XA COMMIT 'kept'")
    await reading.untilHead()
    await reading.end()
    assert.deepEqual(reading.changes.map(describeChange), [
      'insert [2] - 2,"between"',
      'insert [1] - 1,"kept"',
    ])
    assert.deepEqual(reading.barriers, [])
  })

test('a branch of more rows than memory is kept for goes through a scratch file', async () => {
  const { mysql } = stack
  const schema = await freshSchema(mysql, 'CREATE TABLE t (id INT PRIMARY KEY, word LONGTEXT)')
  const reading = await startReading(mysql, [`${schema}.t`])
  const numbers =
    'WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < 500) SELECT id FROM n'
  const work = Array.from(
    { length: 8 },
    (_, at) => `INSERT INTO t SELECT ${at * 500} + id, REPEAT('x', 20000) FROM (${numbers}) AS numbers`,
  )
  await prepare(mysql, schema, "'huge'", work)
  await write(mysql, schema, ["INSERT INTO t VALUES (0, 'between')"])
  await reading.untilHead()
  assert.equal(reading.changes.length, 1)
  await endBranch(mysql, "XA COMMIT 'huge'")
  await reading.untilHead()
  await reading.end()
  assert.deepEqual(
    reading.changes.map(({ key }) => key),
    Array.from({ length: 4001 }, (_, id) => `[${id}]`),
  )
  for (const { bytes } of reading.batches) assert(bytes < 600 * 1024, `a piece of ${bytes} bytes`)
})

for (const [leader, follower] of [
  ['mysql', 'mysql@9.7'],
  ['mariadb', 'mariadb@10.11'],
] as const)
  test(`${leader}: a branch that was prepared on one server is given by another one when it commits`, async () => {
    const [one, other] = [leader, follower].map((name) => stack.servers.get(name) as SqlServer)
    assert(one !== undefined && other !== undefined)
    const schema = `moved_${process.pid}`
    await one.execute(...(leader === 'mysql' ? ['RESET BINARY LOGS AND GTIDS'] : ['RESET MASTER']))
    await other.execute(...(leader === 'mysql' ? ['RESET BINARY LOGS AND GTIDS'] : ['RESET MASTER']))
    const pair = await ReplicatedPair.start(one, other, schema)
    await one.execute(`CREATE DATABASE ${schema}`, `USE ${schema}`, table)
    const first = await startReading(one, [`${schema}.t`])
    await prepare(one, schema, "'moved'", ["INSERT INTO t VALUES (1, 'moved')"])
    await write(one, schema, ["INSERT INTO t VALUES (2, 'between')"])
    await first.untilHead()
    await first.end()
    assert.deepEqual(first.changes.map(describeChange), ['insert [2] - 2,"between"'])
    await pair.untilFollowed()
    const rest = await startReading(other, [`${schema}.t`], { from: first.position })
    await write(one, schema, ["INSERT INTO t VALUES (3, 'behind')"])
    await endBranch(one, "XA COMMIT 'moved'")
    await pair.untilFollowed()
    await rest.untilHead()
    await rest.end()
    assert.deepEqual(rest.changes.map(describeChange), ['insert [3] - 3,"behind"', 'insert [1] - 1,"moved"'])
    assert.deepEqual(rest.barriers, [])
    await pair.separate()
  })

const table = 'CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(200))'

function manyRows(from: number): string {
  return Array.from({ length: 1500 }, (_, at) => `(${from + at}, '${'x'.repeat(180)}')`).join(',')
}

/** Plain transactions and branches, which end in another order than they began in, in the same session or another one. */
class Work {
  readonly #random: Random
  readonly #server: SqlServer
  readonly #schema: string
  readonly #connection: Connection
  readonly #open: { readonly xid: string; readonly ids: readonly number[]; readonly session: Connection }[] =
    []
  /** Rows that no branch holds. */
  readonly #free = new Set<number>()
  #last = 0

  private constructor(server: SqlServer, schema: string, seed: number, connection: Connection) {
    this.#server = server
    this.#schema = schema
    this.#random = new Random(seed)
    this.#connection = connection
  }

  static async start(server: SqlServer, schema: string, seed: number): Promise<Work> {
    const connection = await server.connect()
    await connection.query(`USE ${schema}`)
    return new Work(server, schema, seed, connection)
  }

  get isAnyPrepared(): boolean {
    return this.#open.length > 0
  }

  async step(): Promise<void> {
    const kind = this.#random.below(10)
    if (kind < 4) for (const sql of this.#statements().sql) await this.#connection.query(sql)
    else if (kind < 7 && this.#open.length < 12) await this.#prepare()
    else await this.#endOne()
  }

  async end(): Promise<void> {
    while (this.#open.length > 0) await this.#endOne()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
    this.#connection.destroy()
  }

  async #prepare(): Promise<void> {
    // Names come again once their branch ended, and are bytes of any kind.
    const all = [
      "'a'",
      "'b','c'",
      "X'00ff27','b',7",
      "'d'",
      "'e'",
      "X'22'",
      "'f'",
      "'g'",
      "'h'",
      "'i'",
      "'j'",
      "'k'",
    ]
    const xid = all.find((each) => this.#open.every((one) => one.xid !== each))
    assert(xid !== undefined)
    const session = await this.#server.connect()
    const { sql, ids } =
      this.#random.below(8) === 0
        ? { sql: [`INSERT INTO other VALUES (${++this.#last})`], ids: [] }
        : this.#statements()
    const spoilt = [
      'SAVEPOINT s',
      `INSERT INTO t VALUES (${++this.#last}, 'undone')`,
      'ROLLBACK TO SAVEPOINT s',
    ]
    const savepoint = this.#random.below(3) === 0 ? spoilt : []
    const statements = [`USE ${this.#schema}`, `XA START ${xid}`, ...savepoint, ...sql, `XA END ${xid}`]
    for (const statement of statements) await session.query(statement)
    if (this.#random.below(6) === 0) {
      await session.query(`XA COMMIT ${xid} ONE PHASE`)
      for (const id of ids) this.#free.add(id)
      return session.destroy()
    }
    await session.query(`XA PREPARE ${xid}`)
    for (const id of ids) this.#free.delete(id)
    this.#open.push({ xid, ids, session })
  }

  async #endOne(): Promise<void> {
    const [one] = this.#open.splice(this.#random.below(Math.max(1, this.#open.length)), 1)
    if (one === undefined) return
    const sql = `XA ${this.#random.below(3) === 0 ? 'ROLLBACK' : 'COMMIT'} ${one.xid}`
    if (this.#random.below(2) === 0) {
      await one.session.query(sql)
      one.session.destroy()
    } else {
      await detach(this.#server, one.session)
      await endBranch(this.#server, sql)
    }
    // Which of them are there is asked: a branch that was rolled back inserted nothing.
    const [rows] = await this.#connection.query<RowDataPacket[]>('SELECT id FROM t WHERE id IN (?)', [
      [...one.ids, -1],
    ])
    for (const row of rows) this.#free.add(Number(row['id']))
  }

  /** Some changes, and the rows that they touch. */
  #statements(): { readonly sql: readonly string[]; readonly ids: readonly number[] } {
    const ids = new Set<number>()
    const sql = Array.from({ length: 1 + this.#random.below(4) }, () => {
      const known = [...this.#free].filter((id) => !ids.has(id))
      const id = known.length === 0 || this.#random.below(2) === 0 ? ++this.#last : this.#random.pick(known)
      ids.add(id)
      if (!this.#free.has(id)) {
        this.#free.add(id)
        return `INSERT INTO t VALUES (${id}, 'w${this.#random.below(1000)}')`
      }
      if (this.#random.below(3) > 0) return `UPDATE t SET word = 'u${this.#last++}' WHERE id = ${id}`
      this.#free.delete(id)
      return `DELETE FROM t WHERE id = ${id}`
    })
    return { sql, ids: [...ids] }
  }
}

async function prepare(
  server: SqlServer,
  schema: string,
  xid: string,
  work: readonly string[],
): Promise<void> {
  await prepareBranch(server, xid, [`USE ${schema}`, ...work])
}
