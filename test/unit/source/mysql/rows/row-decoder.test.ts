import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Change } from '../../../../../src/change/change.ts'
import { Failure } from '../../../../../src/change/failure.ts'
import { RecordsBuilder } from '../../../../../src/change/records.ts'
import { keyOf, textOf, unpackRow } from '../../../../../src/change/row.ts'
import { rowsOf, type RowsEvent } from '../../../../../src/source/mysql/rows/row-decoder.ts'
import { parseTableMap, type TableContext } from '../../../../../src/source/mysql/rows/table-map.ts'
import { contextOf, samples, type Samples } from '../../../../support/binlog-samples.ts'

const first = [
  '7',
  '"Grüße"',
  `"it's"`,
  '["a","ü"]',
  '"-12.30"',
  String.raw`"a \"quoted\" Ж"`,
  '"2024-05-31T12:34:56.789"',
  '"AP8="',
]
const paid = first.with(4, '"0.00"')
const empty = (id: string): (string | null)[] => [id, '""', null, null, null, null, null, null]

for (const flavor of ['mysql', 'mariadb'] as const) {
  const sample = samples[flavor]

  test(`${flavor}: an insert of two rows gives two changes, in order`, () => {
    const { changes, rows } = decode(sample, 'insert', sample.insert)
    assert.equal(rows, 2)
    assert.deepEqual(changes.map(shown), [
      { op: 'insert', key: '[7]', before: undefined, after: first },
      { op: 'insert', key: '[8]', before: undefined, after: empty('8') },
    ])
  })

  test(`${flavor}: an update gives the row before and after`, () => {
    const { changes } = decode(sample, 'update', sample.update)
    assert.deepEqual(changes.map(shown), [{ op: 'update', key: '[7]', before: first, after: paid }])
  })

  test(`${flavor}: an update of the key gives a delete and an insert`, () => {
    const { changes, rows } = decode(sample, 'update', sample.keyChange)
    assert.equal(rows, 1)
    assert.deepEqual(changes.map(shown), [
      { op: 'delete', key: '[8]', before: empty('8'), after: undefined },
      { op: 'insert', key: '[9]', before: undefined, after: empty('9') },
    ])
  })

  test(`${flavor}: a delete gives the row before`, () => {
    const { changes } = decode(sample, 'delete', sample.delete)
    assert.deepEqual(changes.map(shown), [{ op: 'delete', key: '[9]', before: empty('9'), after: undefined }])
  })
}

test('every change carries the time of its commit and the one shared table', () => {
  const { changes } = decode(samples.mysql, 'insert', samples.mysql.insert)
  assert.deepEqual(
    changes.map(({ committedAtMs }) => committedAtMs),
    [1234, 1234],
  )
  assert.equal(changes[0]?.table, changes[1]?.table)
})

test('the key of a change is the key of its row', () => {
  const { changes } = decode(samples.mysql, 'insert', samples.mysql.insert)
  for (const { table, key, after } of changes) {
    assert.ok(after !== undefined)
    assert.equal(key, keyOf(table, unpackRow(after, table.columns.length)))
  }
})

test('an excluded column is passed over, whatever its length', () => {
  const excluded = new Set(['name', 'tags', 'note'])
  const { changes } = decode(samples.mysql, 'insert', samples.mysql.insert, { excluded: () => excluded })
  assert.deepEqual(
    changes.map((change) => shown(change).after),
    [[0, 2, 4, 6, 7].map((index) => first[index]), ['8', null, null, null, null]],
  )
})

test('a configured key of several columns stands in its own order', () => {
  const map = samples.mariadb.map
  const keyless = { ...samples.mariadb, map: map.subarray(0, map.length - 3) }
  const { changes } = decode(keyless, 'insert', keyless.insert, { keyColumns: () => ['name', 'id'] })
  assert.deepEqual(
    changes.map(({ key }) => textOf(key)),
    ['["Grüße",7]', '["",8]'],
  )
})

/** A rows event of the sample's table: hex of the bits that say what is present, and of the images. */
function minimal(hex: string): readonly [Buffer, number] {
  return [Buffer.from(`8000000000001100020008${hex.replaceAll(' ', '')}`, 'hex'), 10]
}

const absent = (from: number): undefined[] => Array.from({ length: 8 - from }, () => undefined)

test('columns that an image does not show are absent, which is not NULL', () => {
  const deleted = decode(samples.mysql, 'delete', minimal('01 0009000000'))
  assert.deepEqual(deleted.changes.map(shown), [
    { op: 'delete', key: '[9]', before: ['9', ...absent(1)], after: undefined },
  ])
  const inserted = decode(samples.mysql, 'insert', minimal('03 00070000000141 0208000000'))
  assert.deepEqual(inserted.changes.map(shown), [
    { op: 'insert', key: '[7]', before: undefined, after: ['7', '"A"', ...absent(2)] },
    { op: 'insert', key: '[8]', before: undefined, after: ['8', null, ...absent(2)] },
  ])
})

test('an update that does not show its key again has the key before', () => {
  const { changes } = decode(samples.mysql, 'update', minimal('0102 0007000000 000141'))
  assert.deepEqual(changes.map(shown), [
    { op: 'update', key: '[7]', before: ['7', ...absent(1)], after: [undefined, '"A"', ...absent(2)] },
  ])
})

test('an update of the key that shows no more gives a delete and an insert', () => {
  const { changes } = decode(samples.mysql, 'update', minimal('0103 0008000000 00090000000142'))
  assert.deepEqual(changes.map(shown), [
    { op: 'delete', key: '[8]', before: ['8', ...absent(1)], after: undefined },
    { op: 'insert', key: '[9]', before: undefined, after: ['9', '"B"', ...absent(2)] },
  ])
})

test('an image without the key is refused with the statement that mends it', () => {
  for (const [kind, hex] of [
    ['insert', '02000141'],
    ['delete', '02000141'],
    ['update', '0202000141000142'],
  ] as const)
    assert.throws(
      () => decode(samples.mysql, kind, minimal(hex)),
      (error) =>
        error instanceof Failure &&
        error.kind === 'unsupported' &&
        /primary key.*binlog_row_image = FULL/.test(error.remedy ?? ''),
    )
})

test('an event with another number of columns than its table map is corrupt', () => {
  const [body, from] = samples.mysql.insert
  const strange = Buffer.from(body)
  strange[from] = 9
  assert.throws(() => decode(samples.mysql, 'insert', [strange, from]), corrupt)
})

test('an event that ends inside a row is corrupt, wherever it ends', () => {
  const [body, from] = samples.mysql.update
  for (let to = from + 3 + 1; to < body.length; to++)
    assert.throws(
      () => decode(samples.mysql, 'update', [body.subarray(0, to), from]),
      corrupt,
      `cut at ${to}`,
    )
})

test('an event with bytes behind its last row is corrupt', () => {
  const [body, from] = samples.mysql.delete
  const overlong = Buffer.concat([body, Buffer.from([0xfc, 1])])
  assert.throws(() => decode(samples.mysql, 'delete', [overlong, from]), corrupt)
})

test('damaged rows give rows of valid JSON, or a Failure', () => {
  const [body, from] = samples.mysql.insert
  const damage = fc.array(fc.tuple(fc.integer({ min: from, max: body.length - 1 }), fc.nat(255)), {
    maxLength: 4,
  })
  fc.assert(
    fc.property(damage, (bytes) => {
      const damaged = Buffer.from(body)
      for (const [at, value] of bytes) damaged[at] = value
      try {
        const { changes } = decode(samples.mysql, 'insert', [damaged, from])
        const cells = changes.flatMap((change) => shown(change).after ?? [])
        for (const cell of cells) JSON.parse(cell ?? 'null')
      } catch (error) {
        assert.ok(error instanceof Failure, String(error))
      }
    }),
    { numRuns: 3000 },
  )
})

function corrupt(error: unknown): boolean {
  return error instanceof Failure && error.kind === 'corrupt'
}

function decode(
  sample: Samples,
  kind: RowsEvent['kind'],
  body: readonly [Buffer, number],
  some: Partial<TableContext> = {},
): { readonly changes: readonly Change[]; readonly rows: number } {
  const builder = new RecordsBuilder()
  const rows = rowsOf(mapOf(sample, some), eventOf(kind, body), builder)
  return { changes: [...builder.finish()], rows }
}

function mapOf({ map }: Samples, some: Partial<TableContext> = {}): ReturnType<typeof parseTableMap> {
  return parseTableMap(map, 0, map.length, contextOf(some))
}

function eventOf(kind: RowsEvent['kind'], [body, from]: readonly [Buffer, number]): RowsEvent {
  return { kind, body, from, to: body.length, committedAtMs: 1234 }
}

/** A change as a person reads it. */
function shown({ op, table, key, before, after }: Change): {
  readonly op: string
  readonly key: string
  readonly before: readonly (string | null | undefined)[] | undefined
  readonly after: readonly (string | null | undefined)[] | undefined
} {
  const cells = (row: typeof before): readonly (string | null | undefined)[] | undefined =>
    row === undefined
      ? undefined
      : unpackRow(row, table.columns.length).map((cell) => (typeof cell === 'string' ? textOf(cell) : cell))
  return { op, key: textOf(key), before: cells(before), after: cells(after) }
}
