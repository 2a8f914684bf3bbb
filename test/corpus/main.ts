/**
 * Records what a real server sends for known statements: `node test/corpus/main.ts SERVER` writes the files of
 * test/unit/source/mysql/captured/ that the tests of the reader and the fuzzing begin with.
 */
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Connection } from 'mysql2/promise'
import { BinlogDump } from '../../src/source/mysql/binlog/binlog-client.ts'
import { parseGtidSet } from '../../src/source/mysql/gtid/gtid-set.ts'
import { connect, hangUp } from '../../src/source/mysql/server/connection.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack } from '../stack/stack.ts'
import { corpora, type Corpus } from './statements.ts'

const [name = ''] = process.argv.slice(2)
const wanted = corpora.filter(({ servers }) => servers.includes(name))
if (wanted.length === 0) {
  const known = new Set(corpora.flatMap(({ servers }) => servers))
  console.error(`node test/corpus/main.ts SERVER, which is one of ${[...known].join(', ')}`)
  process.exit(2)
}
await using stack = await startStack({ servers: [name] })
const server = stack.servers.get(name) as SqlServer
for (const corpus of wanted) await record(server, corpus)

async function record(from: SqlServer, { prefix, before, statements }: Corpus): Promise<void> {
  const flavor = name.startsWith('mariadb') ? 'mariadb' : 'mysql'
  const connection = await from.connect()
  try {
    for (const statement of before) await connection.query(statement)
    const executed = await executedOn(connection, flavor)
    for (const statement of statements)
      if (statement.only === undefined || statement.only === flavor) await connection.query(statement.sql)
    const events = await eventsAfter(from, executed, flavor)
    const version = await versionOf(connection)
    const file = new URL(`../unit/source/mysql/captured/${prefix}${flavor}-${version}.json`, import.meta.url)
    const texts = events.map((event) => event.toString('base64'))
    await writeFile(file, `${JSON.stringify({ flavor, executed, events: texts }, undefined, 1)}\n`)
    console.log(`${basename(file.pathname)}: ${events.length} events`)
  } finally {
    connection.destroy()
  }
}

async function executedOn(connection: Connection, flavor: 'mysql' | 'mariadb'): Promise<string> {
  const variable = flavor === 'mysql' ? 'gtid_executed' : 'gtid_binlog_pos'
  return String(await answer(connection, `SELECT @@global.${variable} AS answer`)).replaceAll('\n', '')
}

async function versionOf(connection: Connection): Promise<string> {
  const version = String(await answer(connection, 'SELECT VERSION() AS answer'))
  return version.split('.').slice(0, 2).join('.')
}

async function answer(connection: Connection, sql: string): Promise<unknown> {
  const [rows] = (await connection.query(sql)) as unknown as [readonly { readonly answer: unknown }[]]
  return rows[0]?.answer
}

/** Each with header and checksum. */
async function eventsAfter(
  from: SqlServer,
  executed: string,
  flavor: 'mysql' | 'mariadb',
): Promise<readonly Buffer[]> {
  const connection = await connect({ name: 'corpus', url: from.cdcUrl })
  try {
    const dump = await BinlogDump.start(connection, {
      executed: parseGtidSet(executed, flavor),
      serverId: 2 ** 30,
      uuid: randomUUID(),
      heartbeatMs: 5000,
      toEnd: true,
    })
    const events: Buffer[] = []
    while (!dump.ended) {
      for (let packet = dump.next(); packet !== undefined; packet = dump.next())
        events.push(Buffer.from(packet.buffer.subarray(packet.from, packet.to)))
      if (!dump.ended) await dump.wait()
    }
    return events
  } finally {
    hangUp(connection)
  }
}
