import assert from 'node:assert/strict'
import { closeSync, openSync, writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import { Failure } from '../../src/change/failure.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { alive } from '../support/open-source.ts'
import { freshSchema, settingsOf, write, changesOf } from '../support/source-reading.ts'

for (const name of ['mysql', 'mariadb'] as const)
  suite(`${name}: a byte of the binlog that is wrong`, { concurrency: false }, () => {
    let stack: Stack
    const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer

    before(async () => {
      stack = await startStack({ servers: [name] })
    })
    after(() => stack?.[Symbol.asyncDispose]())

    test('is read once more, and stops the stream where it is wrong again, by its place', async () => {
      const { failure, keys, interruptions } = await readDamaged(serverOf(), () => {})
      assert(failure instanceof Failure)
      assert.equal(failure.kind, 'corrupt')
      assert.match(failure.message, /breaks its checksum \(in transaction \S+, after binlog\.\d+:\d+\)/)
      assert.match(failure.remedy ?? '', /mysqlbinlog --verify-binlog-checksum/)
      assert.equal(interruptions, 1)
      // What came just before it may wait for the same end.
      assert.deepEqual(keys, ['[1]'].slice(0, keys.length))
    })

    test('does no harm where it was only wrong on its way', async () => {
      const { failure, keys, interruptions } = await readDamaged(serverOf(), (mend) => mend())
      assert.equal(failure, undefined)
      assert.equal(interruptions, 1)
      assert.deepEqual(keys, ['[1]', '[2]', '[3]'])
    })
  })

interface Outcome {
  readonly failure: unknown
  readonly keys: readonly string[]
  readonly interruptions: number
}

/** Reads three rows, of which the second one's is damaged in the server's file until it is mended. */
async function readDamaged(server: SqlServer, onInterruption: (mend: () => void) => void): Promise<Outcome> {
  const schema = await freshSchema(server, 'CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(60))')
  // Interruptions are counted: a server that is slow to say something is none.
  const settings = { ...settingsOf(server), heartbeatMs: 20_000 }
  const source = createMysqlSource(settings, [`${schema}.t`])
  const from = await source.head()
  const mark = `damaged row of ${schema}`
  await write(server, schema, ["INSERT INTO t VALUES (1, 'x')", `INSERT INTO t VALUES (2, '${mark}')`])
  await write(server, schema, ["INSERT INTO t VALUES (3, 'y')"])
  const head = await source.head()
  const mend = await damage(server, mark)
  const keys: string[] = []
  let [interruptions, failure]: [number, unknown] = [0, undefined]
  try {
    for await (const batch of source.read(from, alive(), () => {
      interruptions++
      onInterruption(mend)
    })) {
      keys.push(...changesOf(batch).map(({ key }) => key))
      if (source.covers(batch.position, head)) break
    }
  } catch (error) {
    failure = error
  }
  mend()
  await source.close()
  return { failure, keys, interruptions }
}

/** Turns a bit of this text in the file that the server writes; gives what turns it back, before anybody can read again. */
async function damage(server: SqlServer, text: string): Promise<() => void> {
  const connection = await server.connect()
  const [files] = await connection.query<RowDataPacket[]>('SHOW BINARY LOGS')
  await connection.end()
  const file = join(server.dataDirectory, String(files.at(-1)?.['Log_name']))
  const at = (await readFile(file)).lastIndexOf(text)
  assert(at > 0, `${text} is not in ${file}`)
  const put = (letter: string): void => {
    const handle = openSync(file, 'r+')
    try {
      writeSync(handle, letter, at)
    } finally {
      closeSync(handle)
    }
  }
  put('D')
  return () => put('d')
}
