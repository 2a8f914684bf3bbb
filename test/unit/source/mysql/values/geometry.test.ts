import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Failure } from '../../../../../src/change/failure.ts'
import {
  geometryCell,
  geometryCode,
  geometryName,
  geometryNamed,
} from '../../../../../src/source/mysql/values/geometry.ts'

function cellOf(hex: string): string {
  const body = Buffer.from(hex, 'hex')
  return geometryCell(body, 0, body.length)
}

function point(x: number, y: number): string {
  const body = Buffer.alloc(25)
  body[4] = 1
  body[5] = 1
  body.writeDoubleLE(x, 9)
  body.writeDoubleLE(y, 17)
  return geometryCell(body, 0, 25)
}

/** What MySQL 9.7 keeps of each. */
const samples: readonly (readonly [hex: string, json: string])[] = [
  ['e6100000010100000000000000000000400000000000004840', '{"type":"Point","coordinates":[2,48],"srid":4326}'],
  [
    '00000000010200000002000000000000000000000000000000000000000000000000 00f03f000000000000f03f'.replace(
      ' ',
      '',
    ),
    '{"type":"LineString","coordinates":[[0,0],[1,1]],"srid":0}',
  ],
  [
    '0000000001040000000200000001010000000000 00000000f03f00000000000000400101000000000000000000084000000000000010 40'.replaceAll(
      ' ',
      '',
    ),
    '{"type":"MultiPoint","coordinates":[[1,2],[3,4]],"srid":0}',
  ],
  ['00000000010700000000000000', '{"type":"GeometryCollection","geometries":[],"srid":0}'],
  [
    '0000000001070000000100000001070000000000000 0'.replace(' ', ''),
    '{"type":"GeometryCollection","geometries":[{"type":"GeometryCollection","geometries":[]}],"srid":0}',
  ],
  ['00000000010400000000000000', '{"type":"MultiPoint","coordinates":[],"srid":0}'],
  // Big-endian.
  [
    'ffffffff00000000013ff00000000000004000000000000000',
    '{"type":"Point","coordinates":[1,2],"srid":4294967295}',
  ],
  ['', 'null'],
]

test('a geometry is GeoJSON with its reference system', () => {
  for (const [hex, json] of samples) assert.equal(cellOf(hex), json)
})

test('coordinates are the shortest text of their doubles, and what JSON lacks is a string', () => {
  assert.equal(point(0.1, -0), '{"type":"Point","coordinates":[0.1,-0],"srid":0}')
  assert.equal(point(NaN, -Infinity), '{"type":"Point","coordinates":["NaN","-Infinity"],"srid":0}')
  assert.equal(point(1e21, 5e-324), '{"type":"Point","coordinates":[1e+21,5e-324],"srid":0}')
})

test('a geometry that is cut short, overlong or damaged is a Failure and nothing else', () => {
  for (const [hex] of samples.filter(([each]) => each !== '')) {
    const body = Buffer.from(hex, 'hex')
    for (let end = 1; end < body.length; end++) assert.throws(() => geometryCell(body, 0, end), isFailure)
    assert.throws(() => cellOf(`${hex}00`), isFailure)
    fc.assert(
      fc.property(fc.nat(body.length - 1), fc.nat(255), (at, value) => {
        const damaged = Buffer.from(body)
        damaged[at] = value
        try {
          geometryCell(damaged, 0, damaged.length)
        } catch (error) {
          assert.ok(isFailure(error), String(error))
        }
      }),
    )
  }
})

test('further dimensions, and collections without end, are refused', () => {
  const head = '01e9030000'
  assert.throws(() => cellOf(`00000000${head}${'00'.repeat(24)}`), { kind: 'unsupported', message: /1001/ })
  assert.throws(() => cellOf(`00000000${'010700000001000000'.repeat(100_000)}010700000000000000`), {
    kind: 'unsupported',
  })
})

test('the kinds of columns have the same names by code and by word', () => {
  assert.equal(geometryName(0), 'geometry')
  assert.equal(geometryName(7), 'geometrycollection')
  assert.equal(geometryName(8), undefined)
  assert.equal(geometryNamed('geomcollection'), 'geometrycollection')
  assert.equal(geometryNamed('text'), undefined)
  assert.equal(geometryCode('polygon'), 3)
})

function isFailure(error: unknown): boolean {
  return error instanceof Failure
}
