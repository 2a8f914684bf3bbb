import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { Key, Table } from '../../../src/change/change.ts'
import { RecordsBuilder } from '../../../src/change/records.ts'
import { stamped } from '../../../src/document/stamp.ts'
import { Entries } from '../../../src/log/log.ts'
import { textBody, textOfBody, type Operation } from '../../../src/sink/sink.ts'

const table: Table = { name: 'shop.items', columns: [], key: [] }
const version = (1n << 48n) + 9007n

/** What becomes of an operation whose change was committed then. */
async function stampOf(
  operation: Operation,
  committedAtMs: number,
  transaction = '',
): Promise<string | undefined> {
  const before = undefined
  const builder = new RecordsBuilder()
  builder.within(transaction)
  builder.add({ table, op: 'touch', key: '[1]' as Key, before, after: undefined, committedAtMs })
  const entries = Entries.all(builder.finish(), { offset: 0, version })
  const enrich = stamped(() => Promise.resolve([{ at: 0, operation }]))
  const [work] = await enrich(entries, new AbortController().signal)
  return work?.operation.body === undefined ? undefined : textOfBody(work.operation.body)
}

const index = (text: string): Operation => ({
  op: 'index',
  id: '1',
  version,
  routing: undefined,
  repeatable: true,
  body: textBody(text),
})

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

test('a document shows its version, when and by which transaction its row was changed, and a hash of what it was without that', async () => {
  const text = '{"id":1,"name":"Größe"}'
  const committedAtMs = Date.UTC(2026, 10, 22, 10, 0, 0, 123)
  const hash = hashOf(text)
  assert.equal(
    await stampOf(index(text), committedAtMs, '3e11fa47-71ca-11e1-9e33-c80aa9429562:23'),
    `{"id":1,"name":"Größe","_millrace":{"version":"281474976719663","committedAt":"2026-11-22T10:00:00.123Z","gtid":"3e11fa47-71ca-11e1-9e33-c80aa9429562:23","hash":"${hash}"}}`,
  )
})

test('a row that was read shows neither time nor transaction of a change, and a document without fields is whole JSON', async () => {
  const stamp = { version: String(version), committedAt: null, gtid: null, hash: hashOf('{}') }
  assert.equal(await stampOf(index('{}'), 0), JSON.stringify({ _millrace: stamp }))
})

test('the widest stamp fits', async () => {
  const widest = { ...index('{}'), version: (1n << 63n) - 1n }
  const transaction = `3e11fa47-71ca-11e1-9e33-c80aa9429562:${'t'.repeat(32)}:9223372036854775806`
  const stamp = (await stampOf(widest, 8.64e15 / 100, transaction)) ?? ''
  assert.match(stamp, /"version":"9223372036854775807".*:9223372036854775806".*\}\}$/)
})

test('a delete has none', async () => {
  const gone: Operation = { ...index('{}'), op: 'delete', body: undefined }
  assert.equal(await stampOf(gone, 1), undefined)
})
