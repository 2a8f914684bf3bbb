import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import { after, before, suite, test } from 'node:test'
import type { RowDataPacket } from 'mysql2'
import { createConnection } from 'mysql2/promise'
import { run } from '../stack/command.ts'
import { startMysql } from '../stack/mysql.ts'
import { printProgress } from '../stack/progress.ts'
import { RunDirectory } from '../stack/run-directory.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { isAlive } from '../stack/state.ts'

suite('a stack of real servers', () => {
  let stack: Stack

  before(async () => {
    stack = await startStack({ servers: ['mysql'], onProgress: printProgress() })
  })
  after(() => stack?.[Symbol.asyncDispose]())

  test('the users may do what they are for and no more', async () => {
    const { mysql } = stack
    const app = await createConnection(mysql.appUrl)
    await app.query('CREATE DATABASE users_test')
    await app.query('CREATE TABLE users_test.rows_written (id INT PRIMARY KEY)')
    await app.end()
    const cdc = await createConnection(mysql.cdcUrl)
    await cdc.query('SELECT * FROM users_test.rows_written')
    await cdc.query('SHOW BINARY LOG STATUS')
    await assert.rejects(cdc.query('INSERT INTO users_test.rows_written VALUES (1)'), /denied/)
    await cdc.end()
  })

  test('a server that is stopped or killed comes back on its port with its data', async () => {
    const { mysql } = stack
    await mysql.execute('CREATE DATABASE restart_test', 'CREATE TABLE restart_test.kept (id INT PRIMARY KEY)')
    const { port, pid } = mysql
    await mysql.stop()
    assert(!mysql.running)
    assert(!isAlive(pid))
    await assert.rejects(mysql.connect(), /ECONNREFUSED/)
    await mysql.start()
    await mysql.execute('INSERT INTO restart_test.kept VALUES (1)')
    await mysql.kill()
    await mysql.start()
    assert.equal(mysql.port, port)
    assert.notEqual(mysql.pid, pid)
    assert.equal(await countRows(mysql.url, 'restart_test.kept'), 1)
  })

  test('what is not in the stack is named when it is asked for', () => {
    assert.throws(() => stack.elasticsearch, /the stack has no elasticsearch; it was started with .*mysql/)
  })

  test('the log of a server can be read', () => {
    assert.match(stack.mysql.logTail(200), /ready for connections/)
  })
})

test('a stack leaves nothing when it is disposed', async () => {
  const stack = await startStack({ servers: ['mysql'] })
  const { pid } = stack.mysql
  const { directory } = stack
  await stack[Symbol.asyncDispose]()
  assert(!isAlive(pid))
  assert(!existsSync(directory))
})

test('a replica follows its source and refuses writes', async () => {
  await using stack = await startStack({ servers: ['mysql-replica'] })
  const { mysql, mysqlReplica } = stack
  await mysql.execute(
    'CREATE DATABASE replica_test',
    'CREATE TABLE replica_test.followed (id INT PRIMARY KEY)',
  )
  await mysql.execute('INSERT INTO replica_test.followed VALUES (1)')
  await until(async () => (await countRows(mysqlReplica.url, 'replica_test.followed').catch(() => 0)) === 1)
  await assert.rejects(mysqlReplica.execute('INSERT INTO replica_test.followed VALUES (2)'), /read.only/)
})

test('no server outlives a holder that was killed', async () => {
  const program = `
    import { startStack } from ${JSON.stringify(import.meta.resolve('../stack/stack.ts'))}
    const stack = await startStack({ servers: ['mysql'] })
    console.log(stack.mysql.pid)`
  const holder = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = (await once(holder.stdout, 'data')) as [Buffer]
  const pid = Number(said.toString())
  assert(isAlive(pid))
  holder.kill('SIGKILL')
  await until(async () => !isAlive(pid))
})

test('the command line holds a stack in the background until it is told to stop', async () => {
  const stackName = `test-${process.pid}`
  const stackTool = async (...words: readonly string[]) => {
    const main = fileURLToPath(import.meta.resolve('../stack/main.ts'))
    return await run(process.execPath, [main, ...words, '--stack', stackName])
  }
  await stackTool('up', 'mysql')
  try {
    const status = JSON.parse(await stackTool('status', '--json')) as {
      servers: readonly { pid: number; urls: { url: string } }[]
    }
    const [mysql] = status.servers
    assert(mysql !== undefined)
    assert.equal(await countRows(mysql.urls.url, 'mysql.user WHERE user = "cdc"'), 1)
    assert.match(await stackTool('logs', 'mysql', '-n', '100'), /ready for connections/)
    await assert.rejects(stackTool('up', 'mysql'), /is up already with mysql/)
    await stackTool('down')
    assert(!isAlive(mysql.pid))
  } finally {
    await stackTool('down')
  }
  await assert.rejects(stackTool('status'), /is not up/)
})

test('a server that cannot start says why, by the end of its log', async () => {
  await using directory = await RunDirectory.create()
  const starting = startMysql({ directory: directory.path, extraArguments: ['--no-such-option=1'] })
  await assert.rejects(starting, /mysql@9\.7 ended at its start[^]*unknown variable 'no-such-option=1'/)
})

async function countRows(url: string, table: string): Promise<number> {
  const connection = await createConnection(url)
  try {
    const [rows] = await connection.query<RowDataPacket[]>(`SELECT COUNT(*) AS n FROM ${table}`)
    return Number(rows[0]?.['n'])
  } finally {
    await connection.end()
  }
}

/** Polls a fact until it is true. */
async function until(fact: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await fact())) {
    assert(Date.now() < deadline, 'the fact did not come true within a minute')
    await delay(20)
  }
}
