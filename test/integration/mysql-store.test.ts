/** The store of small state over real servers: its contract, its migrations, and what it says when something is wrong. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import { Failure } from '../../src/change/failure.ts'
import type { MysqlStoreSettings } from '../../src/store/mysql/connections.ts'
import { createMysqlStore } from '../../src/store/mysql/mysql-store.ts'
import { testStore } from '../contract/store.contract.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'

const names = ['mysql', 'mysql@8.0', 'mariadb'] as const
let stack: Stack
let schemas = 0

before(async () => {
  stack = await startStack({ servers: names })
})
after(() => stack?.[Symbol.asyncDispose]())

for (const name of names) {
  testStore(name, async () => {
    const settings = await freshSettings(serverOf(name))
    let store = createMysqlStore(settings)
    return {
      store,
      reopen: async () => {
        await store.close()
        return (store = createMysqlStore(settings))
      },
      close: () => store.close(),
    }
  })

  test(`${name}: many that start at once make the tables once`, async () => {
    const settings = await freshSettings(serverOf(name))
    const stores = Array.from({ length: 6 }, () => createMysqlStore(settings))
    const numbers = await Promise.all(stores.map((store) => store.append('audit', 'started')))
    assert.deepEqual(
      numbers.toSorted((a, b) => a - b),
      [1, 2, 3, 4, 5, 6],
    )
    for (const store of stores) await store.close()
    const versions = await rowsOf(serverOf(name), `SELECT version FROM ${settings.schema}.t_migration`)
    assert.equal(versions.length, 1)
  })

  test(`${name}: two prefixes in one schema know nothing of each other`, async () => {
    const settings = await freshSettings(serverOf(name))
    const one = createMysqlStore(settings)
    const other = createMysqlStore({ ...settings, prefix: 'u_' })
    await one.put('a', '1', 0)
    assert.equal(await other.get('a'), undefined)
    await one.close()
    await other.close()
  })
}

const wrong: readonly {
  readonly what: string
  readonly change: (settings: MysqlStoreSettings) => MysqlStoreSettings
  readonly kind: string
  readonly remedy: RegExp
}[] = [
  {
    what: 'a schema that is not there is named with the statement that makes it',
    change: (settings) => ({ ...settings, schema: 'nowhere' }),
    kind: 'configuration',
    remedy: /CREATE DATABASE `nowhere`/,
  },
  {
    what: 'a wrong password is said',
    change: (settings) => ({ ...settings, password: 'wrong' }),
    kind: 'unauthorised',
    remedy: /user and password/,
  },
  {
    what: 'missing grants come with the statement that gives them',
    change: (settings) => ({ ...settings, user: 'cdc', password: 'cdcpass' }),
    kind: 'unauthorised',
    remedy: /GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER ON/,
  },
  {
    what: 'a server that is away is worth trying again',
    change: (settings) => ({ ...settings, port: 1 }),
    kind: 'transient',
    remedy: /runs/,
  },
]

for (const name of ['mysql', 'mariadb'] as const) {
  for (const { what, change, kind, remedy } of wrong) {
    test(`${name}: ${what}`, async () => {
      const store = createMysqlStore(change(await freshSettings(serverOf(name))))
      try {
        const error: unknown = await store.get('a').then(
          () => undefined,
          (failure: unknown) => failure,
        )
        assert.ok(error instanceof Failure, String(error))
        assert.equal(error.kind, kind, error.message)
        assert.match(error.remedy ?? '', remedy)
      } finally {
        await store.close()
      }
    })
  }
}

test('tables of a newer program are refused', async () => {
  const settings = await freshSettings(serverOf('mysql'))
  const store = createMysqlStore(settings)
  await store.put('a', '1', 0)
  await store.close()
  await serverOf('mysql').execute(`INSERT INTO ${settings.schema}.t_migration VALUES (1000, NOW())`)
  const older = createMysqlStore(settings)
  await assert.rejects(
    older.get('a'),
    (error) => error instanceof Failure && error.kind === 'unsupported' && /1000/.test(error.message),
  )
  await older.close()
})

test('a connection that the server closed is replaced', async () => {
  const server = serverOf('mysql')
  const settings = await freshSettings(server)
  const store = createMysqlStore(settings)
  await store.put('a', '1', 0)
  const sessions = await rowsOf(
    server,
    `SELECT id AS id FROM information_schema.processlist WHERE db = '${settings.schema}'`,
  )
  assert.ok(sessions.length > 0)
  for (const { id } of sessions) await server.execute(`KILL ${Number(id)}`)
  // Who was cut off in the midst of a call is told; who comes after finds a new connection.
  const answer = await store.get('a').catch((error: unknown) => {
    assert.ok(error instanceof Failure && error.kind === 'transient', String(error))
    return undefined
  })
  assert.equal((answer ?? (await store.get('a')))?.value, '1')
  await store.close()
})

function serverOf(name: string): SqlServer {
  return stack.servers.get(name) as SqlServer
}

async function freshSettings(server: SqlServer): Promise<MysqlStoreSettings> {
  const schema = `store_${process.pid}_${++schemas}`
  await server.execute(`CREATE DATABASE ${schema}`)
  return {
    host: server.host,
    port: server.port,
    user: 'app',
    password: 'apppass',
    schema,
    prefix: 't_',
    tls: undefined,
    timeoutMs: 60_000,
  }
}

async function rowsOf(server: SqlServer, sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const connection = await server.connect()
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql)
    return rows
  } finally {
    await connection.end()
  }
}
