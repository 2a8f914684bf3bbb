/** Every way in which a connection to a server can be wrong: what is said, and what follows. */
import assert from 'node:assert/strict'
import { after as atEnd, before as atStart, test } from 'node:test'
import { createConnection, type Connection } from 'mysql2/promise'
import type { Failure, FailureKind } from '../../src/change/failure.ts'
import { BinlogDump } from '../../src/source/mysql/binlog/binlog-client.ts'
import { eventType } from '../../src/source/mysql/binlog/binlog-events.ts'
import { connect, hangUp, query, type MysqlSettings } from '../../src/source/mysql/server/connection.ts'
import { parseGtidSet } from '../../src/source/mysql/gtid/gtid-set.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import { failureOf } from '../../src/source/mysql/server/server-errors.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { startFreezingProxy } from '../support/freezing-proxy.ts'
import { failureOfReading, freshSchema, settingsOf, write, changesOf } from '../support/source-reading.ts'
import { ask } from '../support/ask.ts'
import { purgeBinlog } from '../support/dumps.ts'

const names = ['mysql', 'mysql@8.0', 'mysql@5.7', 'mariadb'] as const

let stack: Stack

atStart(async () => {
  stack = await startStack({ servers: names })
})
atEnd(() => stack?.[Symbol.asyncDispose]())

for (const name of names) {
  const isMariadb = name === 'mariadb'
  const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer

  test(`${name}: an account that is not let in says why`, async () => {
    const server = serverOf()
    const user = await freshUser(server, 'SELECT, REPLICATION SLAVE, REPLICATION CLIENT')
    const refused = async (settings: Partial<MysqlSettings> = {}) =>
      await connecting(server, { ...user, ...settings })
    assertFailure(await refused({ password: 'x' }), 'unauthorised', /Access denied/, /password/)
    assertFailure(await refused({ user: 'nobody' }), 'unauthorised', /Access denied/, /user/)
    await server.execute(`ALTER USER ${user.user}@'%' ACCOUNT LOCK`)
    assertFailure(await refused(), 'unauthorised', /locked/i, /ACCOUNT UNLOCK/)
    await server.execute(
      `ALTER USER ${user.user}@'%' ACCOUNT UNLOCK`,
      `ALTER USER ${user.user}@'%' PASSWORD EXPIRE`,
    )
    assertFailure(await refused(), 'unauthorised', /expired|SET PASSWORD/, /PASSWORD EXPIRE NEVER/)
    await server.execute(`ALTER USER ${user.user}@'%' IDENTIFIED BY 'p' REQUIRE SSL`)
    assertFailure(await refused(), 'unauthorised', /Access denied/, /tls/)
  })

  test(`${name}: a server that lets nobody in without encryption says so`, async (context) => {
    const server = serverOf()
    const caFile = isMariadb ? undefined : server.caFile
    if (caFile === undefined) return context.skip('this server has no certificate')
    const admin = await server.connect()
    await admin.query('SET GLOBAL require_secure_transport = ON')
    try {
      assertFailure(await connecting(server), 'configuration', /insecure transport/, /tls\.mode/)
    } finally {
      await admin.query('SET GLOBAL require_secure_transport = OFF')
      await admin.end()
    }
  })

  test(`${name}: a server without encryption says so to those who want it`, async (context) => {
    if (!isMariadb) return context.skip('this server has a certificate')
    const failure = await connecting(serverOf(), { tls: { verify: false, verifyName: false } })
    assertFailure(failure, 'configuration', /secure connection/, /TLS/)
  })

  test(`${name}: too many connections are waited for`, async () => {
    const server = serverOf()
    const user = await freshUser(server, 'SELECT')
    await server.execute(`ALTER USER ${user.user}@'%' WITH MAX_USER_CONNECTIONS 1`)
    const one = await createConnection({ host: server.host, port: server.port, ...user })
    assertFailure(await connecting(server, user), 'overload', /max_user_connections/, /MAX_USER_CONNECTIONS/)
    await one.end()
    const admin = await server.connect()
    await admin.query('SET GLOBAL max_connections = 10')
    const held: Connection[] = []
    try {
      assertFailure(
        await connectingToFull(server, held),
        'overload',
        /Too many connections/,
        /max_connections/,
      )
    } finally {
      await admin.query('SET GLOBAL max_connections = 151')
      for (const connection of [...held, admin]) connection.destroy()
    }
  })

  test(`${name}: missing grants are named`, async () => {
    const server = serverOf()
    const user = await freshUser(server, 'SELECT')
    const set = await executedOn(server)
    assertFailure(
      await dumping(server, set, { settings: user }),
      'unauthorised',
      /REPLICATION SLAVE/,
      /GRANT REPLICATION SLAVE/,
    )
  })

  test(`${name}: what error 1236 means is told by this server's words`, async () => {
    const server = serverOf()
    const schema = await freshSchema(server, 'CREATE TABLE t (id INT PRIMARY KEY)')
    const before = await executedOn(server)
    const future = before.replace(/\d+$/, '99999999')
    assertFailure(await dumping(server, future), 'lost', /1236/, /lacks transactions/)
    await write(server, schema, ['INSERT INTO t VALUES (1)', 'FLUSH BINARY LOGS', 'INSERT INTO t VALUES (2)'])
    await purgeBinlog(server)
    assertFailure(await dumping(server, before), 'lost', /purged/, /--reload/)
  })

  test(`${name}: another reader under the same id is told apart`, async () => {
    const server = serverOf()
    const set = await executedOn(server)
    const failure = await dumping(server, set, { during: () => readUnder(usualId, server) })
    assertFailure(failure, 'conflict', /same server_/, /serverId/)
  })

  test(`${name}: the binlog's files vanish under the dump`, async () => {
    const server = serverOf()
    const set = await executedOn(server)
    const reset = name === 'mysql' ? 'RESET BINARY LOGS AND GTIDS' : 'RESET MASTER'
    const failure = await dumping(server, set, {
      during: async () => await server.execute(reset, 'FLUSH BINARY LOGS'),
    })
    assertFailure(failure, 'lost', /could not find next log/, /--reload/)
  })
}

test('mariadb: an id that was chosen stops where another reader has it', async () => {
  const server = stack.mariadb
  const schema = await freshSchema(server, 'CREATE TABLE t (id INT PRIMARY KEY)')
  const source = createMysqlSource({ ...settingsOf(server), serverId: 4711 }, [`${schema}.t`])
  const read = async () => {
    for await (const batch of source.read(await source.head(), AbortSignal.timeout(180_000))) {
      assert.equal(changesOf(batch).length, 0)
      await readUnder(4711, server)
    }
  }
  await assert.rejects(read(), { kind: 'conflict', message: /same server_/ })
  await source.close()
})

test('mariadb: an id that was drawn at random gives way to another reader', async () => {
  const server = stack.mariadb
  const schema = await freshSchema(server, 'CREATE TABLE t (id INT PRIMARY KEY)')
  const ids: number[] = []
  await using proxy = await startFreezingProxy(server.port, (chunk) => ids.push(...idsIn(chunk)))
  const source = createMysqlSource({ ...settingsOf(server), port: proxy.port }, [`${schema}.t`])
  const end = new AbortController()
  const told: Failure[] = []
  const interrupted = (failure: Failure) => void told.push(failure)
  const signal = AbortSignal.any([end.signal, AbortSignal.timeout(180_000)])
  for await (const batch of source.read(await source.head(), signal, interrupted)) {
    if (changesOf(batch).length > 0) end.abort()
    else if (told.length > 0) await write(server, schema, ['INSERT INTO t VALUES (1)'])
    else await readUnder(ids[0] ?? 0, server)
  }
  await source.close()
  assert(end.signal.aborted, 'the change came')
  assert.equal(ids.length, 2)
  assert.notEqual(ids[0], ids[1])
  assert.match(told[0]?.message ?? '', new RegExp(`same server_.*going on under the id ${ids[1]}`))
})

for (const name of ['mysql', 'mysql@8.0', 'mariadb'] as const) {
  const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer

  test(`${name}: a server that goes down ends the stream, and the reader waits for it`, async () => {
    const server = serverOf()
    const schema = await freshSchema(server, 'CREATE TABLE t (id INT PRIMARY KEY)')
    const source = createMysqlSource(settingsOf(server), [`${schema}.t`])
    const end = new AbortController()
    const told: Failure[] = []
    let stopped: Promise<void> | undefined
    const interrupted = (failure: Failure) => {
      told.push(failure)
      if (/ECONNREFUSED/.test(failure.message)) end.abort()
    }
    for await (const batch of source.read(await source.head(), end.signal, interrupted)) {
      assert.equal(changesOf(batch).length, 0)
      stopped ??= server.stop()
    }
    await stopped
    await server.start()
    await source.close()
    for (const { kind } of told) assert.equal(kind, 'transient')
    assert.match(told[0]?.message ?? '', /ended the (stream|connection)|shutdown/i)
  })
}

test('where several servers cannot be read, all are named, and one that may come back is waited for', async () => {
  const { mysql } = stack
  const told: Failure[] = []
  const settings = { ...settingsOf(mysql), password: 'x', hosts: ['127.0.0.1:1'] }
  const source = createMysqlSource(settings, [])
  const end = new AbortController()
  const interrupted = (failure: Failure) => {
    told.push(failure)
    end.abort()
  }
  const from = source.parse('11111111-1111-1111-1111-111111111111:1-5')
  for await (const batch of source.read(from, end.signal, interrupted)) assert.fail(batch.position)
  await source.close()
  assert.equal(told[0]?.kind, 'transient')
  assert.match(told[0]?.message ?? '', /ECONNREFUSED.*Access denied/)
  const refused = await failureOfReading(mysql, 's.t', { settings: { password: 'x' } })
  assert.equal(refused.kind, 'unauthorised')
})

function assertFailure(failure: Failure, kind: FailureKind, message: RegExp, remedy: RegExp): void {
  assert.equal(failure.kind, kind, failure.message)
  assert.match(failure.message, message)
  assert.match(failure.remedy ?? '', remedy)
}

/** What connecting, and the first query, fail with. */
async function connecting(server: SqlServer, settings: Partial<MysqlSettings> = {}): Promise<Failure> {
  try {
    const connection = await connect({ ...settingsOf(server), ...settings })
    try {
      await query(connection, 'SELECT @@version AS version')
    } finally {
      hangUp(connection)
    }
  } catch (error) {
    return failureOf(error, 'connecting')
  }
  throw new Error('connecting did not fail')
}

interface DumpOptions {
  readonly settings?: Partial<MysqlSettings>
  /** Done when the dump has come to the end of the log. */
  readonly during?: () => Promise<void>
}

/** What a dump ends with; it is given up after a minute without a failure. */
async function dumping(server: SqlServer, set: string, options: DumpOptions = {}): Promise<Failure> {
  const connection = await connect({ ...settingsOf(server), ...options.settings })
  try {
    const dump = await startDump(connection, server, set)
    const late = AbortSignal.timeout(180_000)
    if (options.during !== undefined) {
      await untilIdle(dump, late)
      await options.during()
    }
    while (!late.aborted) if (dump.next() === undefined) await dump.wait(100)
    return failureOf(new Error('no failure'), 'dumping')
  } catch (error) {
    return failureOf(error, 'dumping')
  } finally {
    hangUp(connection)
  }
}

/** Another reader under this id, which goes as soon as the server has taken it on. */
async function readUnder(serverId: number, server: SqlServer): Promise<void> {
  const set = await executedOn(server)
  const connection = await connect(settingsOf(server))
  try {
    const dump = await startDump(connection, server, set, serverId)
    while (!(await dump.wait(100)));
  } finally {
    hangUp(connection)
  }
}

const usualId = 4242

function startDump(
  connection: Parameters<typeof hangUp>[0],
  server: SqlServer,
  set: string,
  serverId = usualId,
): Promise<BinlogDump> {
  const executed = parseGtidSet(set, server.name.startsWith('maria') ? 'mariadb' : 'mysql')
  const uuid = '11111111-1111-1111-1111-111111111111'
  return BinlogDump.start(connection, { executed, serverId, uuid, heartbeatMs: 300 })
}

/** The server beats where it has nothing more to send: it has the log's last file open. */
async function untilIdle(dump: BinlogDump, late: AbortSignal): Promise<void> {
  while (!late.aborted) {
    const packet = dump.next()
    if (packet === undefined) await dump.wait(100)
    else if (packet.buffer[packet.from + 4] === eventType.heartbeat) return
  }
}

let users = 0

async function freshUser(
  server: SqlServer,
  grants: string,
): Promise<{ readonly user: string; readonly password: string }> {
  const user = `user_${++users}`
  await server.execute(`CREATE USER ${user}@'%' IDENTIFIED BY 'p'`, `GRANT ${grants} ON *.* TO ${user}@'%'`)
  return { user, password: 'p' }
}

/** Takes all connections, into `held`; those on their way out count, and leave room for one more when they are gone. */
async function connectingToFull(server: SqlServer, held: Connection[]): Promise<Failure> {
  for (;;) {
    const one = await server.connect().catch(() => undefined)
    if (one !== undefined) {
      held.push(one)
      continue
    }
    const failure = await connecting(server).catch(() => undefined)
    if (failure !== undefined) return failure
  }
}

async function executedOn(server: SqlServer): Promise<string> {
  const variable = server.name.startsWith('maria') ? 'gtid_binlog_pos' : 'gtid_executed'
  const [row] = await ask(server, `SELECT @@global.${variable} AS executed`)
  return String(row?.['executed']).replaceAll(/\s/g, '')
}

/** The ids in the commands that ask MariaDB for a dump: length 11, sequence 0, command 0x12, position, flags, id. */
function idsIn(chunk: Buffer): readonly number[] {
  const at = chunk.indexOf(Buffer.from([11, 0, 0, 0, 0x12]))
  return at < 0 ? [] : [chunk.readUInt32LE(at + 11)]
}
