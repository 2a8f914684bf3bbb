/** A server whose history is another one than what was read from it, or from its predecessor. */
import assert from 'node:assert/strict'
import { cp, rm } from 'node:fs/promises'
import { after as atEnd, before as atStart, test } from 'node:test'
import type { Position } from '../../src/change/change.ts'
import { Divergence, type Failure } from '../../src/change/failure.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import type { ServerHealth } from '../../src/source/source.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { ReplicatedPair } from '../support/replicated-pair.ts'
import {
  failureOfReading,
  freshSchema,
  settingsOf,
  startReading,
  write,
  changesOf,
} from '../support/source-reading.ts'

/** Two of each kind, which begin apart from each other. */
const kinds = [
  { names: ['mysql', 'mysql@9.7'], reset: 'RESET BINARY LOGS AND GTIDS' },
  { names: ['mariadb', 'mariadb@10.11'], reset: 'RESET MASTER' },
] as const

const briefly = { catchUpMs: 300 }

let stack: Stack

atStart(async () => {
  stack = await startStack({ servers: kinds.flatMap(({ names }) => names) })
})
atEnd(() => stack?.[Symbol.asyncDispose]())

for (const { names, reset } of kinds) {
  const [name, otherName] = names
  const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer
  const otherOf = (): SqlServer => stack.servers.get(otherName) as SqlServer

  test(`${name}: a binlog that was reset is a stop that says so, however far it has come since`, async () => {
    const { schema, position } = await readSome(serverOf(), 5)
    for (const rows of [1, 12]) {
      await serverOf().execute(reset)
      await insert(serverOf(), schema, 100 * rows, rows)
      const failure = await failureOfReading(serverOf(), `${schema}.t`, { from: position, settings: briefly })
      assert(!(failure instanceof Divergence))
      assert.equal(failure.kind, 'lost')
      assert.match(failure.message, /was reset/)
      assert.match(failure.remedy ?? '', /--reload/)
    }
  })

  test(`${name}: numbers that a server gave twice after a crash are found out`, async () => {
    const server = serverOf()
    const { schema, position: first } = await readSome(server, 3)
    await server.stop()
    const kept = `${server.dataDirectory}-kept`
    await cp(server.dataDirectory, kept, { recursive: true })
    await server.start()
    await insert(server, schema, 50, 4)
    const reading = await startReading(server, [`${schema}.t`], { from: first })
    await reading.untilHead()
    await reading.end()
    await server.stop()
    await rm(server.dataDirectory, { recursive: true })
    await cp(kept, server.dataDirectory, { recursive: true })
    await server.start()
    const restored = await failureOfReading(server, `${schema}.t`, {
      from: reading.position,
      settings: briefly,
    })
    assert(!(restored instanceof Divergence))
    assert.match(restored.message, /restored from a backup/)
    // As after a crash, which loses the end of a file and begins another one.
    await server.execute('FLUSH BINARY LOGS')
    const lacking = await failureOfReading(server, `${schema}.t`, {
      from: reading.position,
      settings: briefly,
    })
    assert(lacking instanceof Divergence, lacking.message)
    assert.match(lacking.message, /does not have/)
    await insert(server, schema, 70, 6)
    const failure = await failureOfReading(server, `${schema}.t`, {
      from: reading.position,
      settings: briefly,
    })
    assert(failure instanceof Divergence, failure.message)
    assert.match(failure.message, /another transaction under the number/)
    const onwards = await startReading(server, [`${schema}.t`], { from: failure.resume })
    await insert(server, schema, 90, 1)
    await onwards.untilHead()
    await onwards.end()
    assert.deepEqual(
      onwards.changes.map(({ key }) => key),
      ['[90]'],
    )
  })

  test(`${name}: a server with another history is not read`, async () => {
    const { schema, position } = await readSome(serverOf(), 3)
    await otherOf().execute(reset)
    await insert(otherOf(), await freshSchema(otherOf(), 'CREATE TABLE t (id INT PRIMARY KEY)'), 0, 40)
    const failure = await failureOfReading(otherOf(), `${schema}.t`, { from: position, settings: briefly })
    assert(!(failure instanceof Divergence))
    assert.equal(failure.kind, 'lost')
    assert.match(failure.message, /nothing that was read is in its history/)
    assert.match(failure.remedy ?? '', /right server/)
  })

  test(`${name}: a server that was restored from an older backup is not read`, async () => {
    const { schema, position } = await readSome(serverOf(), 5)
    const { executed } = await standOf(serverOf())
    const older = executed.replace(/\d+$/, (number) => String(Number(number) - 2))
    await otherOf().execute(
      reset,
      name === 'mysql' ? `SET GLOBAL gtid_purged = '${older}'` : `SET GLOBAL gtid_slave_pos = '${older}'`,
    )
    await insert(otherOf(), await freshSchema(otherOf(), 'CREATE TABLE t (id INT PRIMARY KEY)'), 0, 5)
    const failure = await failureOfReading(otherOf(), `${schema}.t`, { from: position, settings: briefly })
    assert(!(failure instanceof Divergence))
    assert.equal(failure.kind, 'lost')
    assert.match(failure.message, /older backup|nothing that was read/)
  })

  test(`${name}: a failover goes on where the former leader ended; one that lost changes names them`, async () => {
    for (const server of [serverOf(), otherOf()])
      await server.execute(reset, ...(name === 'mariadb' ? ["SET GLOBAL gtid_slave_pos = ''"] : []))
    const schema = await freshSchema(serverOf(), 'CREATE TABLE t (id INT PRIMARY KEY)')
    const pair = await ReplicatedPair.start(serverOf(), otherOf(), schema)
    const hosts = [`127.0.0.1:${otherOf().port}`]
    const told: (readonly ServerHealth[])[] = []
    const source = createMysqlSource(
      { ...settingsOf(serverOf()), hosts, lookAroundMs: 100, catchUpMs: 1_500 },
      [`${schema}.t`],
      (now) => told.push(now),
    )
    const seen: string[] = []
    const readTo = async (
      from: Position,
      key: string,
      meanwhile?: () => Promise<void>,
    ): Promise<Position> => {
      let position = from
      let doing = meanwhile?.()
      const late = AbortSignal.timeout(180_000)
      while (seen.at(-1) !== key) {
        // It ends where it goes on at another server.
        for await (const batch of source.read(position, late)) {
          seen.push(...changesOf(batch).map((change) => change.key))
          position = batch.position
          if (seen.at(-1) === key) break
        }
        assert(!late.aborted, `seen: ${seen.join(' ')}`)
      }
      await doing
      doing = undefined
      return position
    }
    let position = await source.head()
    await insert(pair.leader, schema, 1, 3)
    position = await readTo(position, '[3]')
    // Where it goes on is open now: what one of its servers shows may be what none of the log ever has.
    await assert.rejects(source.head(), /is about to go on at one of its servers/)
    position = await readTo(position, '[6]', async () => {
      await pair.untilFollowed()
      await pair.move()
      await insert(pair.leader, schema, 4, 3)
    })
    assert.deepEqual(seen, ['[1]', '[2]', '[3]', '[4]', '[5]', '[6]'])
    assert.equal(await healthIs(told, pair.leader, 'reading'), true)
    await pair.rejoin()
    await pair.untilFollowed()

    await pair.separate()
    await insert(pair.leader, schema, 7, 2)
    const lost = await standOf(pair.leader)
    position = await readTo(position, '[8]')
    await pair.move()
    await insert(pair.leader, schema, 17, 1)
    const failure = await failureOf(source.read(position, AbortSignal.timeout(180_000)))
    assert(failure instanceof Divergence, failure.message)
    assert.match(failure.undone, name === 'mysql' ? /:\d+-\d+$/ : new RegExp(`^${lost.executed}$`))
    assert.deepEqual([failure.undoes?.(position), failure.undoes?.(failure.resume)], [true, false])
    position = await readTo(failure.resume, '[17]')
    assert.equal(seen.at(-2), '[8]')
    await pair.rejoin()
    await pair.untilFollowed()

    await pair.separate()
    const values = Array.from({ length: 30_000 }, (_, at) => `(${100 + at})`)
    await write(pair.leader, schema, [`INSERT INTO t VALUES ${values.join(', ')}`])
    const from = position
    const late = AbortSignal.timeout(180_000)
    while (!position.includes('"inside"') && !late.aborted)
      for await (const batch of source.read(position, late)) {
        position = batch.position
        if (position.includes('"inside"')) break
      }
    assert.match(position, /"inside"/)
    await pair.move()
    const part = await failureOf(source.read(position, AbortSignal.timeout(180_000)))
    assert(part instanceof Divergence, part.message)
    assert.deepEqual([part.undoes?.(position), part.undoes?.(from)], [true, false])
    await source.close()
  })
}

test('mysql: a replica that lags behind is waited for, and never taken for one that lost changes', async () => {
  const [leader, follower] = [stack.mysql, stack.servers.get('mysql@9.7') as SqlServer]
  await unfollow(leader, follower)
  const { schema, position } = await readSome(leader, 3)
  const pair = await ReplicatedPair.start(leader, follower, schema)
  await pair.untilFollowed()
  await pair.separate()
  await insert(leader, schema, 40, 2)
  const reading = await startReading(leader, [`${schema}.t`], { from: position })
  await reading.untilHead()
  await reading.end()
  const told: Failure[] = []
  const source = createMysqlSource({ ...settingsOf(follower), ...briefly }, [`${schema}.t`])
  const end = new AbortController()
  const interrupted = (failure: Failure) => {
    told.push(failure)
    if (told.length === 2) void follower.execute('START REPLICA')
  }
  for await (const batch of source.read(
    reading.position,
    AbortSignal.any([end.signal, AbortSignal.timeout(180_000)]),
    interrupted,
  ))
    if (changesOf(batch).length === 0) end.abort()
  await source.close()
  assert(end.signal.aborted, 'it went on when the replica had caught up')
  for (const { kind } of told) assert.equal(kind, 'transient')
  assert.match(told.at(-1)?.message ?? '', /replica/)
})

test('mysql: the server of the preferred kind is read, another one while it is away, and it again', async () => {
  const [leader, follower] = [stack.mysql, stack.servers.get('mysql@9.7') as SqlServer]
  await unfollow(leader, follower)
  const { schema, position } = await readSome(leader, 2)
  const pair = await ReplicatedPair.start(leader, follower, schema)
  await pair.untilFollowed()
  const told: (readonly ServerHealth[])[] = []
  const settings = {
    ...settingsOf(follower),
    hosts: [`127.0.0.1:${leader.port}`],
    prefer: 'primary' as const,
  }
  const source = createMysqlSource({ ...settings, lookAroundMs: 100 }, [`${schema}.t`], (now) =>
    told.push(now),
  )
  const end = new AbortController()
  const signal = AbortSignal.any([end.signal, AbortSignal.timeout(180_000)])
  const [primary, replica] = [leader, follower].map(({ port }) => `127.0.0.1:${port}`)
  // One that is slow to answer at first may be read second: what counts is what is read in the end.
  const wanted = [primary, replica, primary]
  let [from, seen] = [position, 0]
  while (!signal.aborted) {
    for await (const batch of source.read(from, signal)) {
      from = batch.position
      const reading = told.at(-1)?.find(({ state }) => state === 'reading')
      if (reading?.address !== wanted[seen]) continue
      seen++
      if (seen === 1) await leader.kill()
      if (seen === 2) await leader.start()
      if (seen === 3) end.abort()
    }
  }
  await source.close()
  assert.equal(seen, 3)
  const last = told.at(-1) ?? []
  assert.deepEqual(
    last.map(({ address, role }) => [address, role]),
    [
      [replica, 'replica'],
      [primary, 'primary'],
    ],
  )
})

test('mysql: what is not read yet is told in bytes, and nothing is when all is read', async () => {
  const server = stack.mysql
  if (!server.running) await server.start()
  const { schema, position } = await readSome(server, 2)
  await insert(server, schema, 10, 3)
  await write(server, schema, [
    'FLUSH BINARY LOGS',
    'ALTER TABLE t ADD COLUMN b TEXT',
    "UPDATE t SET b = REPEAT('x', 5000)",
  ])
  const source = createMysqlSource(settingsOf(server), [`${schema}.t`])
  assert.equal((await source.headroom()).behindBytes, undefined)
  const behind: number[] = []
  for await (const batch of source.read(position, AbortSignal.timeout(180_000))) {
    const { behindBytes, keptSeconds } = await source.headroom()
    assert.equal(keptSeconds, 2_592_000)
    behind.push(behindBytes ?? -1)
    if (changesOf(batch).length === 0 && behindBytes === 0) break
  }
  await source.close()
  assert.equal(behind.at(-1), 0)
  assert.deepEqual(
    behind,
    behind.toSorted((a, b) => b - a),
  )
})

async function unfollow(...servers: readonly SqlServer[]): Promise<void> {
  for (const server of servers) {
    if (!server.running) await server.start()
    await server.execute(
      'STOP REPLICA',
      'RESET REPLICA ALL',
      'SET GLOBAL read_only = 0',
      'RESET BINARY LOGS AND GTIDS',
    )
  }
}

/** Rows in a table of its own, all read. */
async function readSome(server: SqlServer, rows: number): Promise<{ schema: string; position: Position }> {
  const schema = await freshSchema(server, 'CREATE TABLE t (id INT PRIMARY KEY)')
  const reading = await startReading(server, [`${schema}.t`])
  await insert(server, schema, 0, rows)
  await reading.untilHead()
  await reading.end()
  return { schema, position: reading.position }
}

async function insert(server: SqlServer, schema: string, first: number, rows: number): Promise<void> {
  const statements = Array.from({ length: rows }, (_, at) => `INSERT INTO t VALUES (${first + at})`)
  await write(server, schema, statements)
}

async function standOf(server: SqlServer): Promise<{ readonly executed: string }> {
  const source = createMysqlSource(settingsOf(server), [])
  const { gtid } = JSON.parse(await source.head()) as { readonly gtid: string }
  await source.close()
  return { executed: gtid }
}

async function failureOf(reading: AsyncIterable<unknown>): Promise<Failure> {
  try {
    for await (const batch of reading) assert.notEqual(batch, undefined)
  } catch (error) {
    return error as Failure
  }
  throw new Error('reading did not fail')
}

async function healthIs(
  told: readonly (readonly ServerHealth[])[],
  server: SqlServer,
  state: ServerHealth['state'],
): Promise<boolean> {
  const found = told.at(-1)?.find(({ address }) => address === `127.0.0.1:${server.port}`)
  return found?.state === state
}
