/** Reads of tables beside the stream, while branches are on their way from the binlog to the tables. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { after, before, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import type { Key } from '../../src/change/change.ts'
import { textOf, unpackRow } from '../../src/change/row.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import { connect, hangUp } from '../../src/source/mysql/server/connection.ts'
import { parseGtidSet } from '../../src/source/mysql/gtid/gtid-set.ts'
import { withView } from '../../src/source/mysql/reading/read-view.ts'
import { XaEnds } from '../../src/source/mysql/transactions/xa-ends.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { alive } from '../support/open-source.ts'
import { changesOf, freshSchema, settingsOf } from '../support/source-reading.ts'
import { detach, endBranch, prepareBranch } from '../support/xa.ts'

const mariadbs = ['mariadb', 'mariadb@11.8'] as const
const names = ['mysql', 'mysql@8.0', ...mariadbs] as const
const table = 'CREATE TABLE t (id INT PRIMARY KEY, n INT)'

let stack: Stack

before(async () => {
  stack = await startStack({ servers: names })
})
after(() => stack?.[Symbol.asyncDispose]())

for (const name of mariadbs)
  test(`${name}: a read waits while a branch is prepared whose COMMIT was read, and for no other branch`, async () => {
    const server = stack.servers.get(name) as SqlServer
    const schema = await freshSchema(server, table)
    await prepareBranch(server, "'other'", [`INSERT INTO ${schema}.t VALUES (1, 1)`])
    await prepareBranch(server, "'late','b',7", [`INSERT INTO ${schema}.t VALUES (2, 2)`])
    const source = createMysqlSource(settingsOf(server), [])
    const includes = await source.head()
    await source.close()
    const xaEnds = new XaEnds()
    xaEnds.begin(() => parseGtidSet('0-1-999999999'), 0)
    const read = async () => {
      const connection = await connect(settingsOf(server))
      try {
        const view = { connection, flavor: 'mariadb', includes, xaEnds } as const
        const ask = () => connection.query<RowDataPacket[]>(`SELECT id FROM ${schema}.t`)
        return (await withView(view, alive(), ask))[0].map(({ id }) => Number(id))
      } finally {
        hangUp(connection)
      }
    }
    assert.deepEqual(await read(), [])
    xaEnds.committed(`${hex('late')}:${hex('b')}:7`)
    let isRead = false
    const asked = await timesAsked(server)
    const reading = read().finally(() => (isRead = true))
    while ((await timesAsked(server)) < asked + 4) await delay(20)
    assert.equal(isRead, false)
    await endBranch(server, "XA COMMIT 'late','b',7")
    assert.deepEqual(await reading, [2])
    await endBranch(server, "XA ROLLBACK 'other'")
  })

for (const name of names)
  test(`${name}: what was captured is seen by a read that includes it, XA or not`, async () => {
    const server = stack.servers.get(name) as SqlServer
    const schema = await freshSchema(server, table, 'INSERT INTO t VALUES (1, 0), (2, 0), (3, 0)')
    const source = createMysqlSource(settingsOf(server), [`${schema}.t`])
    const end = new AbortController()
    const from = await source.head()
    const steps = 40
    const writers = Promise.all([
      plainWriter(server, schema, steps),
      branchWriter(server, schema, 2, steps),
      branchWriter(server, schema, 3, steps),
    ])
    const seen = new Map<Key, number>()
    for await (const batch of source.read(from, AbortSignal.any([end.signal, alive()]))) {
      for (const { key, after: row } of changesOf(batch)) if (row !== undefined) seen.set(key, numberIn(row))
      const { rows } = await source.rows(
        { table: `${schema}.t`, keys: ['[1]', '[2]', '[3]'] as Key[], includes: batch.position },
        alive(),
      )
      for (const { key, row } of rows)
        assert(numberIn(row) >= (seen.get(key) ?? 0), `${key}: ${numberIn(row)} after ${seen.get(key)}`)
      if ([...seen.values()].filter((number) => number === steps).length === 3) end.abort()
    }
    await writers
    await source.close()
    assert.deepEqual([...seen.values()], [steps, steps, steps])
  })

async function plainWriter(server: SqlServer, schema: string, steps: number): Promise<void> {
  const session = await server.connect()
  for (let step = 1; step <= steps; step++)
    await session.query(`UPDATE ${schema}.t SET n = ${step} WHERE id = 1`)
  await session.end()
}

async function branchWriter(server: SqlServer, schema: string, id: number, steps: number): Promise<void> {
  const xid = `'${schema}${id}'`
  for (let step = 1; step <= steps; step++) {
    const session = await server.connect()
    const update = `UPDATE ${schema}.t SET n = ${step} WHERE id = ${id}`
    for (const sql of [`XA START ${xid}`, update, `XA END ${xid}`, `XA PREPARE ${xid}`])
      await session.query(sql)
    if (step % 2 === 0) await detach(server, session)
    else await session.query(`XA COMMIT ${xid}`)
    if (step % 2 === 0) await endBranch(server, `XA COMMIT ${xid}`)
    else await session.end()
  }
}

function numberIn(row: Parameters<typeof unpackRow>[0]): number {
  const [, number] = unpackRow(row, 2)
  return Number(textOf(number ?? ''))
}

async function timesAsked(server: SqlServer): Promise<number> {
  const connection = await server.connect()
  const [[row]] = await connection.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Com_xa_recover'")
  await connection.end()
  return Number(row?.['Value'])
}

function hex(text: string): string {
  return Buffer.from(text).toString('hex')
}
