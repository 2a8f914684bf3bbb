import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { examine, refusalOf } from '../../src/source/mysql/preflight/preflight.ts'
import type { Finding } from '../../src/source/source.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'

const names = ['mysql', 'mysql@8.0', 'mysql@5.7', 'mariadb', 'mariadb@11.8'] as const

/** Settings that spoil capture, by server; `value` is what a user might have. */
const spoilt: readonly {
  readonly name: string
  readonly value: string
  readonly only?: 'mysql' | 'mariadb'
}[] = [{ name: 'binlog_format', value: 'STATEMENT' }]

/** Settings that cost something and spoil nothing. */
const costly: readonly {
  readonly name: string
  readonly set: readonly [costly: string, plain: string]
  readonly only: 'mysql' | 'mariadb'
  readonly found: RegExp
}[] = [
  { name: 'binlog_transaction_compression', set: ['ON', 'OFF'], only: 'mysql', found: /^ON: .*1 GiB/ },
  {
    name: 'binlog_row_value_options',
    set: ["'PARTIAL_JSON'", "''"],
    only: 'mysql',
    found: /^PARTIAL_JSON: .*differences/,
  },
  { name: 'log_bin_compress', set: ['ON', 'OFF'], only: 'mariadb', found: /^ON: .*unpacked/ },
]

suite('the examination of a server', { concurrency: false }, () => {
  let stack: Stack

  before(async () => {
    stack = await startStack({ servers: names })
    for (const name of names)
      await (stack.servers.get(name) as SqlServer).execute(
        'CREATE DATABASE pre',
        'CREATE TABLE pre.orders (id INT PRIMARY KEY, note TEXT)',
      )
  })
  after(() => stack?.[Symbol.asyncDispose]())

  for (const name of names) {
    const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer
    testServer(name, serverOf)
    testTables(name, serverOf)
  }
})

function testServer(name: string, serverOf: () => SqlServer): void {
  test(`${name}: nothing is wrong with a server that is set up as it should be`, async () => {
    const findings = await look(serverOf(), ['pre.orders'])
    assert.deepEqual(
      findings.filter(({ level }) => level !== 'ok').map(({ level, fact }) => [level, fact]),
      name === 'mysql@5.7' ? [['warning', 'binlog_row_metadata']] : [],
    )
    assert.equal(refusalOf(findings, 'x'), undefined)
  })

  test(`${name}: each wrong setting is fatal, and the statement that is named mends it`, async () => {
    const flavor = isMariadb(name) ? 'mariadb' : 'mysql'
    for (const { name: variable, value, only } of spoilt) {
      if (only !== undefined && only !== flavor) continue
      await serverOf().execute(`SET GLOBAL ${variable} = ${value}`)
      const wrong = found(await look(serverOf(), []), variable)
      assert.equal(wrong.level, 'fatal', variable)
      for (const service of ['mysql', 'rds', 'aurora', 'cloudsql'])
        assert.ok(wrong.remedies?.[service], variable)
      await serverOf().execute(statementIn(wrong))
      assert.equal(found(await look(serverOf(), []), variable).level, 'ok', variable)
    }
  })

  test(`${name}: a binlog that does not name columns is worth a warning that says what it costs`, async () => {
    if (name !== 'mysql@5.7') await serverOf().execute('SET GLOBAL binlog_row_metadata = MINIMAL')
    const findings = await look(serverOf(), ['pre.orders'])
    const finding = found(findings, 'binlog_row_metadata')
    assert.equal(finding.level, 'warning')
    assert.match(finding.found, /altered while capture is behind/)
    assert.equal(refusalOf(findings, 'x'), undefined)
    if (name === 'mysql@5.7') return
    await serverOf().execute(statementIn(finding))
    assert.equal(found(await look(serverOf(), []), 'binlog_row_metadata').level, 'ok')
  })

  test(`${name}: a binlog that does not show every column is worth a warning that says what it costs`, async () => {
    for (const image of ['MINIMAL', 'NOBLOB']) {
      await serverOf().execute(`SET GLOBAL binlog_row_image = ${image}`)
      const findings = await look(serverOf(), ['pre.orders'])
      const finding = found(findings, 'binlog_row_image')
      assert.equal(finding.level, 'warning')
      assert.match(finding.found, /read from the table by key/)
      assert.equal(refusalOf(findings, 'x'), undefined)
      await serverOf().execute(statementIn(finding))
      assert.equal(found(await look(serverOf(), []), 'binlog_row_image').level, 'ok')
    }
  })

  test(`${name}: events that are packed are no hindrance, and what they cost is said`, async () => {
    const flavor = isMariadb(name) ? 'mariadb' : 'mysql'
    for (const { name: variable, set, only, found: cost } of costly) {
      if (only !== flavor || name === 'mysql@5.7') continue
      await serverOf().execute(`SET GLOBAL ${variable} = ${set[0]}`)
      const finding = found(await look(serverOf(), []), variable)
      await serverOf().execute(`SET GLOBAL ${variable} = ${set[1]}`)
      assert.equal(finding.level, 'ok', variable)
      assert.match(finding.found, cost)
      assert.doesNotMatch(found(await look(serverOf(), []), variable).found, /:/)
    }
  })

  // MySQL 5.7 counts in whole days.
  test(`${name}: a binlog that is kept less than a day is worth a warning`, async (context) => {
    if (name === 'mysql@5.7') return context.skip()
    const [short, long] = isMariadb(name)
      ? ['SET GLOBAL binlog_expire_logs_seconds = 3600', 'SET GLOBAL binlog_expire_logs_seconds = 0']
      : ['SET GLOBAL binlog_expire_logs_seconds = 3600', 'SET GLOBAL binlog_expire_logs_seconds = 2592000']
    await serverOf().execute(short)
    const finding = found(await look(serverOf(), []), 'binlog retention')
    await serverOf().execute(long)
    assert.equal(finding.level, 'warning')
    assert.match(finding.found, /^1 h/)
  })

  test(`${name}: each missing grant is fatal, and the statement that is named grants it`, async () => {
    await serverOf().execute("DROP USER IF EXISTS 'ba''re'@'%'", `CREATE USER 'ba''re'@'%' IDENTIFIED BY 'x'`)
    const user = { user: "ba're", password: 'x' }
    const fatal = (await look(serverOf(), ['pre.orders'], user)).filter(({ level }) => level === 'fatal')
    const monitor = isMariadb(name) ? 'BINLOG MONITOR' : 'REPLICATION CLIENT'
    assert.deepEqual(
      fatal.map(({ fact }) => fact),
      ['grant REPLICATION SLAVE', `grant ${monitor}`, 'grant SELECT on pre.orders'],
    )
    await serverOf().execute(...fatal.map(statementIn))
    assert.equal(refusalOf(await look(serverOf(), ['pre.orders'], user), 'x'), undefined)
  })

  test(`${name}: of several servers it must be possible to tell which one follows another`, async () => {
    await serverOf().execute(
      'CREATE USER IF NOT EXISTS watcher',
      'GRANT REPLICATION SLAVE, REPLICATION CLIENT, SELECT ON *.* TO watcher',
    )
    const user = { user: 'watcher', password: '' }
    const several = { ...user, hosts: ['127.0.0.1:1'] }
    const lacking = async (settings: typeof user): Promise<readonly Finding[]> =>
      (await look(serverOf(), [], settings)).filter(
        ({ fact, level }) => fact.startsWith('grant') && level !== 'ok',
      )
    assert.deepEqual(await lacking(user), [])
    const [finding, ...others] = await lacking(several)
    assert.deepEqual([finding?.fact, others], [isMariadb(name) ? 'grant REPLICA MONITOR' : undefined, []])
    if (finding === undefined) return
    assert.equal(finding.level, 'warning')
    await serverOf().execute(statementIn(finding))
    assert.equal(found(await look(serverOf(), [], several), 'grant REPLICA MONITOR').level, 'ok')
  })

  test(`${name}: a server that cannot be reached, or refuses the user, is a finding`, async () => {
    const refused = await look(serverOf(), [], { user: 'nobody', password: 'wrong' })
    assert.deepEqual(
      refused.map(({ level, fact }) => [level, fact]),
      [['fatal', 'connection']],
    )
    const unreached = await examine({ name: 'x', host: '127.0.0.1', port: 1, user: 'x' }, [])
    assert.deepEqual(
      unreached.map(({ level, fact }) => [level, fact]),
      [['fatal', 'connection']],
    )
  })
}

function testTables(name: string, serverOf: () => SqlServer): void {
  test(`${name}: tables that cannot be captured are named with their reason`, async () => {
    await serverOf().execute(
      'CREATE OR REPLACE VIEW pre.seen AS SELECT * FROM pre.orders',
      'CREATE TABLE IF NOT EXISTS pre.keyless (id INT, UNIQUE (id))',
    )
    const findings = await look(serverOf(), ['pre.ordres', 'pre.seen', 'pre.keyless'])
    const reasons = [
      ['table pre.ordres', /no table pre\.ordres/, /did you mean pre\.orders\?/],
      ['table pre.seen', /is a view/, /./],
      ['table pre.keyless', /no usable key/, /primary key/],
    ] as const
    for (const [fact, reason, remedy] of reasons) {
      const finding = found(findings, fact)
      assert.equal(finding.level, 'fatal', fact)
      assert.match(finding.found, reason)
      assert.match(finding.remedies?.['mysql'] ?? '', remedy)
    }
  })

  test(`${name}: columns of every kind are no hindrance, and can be left out`, async () => {
    const more = name.startsWith('mariadb') ? ', u UUID, a INET6, t TEXT COMPRESSED' : ''
    await serverOf().execute(
      `CREATE TABLE IF NOT EXISTS pre.shaped (id INT PRIMARY KEY, place POINT NOT NULL${more})`,
    )
    const settings = { excluded: { 'pre.shaped': ['place'] } }
    for (const each of [{}, settings])
      assert.equal(found(await look(serverOf(), ['pre.shaped'], each), 'table pre.shaped').level, 'ok')
  })

  test(`${name}: a table without transactions, and cascades that the binlog hides, are worth a warning`, async () => {
    await serverOf().execute(
      'CREATE TABLE IF NOT EXISTS pre.flat (id INT PRIMARY KEY) ENGINE = MyISAM',
      `CREATE TABLE IF NOT EXISTS pre.items (id INT PRIMARY KEY, parent INT,
         FOREIGN KEY (parent) REFERENCES pre.orders (id) ON DELETE CASCADE)`,
    )
    const findings = await look(serverOf(), ['pre.flat', 'pre.items'])
    assert.equal(found(findings, 'engine of pre.flat').level, 'warning')
    const cascades = found(findings, 'cascades onto pre.items')
    assert.match(cascades.found, /pre\.orders \(ON DELETE\)/)
    assert.equal(cascades.level, name === 'mysql' ? 'ok' : 'warning')
  })
}

async function look(
  server: SqlServer,
  tables: readonly string[],
  more: Partial<Parameters<typeof examine>[0]> = {},
): Promise<readonly Finding[]> {
  const { host, port } = server
  return await examine({ name: 'x', host, port, user: 'cdc', password: 'cdcpass', ...more }, tables)
}

function found(findings: readonly Finding[], fact: string): Finding {
  const finding = findings.find((candidate) => candidate.fact === fact)
  assert.ok(finding !== undefined, `${fact} is not among ${findings.map((each) => each.fact).join(', ')}`)
  return finding
}

function isMariadb(name: string): boolean {
  return name.startsWith('mariadb')
}

/** The remedy up to the first comma that begins a remark. */
function statementIn({ remedies }: Finding): string {
  return (remedies?.['mysql'] ?? '').replace(/, and in its option file.*$/, '')
}
