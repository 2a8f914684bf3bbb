import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after as atEnd, before as atStart, test } from 'node:test'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { startFreezingProxy } from '../support/freezing-proxy.ts'
import { failureOfReading, freshSchema, settingsOf, startReading, write } from '../support/source-reading.ts'
import { killDumps, purgeBinlog } from '../support/dumps.ts'

const names = ['mysql', 'mysql@8.0', 'mysql@5.7', 'mariadb', 'mariadb@11.8'] as const

let stack: Stack

atStart(async () => {
  stack = await startStack({ servers: names })
})
atEnd(() => stack?.[Symbol.asyncDispose]())

for (const name of names) {
  const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer

  test(`${name}: a killed dump and a restarted server are survived without a gap or a repetition`, async () => {
    const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY)')
    const reading = await startReading(serverOf(), [`${schema}.t`])
    await write(serverOf(), schema, ['INSERT INTO t VALUES (1)'])
    await reading.untilHead()
    await killDumps(serverOf())
    await write(serverOf(), schema, ['INSERT INTO t VALUES (2)'])
    await reading.untilHead()
    if (name.startsWith('mariadb')) {
      // MySQL waits ten seconds for the dumps of its replicas when it is stopped.
      await serverOf().stop()
      await serverOf().start()
    }
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

  test(`${name}: wrong credentials and unknown transactions are refused with a remedy`, async () => {
    const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY)')
    const refused = await failureOfReading(serverOf(), `${schema}.t`, { settings: { password: 'wrong' } })
    assert.equal(refused.kind, 'unauthorised')
    assert.match(refused.message, /Access denied/)
    assert.doesNotMatch(`${refused.message}${refused.remedy}`, /wrong|cdcpass/)
    const future = name.startsWith('mariadb') ? '0-1-99999999' : '11111111-1111-1111-1111-111111111111:1-5'
    const lacking = await failureOfReading(serverOf(), `${schema}.t`, {
      settings: { catchUpMs: 300 },
      from: future,
    })
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
    await purgeBinlog(serverOf())
    const gone = await failureOfReading(serverOf(), `${schema}.t`, { from })
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

  test(`${name}: connections that break at any moment neither lose nor repeat a change`, async () => {
    const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY, filler VARCHAR(200))')
    await using proxy = await startFreezingProxy(serverOf().port)
    const settings = { port: proxy.port }
    const reading = await startReading(serverOf(), [`${schema}.t`], { settings })
    const ids = Array.from({ length: 12 }, (_, turn) =>
      Array.from({ length: 800 }, (__, at) => turn * 800 + at),
    )
    for (const [turn, group] of ids.entries()) {
      const rows = group.map((id) => `(${id}, '${'x'.repeat(180)}')`)
      await write(serverOf(), schema, ['BEGIN', `INSERT INTO t VALUES ${rows.join(',')}`, 'COMMIT'])
      if (turn % 2 === 0) await reading.untilNext()
      proxy.cut()
    }
    await reading.untilHead()
    await reading.end()
    assert.deepEqual(
      reading.changes.map(({ key }) => key),
      ids.flat().map((id) => `[${id}]`),
    )
  })

  test(`${name}: a connection that went silent is replaced`, async () => {
    const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY)')
    await using proxy = await startFreezingProxy(serverOf().port)
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

/** What one connection asks at its beginning, one of each part. */
const unanswerable = [
  { sql: 'SHOW GLOBAL VARIABLES', what: "reading the server's variables" },
  { sql: 'information_schema.STATISTICS', what: 'reading the keys of TABLE' },
  { sql: '_heartbeat_period', what: 'preparing to stream the binlog' },
] as const

for (const name of ['mysql', 'mariadb'] as const)
  test(`${name}: a question that is never answered is given up, and meanwhile said`, async () => {
    const server = stack.servers.get(name) as SqlServer
    const schema = await freshSchema(server, 'CREATE TABLE t (id INT PRIMARY KEY)')
    const questions = [...unanswerable]
    await using proxy = await startFreezingProxy(server.port, (sent) => {
      if (!sent.includes(questions[0]?.sql ?? 'nothing else')) return
      questions.shift()
      proxy.freeze()
    })
    const source = createMysqlSource(settingsOf(server), [])
    const from = await source.head()
    await source.close()
    const settings = { port: proxy.port, answerTimeoutMs: 800 }
    const reading = await startReading(server, [`${schema}.t`], { from, settings })
    await write(server, schema, ['INSERT INTO t VALUES (1)'])
    await reading.untilHead()
    await reading.end()
    const told = reading.told.map(({ message }) => message)
    for (const { what } of unanswerable) {
      const given = `${what.replace('TABLE', `${schema}.t`)}: 127.0.0.1:${proxy.port} gave no answer within 0.8 s`
      assert(told.includes(given), `${given}\n${told.join('\n')}`)
    }
    assert(told.includes(`asking 127.0.0.1:${proxy.port} whether the binlog can be read on from here`))
    assert(told.includes(`preparing to read the binlog of 127.0.0.1:${proxy.port}`))
    assert(reading.told.every(({ kind }) => kind === 'transient'))
  })

test('what nobody has, and nobody is away who might, is not waited for', async () => {
  const [one, other] = [stack.servers.get('mariadb'), stack.servers.get('mariadb@11.8')] as SqlServer[]
  assert(one !== undefined && other !== undefined)
  const settings = { catchUpMs: 300, hosts: [`127.0.0.1:${other.port}`] }
  await other.execute('SET GLOBAL read_only = 1')
  try {
    const lost = await failureOfReading(one, 's.t', { settings, from: '0-4242-99999999' })
    assert.equal(lost.kind, 'lost')
    assert.match(lost.message, /does not have .*0-4242-99999999/)
  } finally {
    await other.execute('SET GLOBAL read_only = 0')
  }
})

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
  const unknown = await failureOfReading(mysql, `${schema}.t`, {
    settings: { tls: { verify: true, verifyName: true } },
  })
  assert.equal(unknown.kind, 'configuration')
  assert.match(unknown.remedy ?? '', /tls/)
})
