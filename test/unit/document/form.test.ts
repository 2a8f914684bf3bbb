import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Column, ColumnKind } from '../../../src/change/change.ts'
import { bytesOf } from '../../../src/change/row.ts'
import { forms, type Form } from '../../../src/document/definition.ts'
import { cellForm, formsOf } from '../../../src/document/form.ts'

function column(kind: ColumnKind, more: Partial<Column> = {}): Column {
  return { name: 'c', kind, type: kind, nullable: true, ...more }
}

function shown(kind: ColumnKind, form: Form, cell: string, more: Partial<Column> = {}): string {
  return cellForm(column(kind, more), form)?.(cell) ?? cell
}

const cases: readonly (readonly [kind: ColumnKind, form: Form, cell: string, shown: string])[] = [
  ['integer', 'number', '7', '7'],
  ['integer', 'string', '18446744073709551615', '"18446744073709551615"'],
  ['integer', 'boolean', '0', 'false'],
  ['integer', 'boolean', '-1', 'true'],
  ['bit', 'boolean', '1', 'true'],
  ['bit', 'string', '18446744073709551615', '"18446744073709551615"'],
  ['year', 'string', '0', '"0"'],
  ['double', 'string', '1e+21', '"1e+21"'],
  ['decimal', 'number', '"-0.10"', '-0.10'],
  ['decimal', 'scaled', '"12.30"', '1230'],
  ['decimal', 'scaled', '"-0.05"', '-5'],
  ['decimal', 'scaled', '"0.00"', '0'],
  ['decimal', 'scaled', '"-7"', '-7'],
  ['decimal', 'scaled', `"${'9'.repeat(35)}.${'9'.repeat(30)}"`, '9'.repeat(65)],
  ['date', 'epoch_millis', '"1970-01-02"', '86400000'],
  ['date', 'epoch_second', '"0001-01-01"', '-62135596800'],
  ['date', 'epoch_second', '"9999-12-31"', '253402214400'],
  ['datetime', 'epoch_millis', '"1969-12-31T23:59:59.999"', '-1'],
  ['datetime', 'epoch_millis', '"1969-12-31T23:59:59.999999"', '-0.001'],
  ['timestamp', 'epoch_millis', '"2024-05-31T12:34:56.123456Z"', '1717158896123.456'],
  ['timestamp', 'epoch_second', '"2024-05-31T12:34:56.500Z"', '1717158896.5'],
  ['timestamp', 'epoch_second', '"2024-05-31T12:34:56Z"', '1717158896'],
  ['time', 'seconds', '"-838:59:59.500000"', '-3020399.5'],
  ['time', 'seconds', '"-00:00:00.000001"', '-0.000001'],
  ['time', 'seconds', '"00:00:00"', '0'],
  ['string', 'json', '"{\\"a\\": 12345678901234567890.10}"', '{"a": 12345678901234567890.10}'],
  ['text', 'json', '"[1,\\n2]"', '[1, 2]'],
  ['text', 'json', bytesOf('"[\\"ж\\"]"'), bytesOf('["ж"]')],
  ['text', 'json', '"no json"', '"no json"'],
  ['text', 'json', '""', '""'],
  ['set', 'string', bytesOf('["a","ü"]'), bytesOf('"a,ü"')],
  ['set', 'string', '[]', '""'],
  ['binary', 'hex', '"AP8="', '"00ff"'],
  ['blob', 'hex', '""', '""'],
  ['json', 'string', '{"a": "\\n"}', '"{\\"a\\": \\"\\\\n\\"}"'],
  ['vector', 'string', '[1,2.5]', '"[1,2.5]"'],
  ['uuid', 'hex', '"ca85c9a2-d4aa-11ee-a506-0242ac120002"', '"ca85c9a2d4aa11eea5060242ac120002"'],
  [
    'geometry',
    'geojson',
    '{"type":"Point","coordinates":[1,2],"srid":4326}',
    '{"type":"Point","coordinates":[1,2]}',
  ],
  ['geometry', 'geojson', 'null', 'null'],
  ['geometry', 'wkt', 'null', 'null'],
  ['geometry', 'wkb', 'null', 'null'],
  ['geometry', 'wkt', '{"type":"Point","coordinates":[-0,1e+21],"srid":0}', '"POINT (-0 1e+21)"'],
  [
    'geometry',
    'wkb',
    '{"type":"Point","coordinates":[2,48],"srid":4326}',
    `"${Buffer.from('010100000000000000000000400000000000004840', 'hex').toString('base64')}"`,
  ],
]

test('each form shows a value as it says', () => {
  for (const [kind, form, cell, expected] of cases) {
    assert.equal(shown(kind, form, cell), expected, `${kind} as ${form}`)
    JSON.parse(expected)
  }
})

test('labels are shown as their numbers, where each label is another one', () => {
  const words = ['new', "it's", 'grün', 'a,b"c', '\\']
  for (const [at, word] of words.entries()) {
    const cell = bytesOf(JSON.stringify(word))
    assert.equal(shown('enum', 'number', cell, { type: labelled('enum', words) }), String(at + 1))
    assert.equal(shown('set', 'number', `[${cell}]`, { type: labelled('set', words) }), String(2 ** at))
  }
  assert.equal(shown('enum', 'number', '""', { type: labelled('enum', words) }), '0')
  const many = Array.from({ length: 64 }, (_, at) => `label ${at}`)
  assert.equal(
    shown('set', 'number', JSON.stringify(many), { type: labelled('set', many) }),
    '18446744073709551615',
  )
  assert.equal(shown('set', 'number', '[]', { type: labelled('set', many) }), '0')
  for (const labels of [
    ['a', ''],
    ['a', 'b', 'a'],
  ])
    assert(!formsOf(column('enum', { type: labelled('enum', labels) })).includes('number'))
})

function labelled(name: string, labels: readonly string[]): string {
  return `${name}(${labels.map((label) => `'${label.replaceAll("'", "''")}'`).join(',')})`
}

test('well-known text of every geometry', () => {
  const texts: readonly (readonly [json: string, wkt: string])[] = [
    ['{"type":"LineString","coordinates":[[0,0],[1,1]]}', 'LINESTRING (0 0, 1 1)'],
    [
      '{"type":"Polygon","coordinates":[[[0,0],[9,0],[9,9],[0,0]],[[1,1],[2,1],[2,2],[1,1]]]}',
      'POLYGON ((0 0, 9 0, 9 9, 0 0), (1 1, 2 1, 2 2, 1 1))',
    ],
    ['{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}', 'MULTIPOINT ((1 2), (3 4))'],
    ['{"type":"MultiPoint","coordinates":[]}', 'MULTIPOINT EMPTY'],
    ['{"type":"MultiLineString","coordinates":[[[1,2],[3,4]]]}', 'MULTILINESTRING ((1 2, 3 4))'],
    [
      '{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]]]}',
      'MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))',
    ],
    [
      '{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":["NaN",2]}]}',
      'GEOMETRYCOLLECTION (POINT (NaN 2))',
    ],
    ['{"type":"GeometryCollection","geometries":[]}', 'GEOMETRYCOLLECTION EMPTY'],
  ]
  for (const [json, wkt] of texts) assert.equal(shown('geometry', 'wkt', json), `"${wkt}"`)
})

test('bytes are shown as a UUID where there are 16 of them', () => {
  const id = 'yoXJotSqEe6lBgJCrBIAAg=='
  assert.equal(shown('binary', 'uuid', `"${id}"`, { length: 16 }), '"ca85c9a2-d4aa-11ee-a506-0242ac120002"')
  assert.equal(shown('binary', 'uuid', '"AP8="', { length: 16 }), '"AP8="')
  assert.ok(formsOf(column('binary', { length: 16 })).includes('uuid'))
  assert.ok(!formsOf(column('binary', { length: 17 })).includes('uuid'))
})

test('the form that a value has already costs nothing, and one that it cannot have changes nothing', () => {
  assert.equal(cellForm(column('integer'), 'number'), undefined)
  assert.equal(cellForm(column('integer'), undefined), undefined)
  assert.equal(cellForm(column('integer'), 'wkt'), undefined)
})

test('every form is one of some kind of column', () => {
  const kinds: readonly ColumnKind[] = [
    'integer',
    'decimal',
    'date',
    'time',
    'text',
    'set',
    'blob',
    'json',
    'geometry',
  ]
  const used = new Set(kinds.flatMap((kind) => formsOf(column(kind))))
  assert.deepEqual(
    forms.filter((form) => !used.has(form)),
    [],
  )
})
