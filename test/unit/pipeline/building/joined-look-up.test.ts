import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change, Position } from '../../../../src/change/change.ts'
import { packRecords } from '../../../../src/change/records.ts'
import { bytesOf, keyOf, packRow, type Cell } from '../../../../src/change/row.ts'
import type { Enricher } from '../../../../src/document/enricher.ts'
import { joinedMapper } from '../../../../src/document/joined-mapper.ts'
import { Mapper } from '../../../../src/document/mapping.ts'
import { queryMapper } from '../../../../src/document/query-mapper.ts'
import { Entries } from '../../../../src/log/log.ts'
import { joinedLookUp, type JoinedLookUpParts } from '../../../../src/pipeline/building/joined-look-up.ts'
import { Pace } from '../../../../src/pipeline/pace.ts'
import { Turnstile } from '../../../../src/pipeline/building/turnstile.ts'
import { textOfBody, type Operation } from '../../../../src/sink/sink.ts'
import { relatedRow, type RelatedRows, type View } from '../../../../src/source/source.ts'
import { child, root } from '../../../support/joined-definition.ts'
import { MemoryDatabase } from '../../../support/memory-database.ts'
import { viewOf } from '../../../support/memory-view.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const never = new AbortController().signal
const integer = { kind: 'integer', type: 'int', nullable: true } as const
const definition = root('orders', {
  lines: child('lines', { order_id: 'id' }, { fields: { n: 'id', text: 'text' } }),
})
const database = new MemoryDatabase(() => 0)
const orders = database.createTable('orders', [{ name: 'id', ...integer }], [0])
database.createTable(
  'lines',
  [
    { name: 'id', ...integer },
    { name: 'order_id', ...integer },
    { name: 'text', kind: 'string', type: 'text', nullable: true },
  ],
  [0],
)
const giant = 5
// Each order has three lines of about 100 bytes; one has a thousand.
database.transaction((writer) => {
  for (let id = 1; id <= 16; id++) {
    writer.insert('orders', { id })
    for (let line = 0; line < (id === giant ? 1000 : 3); line++)
      writer.insert('lines', { id: id * 10_000 + line, order_id: id, text: 'x'.repeat(80) })
  }
})
database.reveal(1)

function touches(ids: readonly number[]): Entries {
  const changes = ids.map((id): Change => ({
    op: 'touch',
    table: orders,
    key: keyOf(orders, [bytesOf(String(id))]),
    before: undefined,
    after: undefined,
    committedAtMs: 0,
  }))
  return Entries.all(packRecords(changes), { offset: 0, version: 5n })
}

function lookingUp(
  more: Partial<JoinedLookUpParts> & Pick<JoinedLookUpParts, 'mapper'>,
  view: Omit<View, 'head'>,
): Enricher {
  return joinedLookUp({
    group: 'orders@main',
    source: {
      view: async (_request, read) => await read({ ...view, head: () => Promise.resolve('' as Position) }),
    },
    position: () => '' as Position,
    confirmed: (read) => read(),
    clock: new VirtualClock(),
    observe: () => undefined,
    turnstile: new Turnstile(1),
    pace: new Pace(0),
    documentsMax: 1000,
    rowsMax: 100_000,
    bytesMax: 1000,
    admit: () => Promise.resolve(),
    ...more,
  })
}

const ids = Array.from({ length: 16 }, (_, at) => at + 1)

test('a batch that takes too many bytes is read in pieces, and a document that takes too many alone is put aside', async () => {
  let largest = 0
  const honest = viewOf(database, ['orders', 'lines'], () => Promise.resolve())
  const view: Omit<View, 'head'> = {
    ...honest,
    related: async (request, signal) => {
      const found = await honest.related(request, signal)
      largest = Math.max(
        largest,
        found.rows.reduce((sum, { from, to }) => sum + to - from, 0),
      )
      return found
    },
  }
  const enrich = lookingUp({ mapper: joinedMapper(definition, new Mapper(definition)) }, view)
  const operations = Array.from(await enrich(touches(ids), never), ({ operation }) => operation)
  assert.deepEqual(
    operations.map(({ id, version }) => [id, version]),
    ids.map((id, at) => [String(id), 5n + BigInt(at)]),
  )
  const aside = operations.filter(({ remark }) => remark !== undefined)
  assert.deepEqual(
    aside.map(({ id, remark }) => [id, remark?.kind]),
    [[String(giant), 'refused']],
  )
  for (const { op, body } of operations.filter(({ remark }) => remark === undefined))
    assert.equal(op === 'index' && linesIn(body).length, 3)
  assert(largest <= 1000)
})

function linesIn(body: Operation['body']): readonly unknown[] {
  return body === undefined
    ? []
    : (JSON.parse(textOfBody(body)) as { readonly lines: readonly unknown[] }).lines
}

const answerTable = {
  name: 'answer',
  columns: [
    { name: 'id', ...integer },
    { name: 'Größe', ...integer },
  ],
  key: [0],
}

function answering(rows: readonly (readonly number[])[]): Enricher {
  const asked = { ...definition, children: {}, fields: {} }
  const answer: RelatedRows = {
    table: answerTable,
    rows: rows.map((values) => {
      const cells = values.map(String)
      return relatedRow(keyOf(answerTable, cells), packRow(cells))
    }),
  }
  const honest = viewOf(database, ['orders', 'lines'], () => Promise.resolve())
  const view = { ...honest, answers: () => Promise.resolve(answer) }
  return lookingUp({ mapper: queryMapper(asked, 'SELECT', new Mapper(asked)) }, view)
}

test('what a query answers is the document, and nothing is a document that is gone', async () => {
  const works = await answering([
    [2, 20],
    [1, 10],
  ])(touches([1, 2, 3, 99]), never)
  assert.deepEqual(
    Array.from(works, ({ operation: { op, id, body } }) => [
      op,
      id,
      body === undefined ? undefined : textOfBody(body),
    ]),
    [
      ['index', '1', '{"id":1,"Größe":10}'],
      ['index', '2', '{"id":2,"Größe":20}'],
      ['delete', '3', undefined],
      ['delete', '99', undefined],
    ],
  )
})

test('several answers for one id put its document aside; one for an id that was not asked for is a stop', async () => {
  const [first, second] = await answering([
    [1, 10],
    [2, 20],
    [1, 11],
  ])(touches([1, 2]), never)
  assert.equal(first?.operation.remark?.kind, 'refused')
  assert.equal(second?.operation.remark, undefined)
  await assert.rejects(
    answering([
      [1, 10],
      [7, 70],
    ])(touches([1]), never),
    /an id that it was not asked for/,
  )
})

test('a document is looked for everywhere where its row, not shown before, may have come from another place', async () => {
  const routed = { ...definition, placing: { routing: ['id'], period: undefined } }
  const honest = viewOf(database, ['orders', 'lines'], () => Promise.resolve())
  const enrich = lookingUp({ mapper: joinedMapper(routed, new Mapper(routed)) }, honest)
  const places = async (before: Cell, after: Cell): Promise<readonly string[]> => {
    const key = keyOf(orders, ['1'])
    const images = { before: packRow([before]), after: packRow([after]) }
    const update: Change = { op: 'update', table: orders, key, ...images, committedAtMs: 1 }
    const works = await enrich(Entries.all(packRecords([update]), { offset: 0, version: 5n }), never)
    return Array.from(works, ({ operation: { op, routing, everywhere } }) =>
      [op, routing, everywhere === true ? 'everywhere' : ''].join(' ').trim(),
    )
  }
  assert.deepEqual(await places('1', '1'), ['index 1'])
  assert.deepEqual(await places('2', '1'), ['index 1', 'delete 2'])
  assert.deepEqual(await places(undefined, '1'), ['index 1 everywhere'])
  assert.deepEqual(await places('1', undefined), ['index 1 everywhere'])
  const [touched] = await enrich(touches([1]), never)
  assert.equal(touched?.operation.everywhere, undefined)
})
