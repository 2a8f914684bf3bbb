import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import * as fc from 'fast-check'
import type { Change, Column, ColumnKind, Row, Table } from '../../../src/change/change.ts'
import { Failure } from '../../../src/change/failure.ts'
import { packRecords } from '../../../src/change/records.ts'
import { bytesOf, keyOf, packRow, type Cell } from '../../../src/change/row.ts'
import type { DocumentDefinition } from '../../../src/document/definition.ts'
import { checkDefinition, Mapper, documentFields } from '../../../src/document/mapping.ts'
import { Entries } from '../../../src/log/log.ts'
import { textOfBody, type Operation } from '../../../src/sink/sink.ts'

const column = (name: string, kind: ColumnKind): Column => ({ name, kind, type: kind, nullable: true })

const table: Table = {
  name: 'shop.orders',
  columns: [
    column('id', 'integer'),
    column('state', 'string'),
    column('größe', 'decimal'),
    column('day', 'date'),
  ],
  key: [0],
}

const whole: DocumentDefinition = {
  table: 'shop.orders',
  fields: undefined,
  exclude: [],
  where: [],
  id: undefined,
  idPrefix: '',
}
const open: DocumentDefinition = { ...whole, where: [{ column: 'state', comparison: 'eq', value: 'open' }] }

type Images = { readonly before?: readonly Cell[]; readonly after?: readonly Cell[]; readonly read?: boolean }

function entryOf({ before, after, read }: Images, of = table): Entries {
  const key = keyOf(of, after ?? before ?? [])
  const common = { table: of, committedAtMs: 1, key }
  const rows = [before, after].map((cells): Row | undefined =>
    cells === undefined ? undefined : packRow(cells),
  )
  const op =
    after === undefined ? 'delete' : before === undefined ? (read === true ? 'read' : 'insert') : 'update'
  const change = { ...common, op, before: rows[0], after: rows[1] } as Change
  return Entries.all(packRecords([change]), { offset: 0, version: 77n })
}

/** Operations whose bodies can be read. */
type Shown = Omit<Operation, 'body'> & { readonly body: string | undefined }

function operationsOf(definition: DocumentDefinition, images: Images, of = table): readonly Shown[] {
  const { works } = new Mapper(definition).map(entryOf(images, of))
  return Array.from(works, ({ operation }) => shown(operation))
}

function shown(operation: Operation): Shown {
  return { ...operation, body: operation.body === undefined ? undefined : textOfBody(operation.body) }
}

const row = (state: string): readonly Cell[] => ['7', JSON.stringify(state), '"1.50"', '"2026-01-31"']

function incomplete(definition: DocumentDefinition, of: Table): readonly number[] {
  return new Mapper(definition).map(entryOf({ after: row('open') }, of)).incomplete
}

test('a row from before its column was masked, or from before it no longer was, is read again', () => {
  const masked = {
    ...table,
    columns: table.columns.map((each) => ({ ...each, ...(each.name === 'state' ? { mask: 'hash:1' } : {}) })),
  }
  const masking = { ...whole, masks: { state: 'hash:1' } }
  assert.deepEqual(incomplete(masking, masked), [])
  assert.deepEqual(incomplete(masking, table), [0])
  assert.deepEqual(incomplete(whole, masked), [0])
  assert.deepEqual(incomplete({ ...whole, masks: { state: 'hash:2' } }, masked), [0])
})

describe('a row as a document', () => {
  it('is spliced from the cells, in column order, under their names', () => {
    const [operation] = operationsOf(whole, { after: ['7', bytesOf('"Köln"'), null, '"2026-01-31"'] })
    assert.deepEqual(operation, {
      op: 'index',
      id: '7',
      version: 77n,
      routing: undefined,
      repeatable: true,
      body: '{"id":7,"state":"Köln","größe":null,"day":"2026-01-31"}',
    })
  })

  it('has the fields that the definition names, or all but the excluded', () => {
    const [named] = operationsOf(
      { ...whole, fields: { total: 'größe', number: 'id', also: 'id' } },
      { after: row('open') },
    )
    assert.equal(named?.body, '{"number":7,"also":7,"total":"1.50"}')
    const [rest] = operationsOf({ ...whole, exclude: ['größe', 'day'] }, { after: row('open') })
    assert.equal(rest?.body, '{"id":7,"state":"open"}')
  })

  it('shows one column under many names', () => {
    const fields = { a: 'state', b: 'state', c: 'state', d: 'id', e: 'größe', f: 'day' }
    const long = 'x'.repeat(5000)
    const [operation] = operationsOf({ ...whole, fields }, { after: row(long) })
    assert.deepEqual(JSON.parse(operation?.body ?? ''), {
      a: long,
      b: long,
      c: long,
      d: 7,
      e: '1.50',
      f: '2026-01-31',
    })
  })

  it('tells beforehand how long it is at most, wherever its row stands and whatever is null', () => {
    const changes = Array.from({ length: 100 }, (_, at) => [
      ...entryOf({ after: [`${at}`, null, null, null] }).records,
    ])
    const entries = Entries.all(packRecords(changes.flat()), { offset: 0, version: 1n })
    for (const { operation } of new Mapper(whole).map(entries).works) {
      assert.ok(operation.body !== undefined)
      const bytes = Buffer.byteLength(textOfBody(operation.body))
      assert.ok(bytes <= operation.body.bytesMax && operation.body.bytesMax < bytes + 10)
    }
  })

  it('has null for dates that no calendar has', () => {
    for (const day of [
      '0000-00-00',
      '2026-00-10',
      '2026-01-00',
      '2026-02-30',
      '2025-02-29',
      '1900-02-29',
      '2026-04-31',
    ])
      assert.equal(dateOf(day), '{"day":null}', day)
    for (const day of ['2024-02-29', '2000-02-29', '2026-12-31', '0001-01-01'])
      assert.equal(dateOf(day), `{"day":"${day}"}`)
  })

  it('is what JSON.stringify says of the values, for any values', () => {
    const value = fc.oneof(fc.integer(), fc.string({ unit: 'grapheme' }), fc.constant(null))
    const names = fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1 }), {
      minLength: 1,
      maxLength: 6,
    })
    fc.assert(
      fc.property(names, fc.array(value, { minLength: 6, maxLength: 6 }), (columnNames, values) => {
        const columns = ['#', ...columnNames.filter((name) => name !== '#')].map((name) =>
          column(name, 'string'),
        )
        const of: Table = { name: 'shop.orders', columns, key: [0] }
        const cells = columns.map((_, at) => (at === 0 ? '1' : jsonCell(values[at - 1])))
        const [operation] = operationsOf(whole, { after: cells }, of)
        const expected = columns.map(
          ({ name }, at) =>
            `${JSON.stringify(name)}:${at === 0 ? 1 : JSON.stringify(values[at - 1] ?? null)}`,
        )
        assert.equal(operation?.body, `{${expected.join(',')}}`)
      }),
    )
  })

  it('cannot be made from a row that lacks columns which it shows, or which decide whether there is one', () => {
    const mapper = new Mapper(open)
    const lacks = (cells: readonly Cell[]): boolean =>
      mapper.map(entryOf({ after: cells })).incomplete.length > 0
    assert.ok(lacks(['7', undefined, null, null]))
    assert.ok(lacks(['7', '"open"', null, undefined]))
    assert.ok(!lacks(['7', '"open"', null, null]))
    const narrow = new Mapper({ ...open, fields: { number: 'id' } })
    assert.deepEqual(narrow.map(entryOf({ after: ['7', '"open"', undefined, undefined] })).incomplete, [])
    assert.deepEqual(narrow.map(entryOf({ after: ['7', undefined, null, null] })).incomplete, [0])
  })

  it('is deleted where the row before does not show whether there was one', () => {
    assert.deepEqual(kinds({ before: ['7', undefined, undefined, undefined] }), ['delete'])
  })

  it('has the same id from the key alone', () => {
    const of: Table = { ...table, key: [1, 0] }
    const mapper = new Mapper({ ...whole, idPrefix: 'p-' })
    for (const text of ['a', 'Köln', 'a,b', '"]', '\\', '[', ''])
      for (const state of [JSON.stringify(text), null]) {
        const cells: readonly Cell[] = ['7', state === null ? null : bytesOf(state), null, null]
        const entries = entryOf({ after: cells }, of)
        const [change] = [...entries.records]
        assert.ok(change !== undefined)
        const { id } = mapper.gone(of, change.key, 5n)
        assert.deepEqual(
          [id],
          Array.from(mapper.map(entries).works, ({ operation }) => operation.id),
        )
      }
  })
})

describe('a change', () => {
  it('becomes an index operation from the row after it, also when it was only read', () => {
    for (const images of [
      { after: row('a') },
      { after: row('a'), read: true },
      { before: row('b'), after: row('a') },
    ])
      assert.deepEqual(
        operationsOf(whole, images).map(({ op, id }) => [op, id]),
        [['index', '7']],
      )
  })

  it('becomes a delete when the row goes', () => {
    assert.deepEqual(operationsOf(whole, { before: row('a') }), [
      { op: 'delete', id: '7', version: 77n, routing: undefined, repeatable: true, body: undefined },
    ])
  })

  it('deletes the document of a row that leaves the filter, and makes that of one that enters it', () => {
    assert.deepEqual(kinds({ after: row('open') }), ['index'])
    assert.deepEqual(kinds({ before: row('open'), after: row('open') }), ['index'])
    assert.deepEqual(kinds({ before: row('shut'), after: row('open') }), ['index'])
    assert.deepEqual(kinds({ before: row('open'), after: row('shut') }), ['delete'])
    assert.deepEqual(kinds({ before: row('open') }), ['delete'])
    assert.deepEqual(kinds({ before: row('shut'), after: row('shut') }), [])
    assert.deepEqual(kinds({ after: row('shut') }), [])
    assert.deepEqual(kinds({ before: row('shut') }), [])
    assert.deepEqual(kinds({ after: row('shut'), read: true }), [])
  })

  it('follows each table definition that it meets', () => {
    const wider: Table = { ...table, columns: [...table.columns, column('extra', 'integer')] }
    const mapper = new Mapper(whole)
    const bodies = [table, wider, table].map((of) => {
      const cells = [...row('a'), '5'].slice(0, of.columns.length)
      const [work] = mapper.map(entryOf({ after: cells }, of)).works
      return work === undefined ? undefined : shown(work.operation).body
    })
    assert.equal(bodies[0], bodies[2])
    assert.equal(bodies[1], `${bodies[0]?.slice(0, -1)},"extra":5}`)
  })
})

describe('a definition', () => {
  it('is refused where it names what the table lacks', () => {
    for (const definition of [
      { ...whole, fields: { a: 'missing' } },
      { ...whole, id: ['missing'] },
      { ...whole, where: [{ column: 'missing', comparison: 'eq' as const, value: 1 }] },
    ]) {
      assert.throws(
        () => checkDefinition(definition, table),
        (error) =>
          error instanceof Failure && error.kind === 'configuration' && error.message.includes('missing'),
      )
    }
    assert.throws(() => checkDefinition({ ...whole, id: ['state'] }, table), /not part of the key/)
    checkDefinition({ ...open, fields: { a: 'day' }, id: ['id'] }, table)
  })

  it('goes without a column that a row is too old to have, and without the document where it decides on that', () => {
    const [operation] = operationsOf({ ...whole, fields: { b: 'state', a: 'later' } }, { after: row('a') })
    assert.equal(operation?.body, '{"b":"a"}')
    const where = [{ column: 'later', comparison: 'ne' as const, value: 1 }]
    assert.deepEqual(operationsOf({ ...whole, where }, { before: row('a'), after: row('b') }), [])
  })

  it('shows values in the forms that it asks for, under the fields that it names', () => {
    const fields = { id: 'id', exact: 'größe', cents: 'größe', day: 'day' }
    const forms = { id: 'string', cents: 'scaled', day: 'epoch_millis' } as const
    const [operation] = operationsOf({ ...whole, fields, forms }, { after: row('a') })
    assert.equal(operation?.body, '{"id":"7","exact":"1.50","cents":150,"day":1769817600000}')
    const [dateless] = operationsOf({ ...whole, fields, forms }, { after: ['7', null, null, '"0000-00-00"'] })
    assert.equal(dateless?.body, '{"id":"7","exact":null,"cents":null,"day":null}')
    assert.equal(operation?.id, '7')
  })

  it('leaves a value as it was where a row is older than the column that has the form', () => {
    const older: Table = { ...table, columns: table.columns.with(2, column('größe', 'string')) }
    const cells = ['7', null, '"big"', null]
    const [operation] = operationsOf({ ...whole, forms: { größe: 'scaled' } }, { after: cells }, older)
    assert.equal(operation?.body ?? '', '{"id":7,"state":null,"größe":"big","day":null}')
  })

  it('is refused for a form that the column cannot have, with those that it can', () => {
    const refused = (definition: Partial<DocumentDefinition>, message: RegExp, remedy: RegExp): void =>
      assert.throws(() => checkDefinition({ ...whole, ...definition }, table), {
        kind: 'configuration',
        message,
        remedy,
      })
    refused({ forms: { größe: 'wkt' } }, /größe \(decimal\) cannot be shown as wkt/, /string, number, scaled/)
    refused({ forms: { price: 'scaled' } }, /no field price/, /id, state, größe, day/)
    refused({ forms: { state: 'json' }, exclude: ['state'] }, /no field state/, /./)
    checkDefinition({ ...whole, forms: { größe: 'string', state: 'json' } }, table)
  })

  it('tells its fields and their columns', () => {
    const fields = documentFields({ ...whole, fields: { b: 'day', a: 'id' } }, table)
    assert.deepEqual(
      fields.map(({ field, column: { name } }) => [field, name]),
      [
        ['a', 'id'],
        ['b', 'day'],
      ],
    )
  })
})

function jsonCell(value: unknown): Cell {
  return value === null ? null : bytesOf(JSON.stringify(value))
}

function dateOf(day: string): string {
  const [operation] = operationsOf(
    { ...whole, fields: { day: 'day' } },
    { after: ['7', null, null, `"${day}"`] },
  )
  return operation?.body ?? ''
}

/** What the filter makes of it. */
function kinds(images: Images): string[] {
  return operationsOf(open, images).map(({ op }) => op)
}

describe('a row that says where its document lies', () => {
  const period = { column: 'day', prefix: 'orders-', format: 'YYYY_MM' }
  const placed: DocumentDefinition = { ...whole, placing: { routing: ['state'], period } }
  const places = (images: Images): readonly unknown[] =>
    operationsOf(placed, images).map(({ op, routing, index, vacates, everywhere }) =>
      [op, routing, index, vacates === true ? 'vacates' : '', everywhere === true ? 'everywhere' : '']
        .join(' ')
        .trim(),
    )

  it('is written there, by its routing and the period of its date', () => {
    assert.deepEqual(places({ after: placedRow('open', '2026-01-31') }), ['index open orders-2026_01'])
    assert.deepEqual(places({ after: placedRow(null, null) }), ['index  orders-undated'])
    assert.deepEqual(places({ after: placedRow('open', '2026-00-00') }), ['index open orders-undated'])
    assert.deepEqual(places({ before: placedRow('open', '2026-01-31') }), ['delete open orders-2026_01'])
  })

  it('leaves the old place when it moves, and only then', () => {
    const [january, february] = [placedRow('open', '2026-01-31'), placedRow('open', '2026-02-01')]
    assert.deepEqual(places({ before: january, after: placedRow('open', '2026-01-02') }), [
      'index open orders-2026_01',
    ])
    assert.deepEqual(places({ before: january, after: february }), [
      'index open orders-2026_02',
      'delete open orders-2026_01 vacates',
    ])
    assert.deepEqual(places({ before: january, after: placedRow('shut', '2026-01-31') }), [
      'index shut orders-2026_01',
      'delete open orders-2026_01 vacates',
    ])
  })

  it('is looked for everywhere where the image before does not show its place', () => {
    const unshown = ['7', undefined, undefined, undefined]
    assert.deepEqual(places({ before: unshown, after: placedRow('open', '2026-02-01') }), [
      'index open orders-2026_02  everywhere',
    ])
    assert.deepEqual(places({ before: unshown }), ['delete    everywhere'])
    const { everywhere } = new Mapper(placed).gone(table, keyOf(table, ['7']), 77n)
    assert.equal(everywhere, true)
  })

  it('needs columns that are there, and a date for a period', () => {
    const wrong: readonly (readonly [NonNullable<DocumentDefinition['placing']>, RegExp])[] = [
      [{ routing: ['nobody'], period: undefined }, /target\.routing: shop\.orders has no column nobody/],
      [
        { routing: [], period: { ...period, column: 'state' } },
        /state \(string\) is neither a date nor a time/,
      ],
    ]
    for (const [placing, message] of wrong)
      assert.throws(() => checkDefinition({ ...whole, placing }, table), { kind: 'configuration', message })
  })
})

function placedRow(state: string | null, day: string | null): readonly Cell[] {
  const [stateCell, dayCell] = [state, day].map((text) => (text === null ? null : JSON.stringify(text)))
  return ['7', stateCell, '"1.50"', dayCell]
}
