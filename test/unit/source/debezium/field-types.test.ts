import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../../src/change/failure.ts'
import { fieldOf, typeFrom, type FieldType } from '../../../../src/source/debezium/field-types.ts'

const decimal = 'org.apache.kafka.connect.data.Decimal'

function typeOf(type: string, name?: string, parameters: Readonly<Record<string, string>> = {}): FieldType {
  return { type, name, parameters, optional: true }
}

/** Type, JSON text in the message, cell, kind of the column. */
const cases: readonly (readonly [FieldType, string, string | undefined, string])[] = [
  [typeOf('int16'), '-7', '-7', 'integer'],
  [typeOf('int64'), '9223372036854775807', '9223372036854775807', 'integer'],
  [typeOf('int32'), '1.5', undefined, 'integer'],
  [typeOf('boolean'), 'true', '1', 'integer'],
  [typeOf('float'), '3.4E10', '34000000000', 'float'],
  [typeOf('double'), '0.1', '0.1', 'double'],
  [typeOf('double'), '"NaN"', undefined, 'double'],
  [typeOf('string'), String.raw`"a\u00e9\n"`, Buffer.from('"aé\\n"', 'utf8').toString('latin1'), 'string'],
  [typeOf('bytes'), '"AAEC"', '"AAEC"', 'blob'],
  [
    typeOf('bytes', decimal, { scale: '2', 'connect.decimal.precision': '10' }),
    '"BNI="',
    '"12.34"',
    'decimal',
  ],
  [typeOf('bytes', decimal, { scale: '2' }), '"/w=="', '"-0.01"', 'decimal'],
  [typeOf('bytes', decimal, { scale: '0' }), '"AP//////////"', '"18446744073709551615"', 'decimal'],
  [typeOf('bytes', decimal, { scale: '3' }), '1.5', '"1.500"', 'decimal'],
  [
    typeOf('string', undefined, { '__debezium.source.column.type': 'DECIMAL' }),
    '"1.50"',
    '"1.50"',
    'decimal',
  ],
  [typeOf('int32', 'io.debezium.time.Date'), '20414', '"2025-11-22"', 'date'],
  [typeOf('int32', 'io.debezium.time.Date'), '-1', '"1969-12-31"', 'date'],
  [typeOf('int64', 'io.debezium.time.Timestamp'), '1763805600123', '"2025-11-22T10:00:00.123"', 'datetime'],
  [typeOf('int64', 'io.debezium.time.MicroTimestamp'), '-1', '"1969-12-31T23:59:59.999999"', 'datetime'],
  [
    typeOf('string', 'io.debezium.time.ZonedTimestamp'),
    '"2025-11-22T10:00:00.5Z"',
    '"2025-11-22T10:00:00.5Z"',
    'timestamp',
  ],
  [
    typeOf('string', 'io.debezium.time.ZonedTimestamp'),
    '"2025-11-22T10:00:00+02:00"',
    '"2025-11-22T08:00:00Z"',
    'timestamp',
  ],
  [typeOf('string', 'io.debezium.time.ZonedTimestamp'), '"2025-11-22T10:00:00"', undefined, 'timestamp'],
  [typeOf('int64', 'io.debezium.time.MicroTime'), '-3020399500000', '"-838:59:59.500000"', 'time'],
  [typeOf('int32', 'io.debezium.time.Year'), '2025', '2025', 'year'],
  [typeOf('bytes', 'io.debezium.data.Bits', { length: '10' }), '"AQI="', '513', 'bit'],
  [typeOf('string', 'io.debezium.data.Enum', { allowed: "it's,b" }), '"b"', '"b"', 'enum'],
  [typeOf('string', 'io.debezium.data.EnumSet', { allowed: 'a,b' }), '"a,b"', '["a","b"]', 'set'],
  [typeOf('string', 'io.debezium.data.Json'), String.raw`"{\"n\":1.10}"`, '{"n":1.10}', 'json'],
]

test('every type of a schema block gives the exact cell of its column, or none', () => {
  for (const [type, raw, cell, kind] of cases) {
    const field = fieldOf('it', type)
    assert.equal(field.cellOf(raw), cell, `${type.name ?? type.type} ${raw}`)
    assert.equal(field.column.kind, kind)
  }
})

test('what would lose digits, or is not known, is refused by name', () => {
  const rounded = typeOf('double', undefined, { '__debezium.source.column.type': 'DECIMAL' })
  assert.throws(() => fieldOf('price', rounded), /price is a decimal that was rounded/)
  const shape = typeOf('struct', 'io.debezium.data.geometry.Point')
  assert.throws(
    () => fieldOf('place', shape),
    (error) =>
      error instanceof Failure && error.kind === 'unsupported' && /place is io.debezium/.test(error.message),
  )
})

test('the settings say types in the words of the schema block', () => {
  assert.equal(fieldOf('a', typeFrom('decimal(2)')).cellOf('"BNI="'), '"12.34"')
  assert.equal(fieldOf('a', typeFrom('io.debezium.time.MicroTimestamp')).column.kind, 'datetime')
  assert.equal(fieldOf('a', typeFrom('io.debezium.data.Bits(3)')).column.type, 'bit(3)')
  assert.equal(fieldOf('a', typeFrom('int64')).column.type, 'bigint')
  assert.throws(() => fieldOf('a', typeFrom('varchar')), /is varchar, which is not known/)
})
