import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change, Key, Position, Table } from '../../../../src/change/change.ts'
import { packRecords } from '../../../../src/change/records.ts'
import { packRow, type Cell } from '../../../../src/change/row.ts'
import { Mapper } from '../../../../src/document/mapping.ts'
import { Entries } from '../../../../src/log/log.ts'
import { lookingUp } from '../../../../src/pipeline/building/look-up.ts'
import { textOfBody } from '../../../../src/sink/sink.ts'
import type { KeysRequest } from '../../../../src/source/source.ts'
import { Facts } from '../../../support/facts.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const table: Table = {
  name: 'shop.items',
  columns: [
    { name: 'id', kind: 'integer', type: 'int', nullable: false },
    { name: 'name', kind: 'string', type: 'varchar(50)', nullable: true },
    { name: 'state', kind: 'string', type: 'varchar(50)', nullable: true },
  ],
  key: [0],
}

const definition = {
  table: table.name,
  fields: undefined,
  exclude: [],
  where: [{ column: 'state', comparison: 'eq' as const, value: 'open' }],
  id: undefined,
  idPrefix: '',
}

const never = new AbortController().signal

function subject(rows: Readonly<Record<number, readonly Cell[]>>, rowsPerSecond = 0) {
  const [clock, facts, requests] = [new VirtualClock(), new Facts(), new Array<KeysRequest>()]
  let executed = 0
  const enrich = lookingUp({
    group: 'items@main',
    table: table.name,
    mapper: new Mapper(definition),
    source: {
      rows: (request) => {
        requests.push(request)
        const found = request.keys.flatMap((key) => {
          const cells = rows[Number(key.slice(1, -1))]
          return cells === undefined ? [] : [{ key, row: packRow(cells) }]
        })
        return Promise.resolve({ table, rows: found, head: 'here' as Position })
      },
    },
    position: () => `after ${++executed}` as Position,
    confirmed: (read) => read(),
    clock,
    observe: facts.observe,
    rowsPerSecond,
  })
  return { enrich, clock, facts, requests }
}

function keyFor(id: number): Key {
  return `[${id}]` as Key
}

function touch(id: number): Change {
  return { table, op: 'touch', key: keyFor(id), before: undefined, after: undefined, committedAtMs: 1 }
}

function insert(id: number, name: string | undefined): Change {
  const after = packRow([`${id}`, name === undefined ? undefined : `"${name}"`, '"open"'])
  return { table, op: 'insert', key: keyFor(id), before: undefined, after, committedAtMs: 1 }
}

function entriesOf(...changes: readonly Change[]): Entries {
  return Entries.all(packRecords(changes), { offset: 100, version: 500n })
}

test('touches and incomplete rows become the rows that are there, under their own versions, in the order of the log', async () => {
  const { enrich, facts } = subject({
    1: ['1', '"one"', '"open"'],
    2: ['2', '"two"', '"shut"'],
    4: ['4', null, '"open"'],
  })
  const works = await enrich(
    entriesOf(
      insert(9, 'whole'),
      touch(1),
      touch(2),
      touch(3),
      insert(4, undefined),
      insert(8, 'whole'),
      touch(1),
    ),
    never,
  )
  const shown = Array.from(works, ({ at, operation: { op, id, version, repeatable, body } }) => [
    at,
    op,
    id,
    version,
    repeatable,
    body === undefined ? undefined : textOfBody(body),
  ])
  assert.deepEqual(shown, [
    [0, 'index', '9', 500n, true, '{"id":9,"name":"whole","state":"open"}'],
    [1, 'index', '1', 501n, false, '{"id":1,"name":"one","state":"open"}'],
    [2, 'delete', '2', 502n, false, undefined],
    [3, 'delete', '3', 503n, false, undefined],
    [4, 'index', '4', 504n, false, '{"id":4,"name":null,"state":"open"}'],
    [5, 'index', '8', 505n, true, '{"id":8,"name":"whole","state":"open"}'],
    [6, 'index', '1', 506n, false, '{"id":1,"name":"one","state":"open"}'],
  ])
  assert.deepEqual(
    facts.of('looked-up').map(({ keys, found }) => [keys, found]),
    [[4, 3]],
  )
})

test('a row that the table spells differently is not the one that was asked for', async () => {
  const { enrich, requests } = subject({})
  const works = await enrich(entriesOf(touch(1)), never)
  assert.deepEqual(
    Array.from(works, ({ operation }) => [operation.op, operation.id]),
    [['delete', '1']],
  )
  assert.equal(requests.length, 1)
})

test('whole rows need no look at the table', async () => {
  const { enrich, requests } = subject({})
  await enrich(entriesOf(insert(1, 'a')), never)
  assert.deepEqual(requests, [])
})

test('many keys are read in bounded statements, each at a position that was asked for anew', async () => {
  const { enrich, requests } = subject({})
  await enrich(entriesOf(...Array.from({ length: 1200 }, (_, id) => touch(id))), never)
  assert.deepEqual(
    requests.map(({ keys, includes }) => [keys.length, includes]),
    [
      [500, 'after 1'],
      [500, 'after 2'],
      [200, 'after 3'],
    ],
  )
})

test('no more rows a second are read than are allowed', async () => {
  const { enrich, clock } = subject({}, 100)
  const begun = clock.now()
  await clock.until(enrich(entriesOf(...Array.from({ length: 1200 }, (_, id) => touch(id))), never))
  assert.equal(clock.now() - begun, 10_000)
})
