/** A column of each kind, with cells at its limits. */
import type { Column } from '../../src/change/change.ts'

type Kind = { readonly column: Omit<Column, 'name'>; readonly cells: readonly [string, string] }

const of = (column: Omit<Column, 'name' | 'nullable' | 'type'>, ...cells: [string, string]): Kind => ({
  column: { ...column, type: column.kind, nullable: true },
  cells,
})

/** The least and the greatest, or the strangest, of each kind. */
export const everyKind: Readonly<Record<string, Kind>> = {
  tiny: of({ kind: 'integer', length: 1 }, '-128', '127'),
  tinyUnsigned: of({ kind: 'integer', length: 1, unsigned: true }, '0', '255'),
  small: of({ kind: 'integer', length: 2 }, '-32768', '32767'),
  smallUnsigned: of({ kind: 'integer', length: 2, unsigned: true }, '0', '65535'),
  mediumUnsigned: of({ kind: 'integer', length: 3, unsigned: true }, '0', '16777215'),
  int: of({ kind: 'integer', length: 4 }, '-2147483648', '2147483647'),
  intUnsigned: of({ kind: 'integer', length: 4, unsigned: true }, '0', '4294967295'),
  big: of({ kind: 'integer', length: 8 }, '-9223372036854775808', '9223372036854775807'),
  bigUnsigned: of({ kind: 'integer', length: 8, unsigned: true }, '0', '18446744073709551615'),
  price: of({ kind: 'decimal', precision: 10, scale: 2 }, '"-99999999.99"', '"0.10"'),
  long: of({ kind: 'decimal', precision: 65, scale: 30 }, `"${'9'.repeat(35)}.${'9'.repeat(30)}"`, '"0"'),
  float: of({ kind: 'float' }, '-3.4028235e+38', '0.1'),
  double: of({ kind: 'double' }, '-1.7976931348623157e+308', '5e-324'),
  bit1: of({ kind: 'bit', length: 1 }, '0', '1'),
  bit64: of({ kind: 'bit', length: 64 }, '0', '18446744073709551615'),
  year: of({ kind: 'year' }, '0', '2155'),
  date: of({ kind: 'date' }, '"1000-01-01"', '"9999-12-31"'),
  datetime: of({ kind: 'datetime' }, '"1000-01-01T00:00:00"', '"9999-12-31T23:59:59.999999"'),
  timestamp: of({ kind: 'timestamp' }, '"1970-01-01T00:00:01Z"', '"2038-01-19T03:14:07.123456Z"'),
  time: of({ kind: 'time' }, '"-838:59:59.000000"', '"838:59:59"'),
  string: of({ kind: 'string', length: 255 }, '""', JSON.stringify('😀'.repeat(16_383))),
  text: of({ kind: 'text' }, '"a"', JSON.stringify('b'.repeat(100_000))),
  enum: of({ kind: 'enum' }, '""', '"grün"'),
  set: of({ kind: 'set' }, '[]', '["a","b"]'),
  binary: of({ kind: 'binary', length: 3 }, '"AAAA"', '"////"'),
  blob: of({ kind: 'blob' }, '""', '"AAECAw=="'),
  json: of({ kind: 'json' }, '[1, {"a": "x"}, 1e400]', '{"a": 7, "": null}'),
  geometry: of(
    { kind: 'geometry' },
    '{"type":"Point","coordinates":["NaN",1e+308],"srid":4326}',
    '{"type":"GeometryCollection","geometries":[],"srid":0}',
  ),
  vector: of({ kind: 'vector' }, '[0.5,-1]', '[]'),
  uuid: of(
    { kind: 'uuid' },
    '"00000000-0000-0000-0000-000000000000"',
    '"ffffffff-ffff-ffff-ffff-ffffffffffff"',
  ),
  address: of({ kind: 'address' }, '"127.0.0.1"', '"2001:db8::ff00:42:8329"'),
}
