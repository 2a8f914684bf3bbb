import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readQuery } from '../../../../../src/source/mysql/binlog/query-event.ts'
import { queryEvent } from '../../../../support/query-event.ts'

/** As MySQL 9.7 and MariaDB 11.8 wrote them, for a client in latin1. */
const variables = {
  mysql: '0000000000012800a0450000000006037374640408000800ff0011080000000000000012ff00',
  mariadb: '0000000001010800205400000000060373746404080008000009810800000000000000',
}
const latin1 = 8
const cp932 = 95
const utf8mb4 = 255
const noBackslashEscapes = 0x10_0000

test('a statement is read in the character set of its client, its schema in UTF-8', () => {
  for (const server of Object.values(variables)) {
    const statement = Buffer.from('TRUNCATE `köln`', 'latin1')
    const read = readQuery(queryEvent(statement, 'bär', Buffer.from(server, 'hex')))
    assert.deepEqual([read.schema, read.statement], ['bär', 'TRUNCATE `köln`'])
  }
  const inUtf8 = queryEvent(Buffer.from('TRUNCATE `köln`'), 'shop', session(utf8mb4))
  assert.equal(readQuery(inUtf8).statement, 'TRUNCATE `köln`')
  assert.equal(readQuery(queryEvent(Buffer.from('TRUNCATE `köln`'), 'shop')).statement, 'TRUNCATE `köln`')
})

test('the second byte of a character is no backslash', () => {
  // 表 is 95 5C.
  const statement = Buffer.from('414c5445522061205c27955c27', 'hex')
  assert.equal(readQuery(queryEvent(statement, 'shop', session(cp932))).statement, "ALTER a \\'表'")
})

test('where a backslash stands for itself there are two', () => {
  const statement = Buffer.from(String.raw`ALTER TABLE a ADD b CHAR(1) DEFAULT '\', DROP c`)
  const read = (sqlMode: number): string =>
    readQuery(queryEvent(statement, 'shop', session(latin1, sqlMode))).statement
  assert.equal(read(noBackslashEscapes), String.raw`ALTER TABLE a ADD b CHAR(1) DEFAULT '\\', DROP c`)
  assert.equal(read(0), statement.toString())
})

function session(collation: number, sqlMode = 0): Buffer {
  const bytes = Buffer.alloc(16)
  bytes[0] = 1
  bytes.writeUInt32LE(sqlMode, 1)
  bytes[9] = 4
  bytes.writeUInt16LE(collation, 10)
  return bytes
}
