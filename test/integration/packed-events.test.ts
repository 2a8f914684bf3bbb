import assert from 'node:assert/strict'
import { after as atEnd, before as atStart, suite, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import type { Change, Position } from '../../src/change/change.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import { parsePosition } from '../../src/source/mysql/gtid/position.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { alive } from '../support/open-source.ts'
import { replayed, selected } from '../support/replay.ts'
import {
  describeChange,
  freshSchema,
  settingsOf,
  startReading,
  write,
  changesOf,
} from '../support/source-reading.ts'

const names = ['mysql', 'mysql@8.0', 'mariadb'] as const

suite('events that the server packed', { concurrency: false }, () => {
  let stack: Stack
  const serverOf = (name: string): SqlServer => stack.servers.get(name) as SqlServer

  atStart(async () => {
    stack = await startStack({ servers: names })
  })
  atEnd(() => stack?.[Symbol.asyncDispose]())

  for (const name of names) {
    test(`${name}: packed and plain transactions in turn leave the table's rows`, async () => {
      const server = serverOf(name)
      const schema = await freshSchema(server, table)
      const reading = await startReading(server, [`${schema}.t`])
      await write(server, schema, [...mixed(name), ...packing(name, 'OFF')])
      await reading.untilHead()
      await reading.end()
      assert.deepEqual(replayed(reading.changes), await selected(server, `${schema}.t`))
      assert(reading.changes.length > 900, `${reading.changes.length} changes`)
      assert.equal(reading.barriers.length, 1)
      const kinds = await eventKinds(server)
      const packed =
        name === 'mariadb' ? ['Write_rows_compressed_v1', 'Query_compressed'] : ['Transaction_payload']
      for (const kind of packed) assert(kinds.has(kind), `${[...kinds].join(', ')}: no ${kind}`)
    })

    test(`${name}: a large packed transaction is taken up again at any of its places`, async () => {
      const server = serverOf(name)
      const schema = await freshSchema(server, table)
      const first = await startReading(server, [`${schema}.t`])
      await write(server, schema, [...packing(name, 'ON'), ...large(12_000), ...packing(name, 'OFF')])
      await first.untilHead()
      await first.end()
      const all = first.changes.map(describeChange)
      const inside = first.batches.filter(({ position }) => parsePosition(position).inside !== undefined)
      assert(inside.length >= 5, `${inside.length} pieces`)
      for (const batch of first.batches) assert(batch.bytes < 512 * 1024, `a piece of ${batch.bytes} bytes`)
      assert.equal(await batchesAfterTheEnd(server, `${schema}.t`, first.from), 0)
      let given = 0
      for (const [at, batch] of first.batches.entries()) {
        given += changesOf(batch).length
        if (at % 3 !== 0) continue
        const rest = await startReading(server, [`${schema}.t`], { from: batch.position })
        await rest.untilHead()
        await rest.end()
        assert.deepEqual(rest.changes.map(describeChange), all.slice(given))
      }
    })

    test(`${name}: a packed transaction of 50 MB passes in bounded memory`, async (context) => {
      const server = serverOf(name)
      const schema = await freshSchema(server, table)
      const source = createMysqlSource(settingsOf(server), [`${schema}.t`])
      const from = await source.head()
      await write(server, schema, [...packing(name, 'ON'), ...large(64_000), ...packing(name, 'OFF')])
      const head = await source.head()
      const start = process.memoryUsage.rss()
      let [peak, rows, bytes] = [0, 0, 0]
      for await (const batch of source.read(from, alive())) {
        rows += changesOf(batch).length
        bytes += batch.bytes
        peak = Math.max(peak, process.memoryUsage.rss() - start)
        if (source.covers(batch.position, head)) break
      }
      await source.close()
      assert.equal(rows, 64_000)
      assert(bytes > 50e6, `${bytes} bytes`)
      context.diagnostic(`${Math.round(peak / 1e6)} MB more than before`)
      assert(peak < 150e6, `${peak} bytes more than before`)
    })
  }
})

for (const name of ['mysql', 'mysql@8.0'] as const)
  suite(`JSON by differences: ${name}`, () => {
    let stack: Stack
    const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer

    atStart(async () => {
      stack = await startStack({ servers: [name] })
    })
    atEnd(() => stack?.[Symbol.asyncDispose]())

    test('documents are what SELECT shows after each kind of change', async () => {
      const schema = await freshSchema(
        serverOf(),
        'CREATE TABLE t (id INT PRIMARY KEY, a JSON, note VARCHAR(20), b JSON, n DECIMAL(5,2))',
        'CREATE TABLE other (id INT PRIMARY KEY, a JSON)',
        `INSERT INTO t SELECT n, ${documentSql}, 'note', ${documentSql}, n FROM
          (WITH RECURSIVE d (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM d WHERE n < 20) SELECT n FROM d) numbers`,
        'INSERT INTO other SELECT id, a FROM t',
        'INSERT INTO t VALUES (100, NULL, NULL, NULL, NULL)',
      )
      const begin = await selected(serverOf(), `${schema}.t`)
      const reading = await startReading(serverOf(), [`${schema}.t`])
      await write(serverOf(), schema, [
        "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
        ...jsonChanges.flatMap((change, at) => [
          `SET SESSION binlog_transaction_compression = ${at % 2 === 0 ? 'ON' : 'OFF'}`,
          `UPDATE t SET a = ${change} WHERE id % 3 <> 1`,
          `UPDATE t SET note = 'both', a = ${change}, b = ${change.replaceAll('(a,', '(b,')} WHERE id % 3 = 1`,
          `UPDATE other SET a = ${change}`,
        ]),
        'UPDATE t SET id = id + 1000 WHERE id = 5',
      ])
      await reading.untilHead()
      await reading.end()
      assertChained(reading.changes)
      assert.deepEqual(replayed(reading.changes, begin), await selected(serverOf(), `${schema}.t`))
      const kinds = await eventKinds(serverOf())
      assert(kinds.has('Update_rows_partial'), [...kinds].join(', '))
    })
  })

/** What the server says that a row was before a change is what we made of the change before it. */
function assertChained(changes: readonly Change[]): void {
  const latest = new Map<string, string>()
  for (const { key, op, before, after } of changes) {
    const known = latest.get(key)
    if (op === 'update' && known !== undefined) assert.equal(before, known)
    if (after !== undefined) latest.set(key, after)
  }
}

/** Everything that JSON of the server can hold. */
const documentSql = `JSON_OBJECT('id', n, 'list', JSON_ARRAY(1, 'two', 3.5, JSON_OBJECT('deep', JSON_ARRAY(n, NULL, TRUE))),
  'long', REPEAT('long ', 300), 'exact', CAST(CONCAT('9007199254740993.', n) AS DECIMAL(30,3)),
  'when', CAST('2026-01-02 03:04:05.678901' AS DATETIME(6)), 'bytes', CAST(CONCAT(X'00FF', n) AS BINARY),
  'größe', 18446744073709551615, 'a b."c', JSON_OBJECT('x', 1, 'y', JSON_OBJECT()), 'minus', -9223372036854775807)`

const jsonChanges: readonly string[] = [
  "JSON_SET(a, '$.id', 9007199254740993)",
  "JSON_SET(a, '$.new', 'value', '$.list[1]', 2)",
  "JSON_SET(a, '$.list[3].deep[0]', CAST('12.340' AS DECIMAL(10,3)), '$.list[9]', 'at the end')",
  "JSON_REPLACE(a, '$.long', REPEAT('short', 2), '$.missing', 1)",
  "JSON_REPLACE(a, '$.long', REPEAT('longer than before ', 500))",
  "JSON_REMOVE(a, '$.list[0]', '$.minus')",
  "JSON_REMOVE(JSON_SET(a, '$.tmp', 1, '$.z', TIME'-12:34:56.5'), '$.tmp')",
  "JSON_SET(a, '$.\"größe\"', JSON_ARRAY('ü', NULL), '$.\"a b.\\\\\"c\".y.k', 5)",
  "JSON_SET(a, '$.list[last]', 'last', '$.list[last-1]', 'but one')",
  "JSON_SET(a, '$.id', NULL)",
  "JSON_ARRAY_INSERT(a, '$.list[0]', 'first')",
  "JSON_SET(a, '$.list', JSON_OBJECT('now', 'an object'))",
  "JSON_SET(a, '$.list.more', JSON_ARRAY())",
  "JSON_SET(JSON_REMOVE(a, '$.new'), '$.when', DATE'2026-02-03')",
  "JSON_REMOVE(a, '$.list')",
  "JSON_SET(a, '$.id', 1)",
  "JSON_SET(a, '$.id', 1)",
]

/** How many batches come after reading was ended in the middle of a transaction. */
async function batchesAfterTheEnd(server: SqlServer, table: string, from: Position): Promise<number> {
  const source = createMysqlSource(settingsOf(server), [table])
  const control = new AbortController()
  let late = 0
  for await (const { position } of source.read(from, AbortSignal.any([control.signal, alive()]))) {
    if (control.signal.aborted) late++
    if (parsePosition(position).inside !== undefined) control.abort()
  }
  await source.close()
  assert(control.signal.aborted)
  return late
}

/** Of the events in the server's binlog. */
async function eventKinds(server: SqlServer): Promise<ReadonlySet<string>> {
  const connection = await server.connect()
  try {
    const [rows] = await connection.query<RowDataPacket[]>('SHOW BINLOG EVENTS')
    return new Set(rows.map((row) => String(row['Event_type'])))
  } finally {
    await connection.end()
  }
}

const table =
  'CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(60), n BIGINT, filler VARCHAR(800)) CHARACTER SET utf8mb4'

/** MariaDB has only a global switch. */
function packing(name: string, value: 'ON' | 'OFF'): readonly string[] {
  return name === 'mariadb'
    ? [`SET GLOBAL log_bin_compress = ${value}`]
    : [`SET SESSION binlog_transaction_compression = ${value}`]
}

/** Transactions of every kind of row event, packed and plain in turn. */
function mixed(name: string): readonly string[] {
  const rounds = Array.from({ length: 10 }, (_, round) => {
    const first = round * 100
    const values = Array.from(
      { length: 90 },
      (__, at) => `(${first + at}, 'wört ${at}', ${first}, ${at % 7 === 0 ? 'NULL' : "REPEAT('x', 300)"})`,
    )
    return [
      ...packing(name, round % 2 === 0 ? 'ON' : 'OFF'),
      'BEGIN',
      `INSERT INTO t VALUES ${values.join(',')}`,
      `UPDATE t SET word = CONCAT(word, '!'), n = 9007199254740993 WHERE id BETWEEN ${first + 10} AND ${first + 50}`,
      `UPDATE t SET id = id + 100000 WHERE id = ${first + 3}`,
      `DELETE FROM t WHERE id BETWEEN ${first + 60} AND ${first + 65}`,
      'COMMIT',
      `INSERT INTO t (id) VALUES (${first + 95})`,
    ]
  })
  // A statement of more than 256 bytes, which MariaDB packs as well.
  const definition = `ALTER TABLE t COMMENT = 'a', MODIFY n BIGINT DEFAULT 7 /* ${'long '.repeat(100)} */`
  return [...rounds.slice(0, 5), [...packing(name, 'ON'), definition], ...rounds.slice(5)].flat()
}

/** One transaction of so many rows of 800 bytes that are hard to pack. */
function large(rows: number): readonly string[] {
  const digits = 'WITH RECURSIVE d (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM d WHERE n < 999)'
  const filler = `LEFT(CONCAT(${Array.from({ length: 7 }, (_, at) => `SHA2(n * 8 + ${at} + ?, 512)`).join(',')}), 800)`
  const statements = Array.from(
    { length: rows / 1000 },
    (_, part) =>
      `INSERT INTO t ${digits} SELECT n + ${part * 1000}, 'word', n, ${filler.replaceAll('?', String(part * 8000))} FROM d`,
  )
  return ['BEGIN', ...statements, 'COMMIT']
}
