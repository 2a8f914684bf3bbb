/**
 * MariaDB servers with settings of their own. One that encrypts its binlog on disk sends it in the clear, and capture reads
 * it as any other; one that does not write into it what it gets from others is refused while it follows one.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { examine } from '../../src/source/mysql/preflight/preflight.ts'
import { encryptionArguments } from '../stack/encrypted-mariadb.ts'
import { startMariadb } from '../stack/mariadb.ts'
import { silent } from '../stack/progress.ts'
import { RunDirectory } from '../stack/run-directory.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { replayed, selected } from '../support/replay.ts'
import { failureOfReading, freshSchema, settingsOf, startReading, write } from '../support/source-reading.ts'

const versions = ['10.11', '11.8'] as const
const servers = new Map<string, SqlServer>()
let directory: RunDirectory

before(async () => {
  directory = await RunDirectory.create()
  for (const version of versions) {
    const encrypted = await encryptionArguments(version, directory.path, silent)
    const extraArguments = [...encrypted, '--skip-log-slave-updates']
    servers.set(version, await startMariadb({ version, directory: directory.path, extraArguments }))
  }
})
after(async () => {
  for (const server of servers.values()) await server[Symbol.asyncDispose]()
  await directory?.[Symbol.asyncDispose]()
})

for (const version of versions)
  test(`mariadb@${version}: rows of an encrypted binlog are captured, over new files and from any place on`, async () => {
    const server = servers.get(version)
    assert(server !== undefined)
    const schema = await freshSchema(server, 'CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(40))')
    const first = await startReading(server, [`${schema}.t`])
    await write(server, schema, [
      "INSERT INTO t VALUES (1, 'plainly readable'), (2, 'two')",
      'FLUSH BINARY LOGS',
      'SET GLOBAL log_bin_compress = ON',
      `INSERT INTO t VALUES ${Array.from({ length: 50 }, (_, at) => `(${at + 10}, 'packed and encrypted')`).join(',')}`,
      'SET GLOBAL log_bin_compress = OFF',
      "UPDATE t SET word = 'changed' WHERE id = 2",
    ])
    await first.untilHead()
    await first.end()
    await write(server, schema, ['FLUSH BINARY LOGS', 'DELETE FROM t WHERE id = 1'])
    const rest = await startReading(server, [`${schema}.t`], { from: first.position })
    await rest.untilHead()
    await rest.end()
    assert.deepEqual(replayed([...first.changes, ...rest.changes]), await selected(server, `${schema}.t`))
    assert.equal(first.changes.length + rest.changes.length, 54)
    const file = await readFile(join(server.dataDirectory, 'binlog.000001'))
    assert(!file.includes('plainly readable'), 'the file on disk is encrypted')
    const findings = await examine(settingsOf(server), [`${schema}.t`])
    const { level, found } = findings.find(({ fact }) => fact === 'encrypt_binlog') ?? {}
    assert.equal(level, 'ok')
    assert.match(found ?? '', /^ON: .*TLS/)
  })

for (const version of versions)
  test(`mariadb@${version}: a server is refused whose binlog lacks what it gets from others`, async () => {
    const server = servers.get(version)
    assert(server !== undefined)
    const schema = await freshSchema(server, 'CREATE TABLE t (id INT PRIMARY KEY)')
    const settings = { user: 'root', password: '' }
    await server.execute("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1")
    const { kind, message, remedy } = await failureOfReading(server, `${schema}.t`, { settings })
    await server.execute('RESET SLAVE ALL')
    assert.equal(kind, 'unsupported')
    assert.match(message, /does not come into its binlog: log_slave_updates is OFF/)
    assert.match(remedy ?? '', /log_slave_updates = ON/)
    const reading = await startReading(server, [`${schema}.t`], { settings })
    await write(server, schema, ['INSERT INTO t VALUES (1)'])
    await reading.untilHead()
    await reading.end()
    assert.equal(reading.changes.length, 1)
  })
