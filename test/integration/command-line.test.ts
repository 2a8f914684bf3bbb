import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Connection } from 'mysql2/promise'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { millrace, type CommandResult } from '../support/command-process.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startSuiteStack } from '../support/suite-stack.ts'

/** Every character that means something to a URL, a shell, JSON, YAML or SQL, but the quote that SQL needs doubled. */
const password = String.raw`p@s:s/w#r?d %&"$\{é}`
const targetPassword = 'target/s3cret@:x'

suite('the command line on live servers', () => {
  let stack: Stack
  let connection: Connection
  /** Where init wrote what the other commands read. */
  let folder: string
  let environment: Record<string, string>
  /** All that any command or daemon has said. */
  const said: string[] = []

  before(async () => {
    stack = await startSuiteStack({ servers: ['mysql', 'elasticsearch'] })
    connection = await stack.mysql.connect()
    folder = join(stack.directory, 'work')
    mkdirSync(folder)
    const { host, port } = stack.mysql
    environment = {
      MYSQL_URL: `mysql://odd:${encodeURIComponent(password)}@${host}:${port}/`,
      ELASTICSEARCH_URL: `http://elastic:${encodeURIComponent(targetPassword)}@127.0.0.1:${stack.elasticsearch.port}`,
    }
    await connection.query("CREATE USER odd@'%' IDENTIFIED BY ?", [password])
    await connection.query("GRANT REPLICATION SLAVE, REPLICATION CLIENT, SELECT ON *.* TO odd@'%'")
    await connection.query('CREATE DATABASE shop')
    await connection.query(
      'CREATE TABLE shop.orders (id INT PRIMARY KEY, name VARCHAR(40), total DECIMAL(10,2))',
    )
    const rows = Array.from({ length: 500 }, (_, at) => [at + 1, `order ${at + 1}`, `${at}.25`])
    await connection.query('INSERT INTO shop.orders VALUES ?', [rows])
  })
  after(async () => {
    connection?.destroy()
    await stack?.[Symbol.asyncDispose]()
  })

  test('init, check, doctor and status before the first run', async () => {
    const words = ['init', '--source', environment['MYSQL_URL'] ?? '', '--table', 'shop.orders']
    assert.equal((await command(words, {})).code, 0)
    said.push(readFileSync(join(folder, 'config', 'millrace.yaml'), 'utf8'))
    const again = await command(words, {})
    assert.equal(again.code, 2)
    assert.match(again.err, /orders\.yaml exists already/)
    const checked = await command(['check'])
    assert.equal(checked.code, 0)
    assert.match(checked.out, /ok: 1 source, 1 target, 1 pipeline/)
    const examined = await command(['doctor'])
    assert.equal(examined.code, 0, examined.out)
    assert.match(examined.out, /columns of orders +all are in shop\.orders/)
    assert.equal((await command(['status'])).code, 3)
    assert.equal((await command(['log', 'ls'])).code, 1)
    assert.equal((await command(['verify', 'orders'])).code, 1)
  })

  test('what is not as it should be is named, with the statement that mends it', async () => {
    await connection.query('SET GLOBAL binlog_format = MIXED')
    const examined = await command(['doctor'])
    await connection.query('SET GLOBAL binlog_format = ROW')
    assert.equal(examined.code, 1)
    assert.match(examined.out, /FAIL +binlog_format/)
    assert.match(examined.out, /SET .*binlog_format *= *'?ROW/)
    const pipelines = join(folder, 'config', 'pipelines', 'orders.yaml')
    const text = readFileSync(pipelines, 'utf8')
    writeFileSync(pipelines, text.replace('total: total', 'total: totl').replace('\ntarget:', '\ntargt:'))
    const unknownKey = await command(['check'])
    assert.equal(unknownKey.code, 2)
    assert.match(unknownKey.err, /targt[^]*target/)
    writeFileSync(pipelines, text.replace('total: total', 'total: totl'))
    const unknownColumn = await command(['doctor'])
    assert.equal(unknownColumn.code, 1)
    assert.match(unknownColumn.out, /no column "totl"[^]*did you mean "total"/)
    writeFileSync(pipelines, text)
    const wrong = { ...environment, MYSQL_URL: (environment['MYSQL_URL'] ?? '').replace('odd:', 'odd:not') }
    const refused = await command(['doctor'], wrong)
    assert.equal(refused.code, 1)
    assert.match(refused.out, /FAIL +connection +.*denied/i)
    const away = { ...environment, ELASTICSEARCH_URL: 'http://elastic:s@127.0.0.1:1' }
    const unreachable = await command(['doctor'], away)
    assert.equal(unreachable.code, 1)
    assert.match(unreachable.out, /FAIL +target primary/)
  })

  test('status, verify and log while the daemon runs and after it was stopped', async () => {
    const daemon = await DaemonProcess.start(daemonOptions())
    await untilCaughtUp(daemon, connection)
    await connection.query("UPDATE shop.orders SET name = 'changed' WHERE id = 42")
    await untilCaughtUp(daemon, connection)

    const shown = await command(['status'])
    assert.equal(shown.code, 0, shown.out)
    assert.match(shown.out, /orders +.*running/)
    const { pipelines } = JSON.parse((await command(['status', '--json'])).out) as {
      readonly pipelines: readonly { readonly indexed: number }[]
    }
    assert.equal(pipelines[0]?.indexed, 501)
    assert.match((await command(['log', 'ls'])).out, /main +\S+/)
    const history = await command(['log', 'show', 'shop.orders', '42'])
    assert.equal(history.code, 0)
    assert.match(history.out, /read .*orders@primary alone[^]*update[^]*name: "order 42" → "changed"/)
    assert.equal((await command(['log', 'show', 'shop.orders', '4200'])).code, 1)
    const equal = await command(['verify', 'orders'])
    assert.deepEqual([equal.code, equal.out], [0, 'equal: 500 documents\n'])
    assert.equal((await command(['doctor'])).code, 0)
    const second = await command(['run', '--set', 'control.port=0'])
    assert.equal(second.code, 1)
    assert.match(second.err, /another process|in use|locked/i)

    const exit = await daemon.stop()
    assert.deepEqual([exit.code, exit.signal], [0, null])
    said.push(daemon.output())

    const stopped = await command(['status'])
    assert.equal(stopped.code, 3)
    assert.match(stopped.out, /orders +.*offline/)
    assert.equal((await command(['log', 'ls', '--json'])).code, 0)
    assert.equal((await command(['verify', 'orders'])).code, 0)
  })

  test('verify names what differs', async () => {
    const index = new SearchIndex(stack.elasticsearch.url, 'orders')
    const ninth = await index.document('9')
    await index.ask('DELETE', '/orders/_doc/7')
    await index.ask('PUT', '/orders/_doc/9', { ...ninth, total: '0.00', more: true })
    await index.ask('PUT', '/orders/_doc/stranger', {})
    const found = await command(['verify', 'orders', '--json'])
    assert.equal(found.code, 1)
    const lines = found.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
    assert.deepEqual(
      lines.slice(0, 3).toSorted((a, b) => (String(a['id']) < String(b['id']) ? -1 : 1)),
      [
        { kind: 'missing', id: '7' },
        { kind: 'different', id: '9', fields: ['total', 'more'] },
        { kind: 'orphan', id: 'stranger' },
      ],
    )
    assert.deepEqual(lines[3], {
      pipeline: 'orders',
      target: 'primary',
      equal: false,
      complete: true,
      rows: 500,
      documents: 500,
      missing: 1,
      orphan: 1,
      different: 1,
      unmade: 0,
    })
    const daemon = await DaemonProcess.start({ ...daemonOptions(), extraArguments: ['--reload', 'orders'] })
    await untilCaughtUp(daemon, connection)
    assert.equal((await command(['verify', 'orders'])).code, 0)
    await daemon.stop()
  })

  test('a stop in the middle of the work drains, loses nothing and ends with 0', async () => {
    const rows = Array.from({ length: 40_000 }, (_, at) => [at + 1000, `order ${at + 1000}`, '1.00'])
    for (let first = 0; first < rows.length; first += 10_000)
      await connection.query('INSERT INTO shop.orders VALUES ?', [rows.slice(first, first + 10_000)])
    const daemon = await DaemonProcess.start(daemonOptions())
    await daemon.until('be in the middle', ({ pipelines }) => (pipelines[0]?.indexed ?? 0) > 0)
    const exit = await daemon.stop()
    assert.deepEqual([exit.code, exit.signal], [0, null])
    const again = await DaemonProcess.start(daemonOptions())
    await untilCaughtUp(again, connection)
    said.push(await again.metrics(), JSON.stringify(await again.status()))
    assert.equal((await command(['verify', 'orders'])).out, 'equal: 40500 documents\n')
    await again.stop()
    said.push(again.output())
  })

  test('no secret was ever said or written', () => {
    for (const name of ['millrace.yaml', 'pipelines/orders.yaml'])
      said.push(readFileSync(join(folder, 'config', name), 'utf8'))
    const all = said.join('\n')
    assert(all.length > 10_000)
    for (const secret of [password, targetPassword])
      for (const form of [
        secret,
        encodeURIComponent(secret),
        JSON.stringify(secret).slice(1, -1),
        encodeURI(secret),
      ])
        assert(!all.includes(form), form)
    const header = Buffer.from(`elastic:${targetPassword}`).toString('base64')
    assert(!all.includes(header))
  })

  async function command(
    words: readonly string[],
    variables: Readonly<Record<string, string>> = environment,
  ): Promise<CommandResult> {
    const result = await millrace(words, folder, variables)
    said.push(result.out, result.err)
    return result
  }

  /** A daemon in the same folder, on the file that init wrote. */
  function daemonOptions(): DaemonOptions {
    return {
      directory: folder,
      mysqlUrl: environment['MYSQL_URL'] ?? '',
      elasticsearchUrl: environment['ELASTICSEARCH_URL'] ?? '',
      pipelines: { orders: readFileSync(join(folder, 'config', 'pipelines', 'orders.yaml'), 'utf8') },
    }
  }
})
