import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import type { Key } from '../../src/change/change.ts'
import { Failure } from '../../src/change/failure.ts'
import { textOf, unpackRow } from '../../src/change/row.ts'
import type { ReadsSettings } from '../../src/source/mysql/server/connection.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { alive } from '../support/open-source.ts'
import { ReplicatedPair } from '../support/replicated-pair.ts'
import { settingsOf } from '../support/source-reading.ts'

suite('mariadb: rows that are read on a replica', () => {
  let stack: Stack
  let pair: ReplicatedPair
  let application: Connection
  const serverOf = (name: string): SqlServer => stack.servers.get(name) as SqlServer
  before(async () => {
    stack = await startStack({ servers: ['mariadb', 'mariadb@10.11'] })
    pair = await ReplicatedPair.start(serverOf('mariadb'), serverOf('mariadb@10.11'), 'far')
    application = await pair.connect()
    await application.query('CREATE DATABASE far')
    await application.query('CREATE TABLE far.t (id INT PRIMARY KEY, name VARCHAR(20))')
    await application.query("INSERT INTO far.t VALUES (1, 'first')")
    await pair.untilFollowed()
  })
  after(async () => {
    application?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  function open(reads: Omit<ReadsSettings, 'server'>): ReturnType<typeof createMysqlSource> {
    const server = settingsOf(pair.follower)
    return createMysqlSource({ ...settingsOf(pair.leader), reads: { server, ...reads } }, ['far.t'])
  }

  test('are seen when the replica has them, and not before', async () => {
    const source = open({ waitMs: 30_000, otherwise: 'wait' })
    assert.equal(await nameIn(source), '"first"')
    await pair.separate()
    await application.query("UPDATE far.t SET name = 'second' WHERE id = 1")
    const reading = nameIn(source)
    const sooner = await Promise.race([reading, untilWaitedFor(pair.follower)])
    assert.equal(sooner, undefined)
    await pair.follower.execute('START SLAVE')
    assert.equal(await reading, '"second"')
    await source.close()
  })

  test('come from the source where the replica is too far behind, if that is the policy, and are an error otherwise', async () => {
    await pair.separate()
    await application.query("UPDATE far.t SET name = 'third' WHERE id = 1")
    const lenient = open({ waitMs: 1000, otherwise: 'primary' })
    assert.equal(await nameIn(lenient), '"third"')
    const findings = await lenient.examine(['far.t'])
    assert.equal(findings.find(({ fact }) => fact === 'reads on the replica')?.level, 'warning')
    await lenient.close()
    const strict = open({ waitMs: 1000, otherwise: 'wait' })
    await assert.rejects(
      nameIn(strict),
      (error) => error instanceof Failure && error.kind === 'transient' && /within 1 s/.test(error.message),
    )
    await strict.close()
    await pair.follower.execute('START SLAVE')
    await pair.untilFollowed()
    const patient = open({ waitMs: 30_000, otherwise: 'wait' })
    assert.equal(await nameIn(patient), '"third"')
    const good = await patient.examine(['far.t'])
    assert.equal(good.find(({ fact }) => fact === 'reads on the replica')?.level, 'ok')
    await patient.close()
  })

  test('are given up by the server when it works at them for too long', async () => {
    const source = createMysqlSource({ ...settingsOf(pair.leader), readTimeoutMs: 1000 }, ['far.t'])
    const request = { tables: ['far.t'], includes: await source.head() }
    const question = {
      sql: 'SELECT id, SLEEP(30) FROM far.t WHERE id IN (:ids)',
      table: 'far.t',
      by: ['id'],
      keyLength: 1,
    }
    const slow = source.view(
      request,
      (view) => view.answers({ ...question, values: [['1']] }, alive()),
      alive(),
    )
    await assert.rejects(slow, (error) => error instanceof Failure && error.kind === 'transient')
    await source.close()
  })
})

/** The name in row 1, as a read sees it that includes all that the leader has now. */
async function nameIn(source: ReturnType<typeof createMysqlSource>): Promise<string> {
  const request = { table: 'far.t', keys: ['[1]' as Key], includes: await source.head() }
  const { rows, table } = await source.rows(request, alive())
  const [, name] = rows.flatMap(({ row }) => unpackRow(row, table.columns.length))
  return textOf(name ?? '')
}

/** Resolves when a read waits on the server for what it lacks. */
async function untilWaitedFor(server: SqlServer): Promise<undefined> {
  const connection = await server.connect()
  try {
    const sql = "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT MASTER_GTID_WAIT%'"
    for (;;) {
      const [rows] = await connection.query(sql)
      if (Array.isArray(rows) && rows.length > 0) return undefined
    }
  } finally {
    connection.destroy()
  }
}
