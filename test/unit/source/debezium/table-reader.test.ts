import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change } from '../../../../src/change/change.ts'
import { Failure } from '../../../../src/change/failure.ts'
import { RecordsBuilder } from '../../../../src/change/records.ts'
import { textOf, unpackRow } from '../../../../src/change/row.ts'
import { TableReader, type TableReaderOptions } from '../../../../src/source/debezium/table-reader.ts'
import {
  committedAtMs,
  messagesOf,
  type DebeziumEvent,
  type DebeziumMessage,
  type DebeziumTable,
} from '../../../support/debezium-messages.ts'

const items: DebeziumTable = {
  schema: 'shop',
  table: 'items',
  fields: [
    { type: 'int64', optional: false, field: 'id' },
    { type: 'string', optional: true, field: 'name' },
    { type: 'int64', optional: true, field: 'at', name: 'io.debezium.time.Timestamp', version: 1 },
  ],
  key: ['id'],
  schemas: true,
}
const bare = { ...items, schemas: false }
const columns = { id: 'int64', name: 'string', at: 'io.debezium.time.Timestamp' }
const options: TableReaderOptions = { table: 'shop.items', excluded: [], columns: {}, key: undefined }
const one = { id: 1, name: 'one', at: 1000 }

test('each operation is a change, with the row before and after, and the tombstone behind a delete is none', () => {
  assert.deepEqual(shown(items, [{ op: 'c', after: one }]), [
    `insert [1] - / 1,"one","1970-01-01T00:00:01.000" at ${committedAtMs}`,
  ])
  assert.deepEqual(shown(items, [{ op: 'u', before: one, after: { ...one, name: null } }]), [
    `update [1] 1,"one","1970-01-01T00:00:01.000" / 1,null,"1970-01-01T00:00:01.000" at ${committedAtMs}`,
  ])
  assert.deepEqual(shown(items, [{ op: 'd', before: one }]), [
    `delete [1] 1,"one","1970-01-01T00:00:01.000" / - at ${committedAtMs}`,
  ])
  assert.deepEqual(shown(items, [{ op: 'r', after: one }]), [
    'read [1] - / 1,"one","1970-01-01T00:00:01.000" at 0',
  ])
})

test('a tombstone whose delete was compacted away deletes the row, once something tells what its key is', () => {
  const [created] = messagesOf(items, { op: 'c', after: { ...one, id: 2 } })
  const [, tombstone] = messagesOf(items, { op: 'd', before: one })
  assert(created !== undefined && tombstone !== undefined)
  const [, deleted] = readAll(options, [created, tombstone]).map(textOfChange)
  assert.equal(deleted, 'delete [1] 1,?,? / - at 5')
  const both = [created, ...messagesOf(items, { op: 'd', before: one }), tombstone]
  assert.deepEqual(
    readAll(options, both).map(({ op, key }) => `${op} ${key}`),
    ['insert [2]', 'delete [1]', 'delete [1]'],
  )
  assert.deepEqual(
    readAll({ ...options, columns }, [tombstone]).map(({ op }) => op),
    ['delete'],
  )
  assert.throws(
    () => readAll(options, [tombstone]),
    (error) => error instanceof Failure && error.kind === 'transient',
  )
  assert.deepEqual(readAll(options, [{ key: null, value: null }]), [])
})

test('a row before that is not there is a row of which nothing was shown but its key', () => {
  assert.deepEqual(shown(items, [{ op: 'u', after: one }]), [
    `update [1] 1,?,? / 1,"one","1970-01-01T00:00:01.000" at ${committedAtMs}`,
  ])
  const hidden = { ...one, name: '__debezium_unavailable_value' }
  assert.match(shown(items, [{ op: 'c', after: hidden }])[0] ?? '', /\/ 1,\?,"1970/)
})

test('messages without a schema block are read as the settings say, and refused without', () => {
  assert.deepEqual(shown(bare, [{ op: 'c', after: one }], { columns }), [
    `insert [1] - / 1,"one","1970-01-01T00:00:01.000" at ${committedAtMs}`,
  ])
  assert.throws(() => shown(bare, [{ op: 'c', after: one }]), /have no schema block/)
  const more = { ...one, price: 3 }
  assert.throws(
    () => shown(bare, [{ op: 'c', after: more }], { columns }),
    /the column price, whose type nothing says/,
  )
})

test('columns that nobody wants are left out', () => {
  assert.deepEqual(shown(items, [{ op: 'c', after: one }], { excluded: ['name'] }), [
    `insert [1] - / 1,"1970-01-01T00:00:01.000" at ${committedAtMs}`,
  ])
})

test('what is no change event is refused with what mends it', () => {
  const read = (message: Partial<DebeziumMessage>): unknown =>
    readAll(options, [{ key: '{"id":1}', value: null, ...message }])
  assert.throws(() => read({ value: '{"id":1,"name":"unwrapped"}' }), /are no change events/)
  assert.throws(() => read({ value: '\u0000avro' }), /is not JSON/)
  const [message] = messagesOf(items, { op: 'c', after: one })
  assert.throws(() => read({ value: message?.value ?? '', key: null }), /have no key/)
  assert.equal(readAll({ ...options, key: ['id'] }, [{ key: null, value: message?.value ?? '' }]).length, 1)
})

test('a truncation is told, and changes nothing by itself', () => {
  const reader = new TableReader(options)
  const [message] = messagesOf(items, { op: 't' })
  assert.equal(reader.read(stored(message ?? { key: null, value: null }), new RecordsBuilder()), 'truncated')
})

function shown(
  table: DebeziumTable,
  events: readonly DebeziumEvent[],
  more: Partial<TableReaderOptions> = {},
): string[] {
  const messages = events.flatMap((event) => messagesOf(table, event))
  return readAll({ ...options, ...more }, messages).map(textOfChange)
}

function readAll(given: TableReaderOptions, messages: readonly DebeziumMessage[]): Change[] {
  const reader = new TableReader(given)
  const builder = new RecordsBuilder()
  for (const message of messages) reader.read(stored(message), builder)
  return [...builder.finish()]
}

function stored({ key, value }: DebeziumMessage): Parameters<TableReader['read']>[0] {
  return {
    offset: 0n,
    key: Buffer.from(key ?? ''),
    value: value === null ? null : Buffer.from(value),
    appendedAtMs: 5,
  }
}

function textOfChange({ table, op, key, before, after, committedAtMs: at }: Change): string {
  const row = (packed: typeof before): string =>
    packed === undefined
      ? '-'
      : unpackRow(packed, table.columns.length)
          .map((cell) => (cell === undefined ? '?' : cell === null ? 'null' : textOf(cell)))
          .join(',')
  return `${op} ${key} ${row(before)} / ${row(after)} at ${at}`
}
