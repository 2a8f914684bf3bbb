/** A column of each kind of geometry, with its extremes, and random ones. */
import * as fc from 'fast-check'
import type { TypeCase } from './type-case.ts'

const anywhere = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -180, max: 180 }),
  fc.constantFrom(0.1, -0, 1e21, 5e-324),
)
const position = fc.tuple(anywhere, anywhere).map(([x, y]) => `${shown(x)} ${shown(y)}`)
const line = fc.array(position, { minLength: 2, maxLength: 5 }).map((parts) => parts.join(','))
const ring = fc.array(position, { minLength: 3, maxLength: 5 }).map((parts) => [...parts, parts[0]].join(','))
const polygon = fc.array(ring, { minLength: 1, maxLength: 3 }).map((rings) => `(${joined(rings)})`)
const few = { minLength: 1, maxLength: 3 }

/** Well-known texts by the name of the type. */
const texts = {
  point: position.map((text) => `POINT(${text})`),
  linestring: line.map((text) => `LINESTRING(${text})`),
  polygon: polygon.map((text) => `POLYGON${text}`),
  multipoint: fc.array(position, few).map((parts) => `MULTIPOINT(${parts.join(',')})`),
  multilinestring: fc.array(line, few).map((lines) => `MULTILINESTRING(${joined(lines)})`),
  multipolygon: fc.array(polygon, few).map((parts) => `MULTIPOLYGON(${parts.join(',')})`),
}
const simple = fc.oneof(...Object.values(texts))
const collection = fc.array(simple, few).map((parts) => `GEOMETRYCOLLECTION(${parts.join(',')})`)

/** By column name. */
export const everyGeometry: Readonly<Record<string, TypeCase>> = {
  point_: of('point', texts.point, [
    ['POINT(1 2)', '{"type":"Point","coordinates":[1,2],"srid":0}'],
    ['POINT(-0.1 1e21)', '{"type":"Point","coordinates":[-0.1,1e+21],"srid":0}'],
    [
      'POINT(1.7976931348623157e308 5e-324)',
      '{"type":"Point","coordinates":[1.7976931348623157e+308,5e-324],"srid":0}',
    ],
  ]),
  linestring_: of('linestring', texts.linestring, [
    ['LINESTRING(0 0,0 0)', '{"type":"LineString","coordinates":[[0,0],[0,0]],"srid":0}'],
  ]),
  polygon_: of('polygon', texts.polygon, [
    [
      'POLYGON((0 0,9 0,9 9,0 0),(1 1,2 1,2 2,1 1))',
      '{"type":"Polygon","coordinates":[[[0,0],[9,0],[9,9],[0,0]],[[1,1],[2,1],[2,2],[1,1]]],"srid":0}',
    ],
  ]),
  multipoint_: of('multipoint', texts.multipoint, [
    ['MULTIPOINT(1 2,3 4)', '{"type":"MultiPoint","coordinates":[[1,2],[3,4]],"srid":0}'],
  ]),
  multilinestring_: of('multilinestring', texts.multilinestring, [
    [
      'MULTILINESTRING((1 2,3 4),(5 6,7 8))',
      '{"type":"MultiLineString","coordinates":[[[1,2],[3,4]],[[5,6],[7,8]]],"srid":0}',
    ],
  ]),
  multipolygon_: of('multipolygon', texts.multipolygon, [
    [
      'MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))',
      '{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]],[[[5,5],[6,5],[6,6],[5,5]]]],"srid":0}',
    ],
  ]),
  collection_: of('geometrycollection', collection, [
    ['GEOMETRYCOLLECTION()', '{"type":"GeometryCollection","geometries":[],"srid":0}'],
    [
      'GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))',
      '{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]},' +
        '{"type":"LineString","coordinates":[[0,0],[1,1]]}],"srid":0}',
    ],
  ]),
  nested_: {
    // MariaDB reads no collections in collections.
    only: ['mysql', 'mysql@8.0', 'mysql@5.7'],
    ...of('geometry', collection, [
      [
        'GEOMETRYCOLLECTION(POINT(1 2),GEOMETRYCOLLECTION(LINESTRING(0 0,1 1)))',
        '{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]},' +
          '{"type":"GeometryCollection","geometries":[{"type":"LineString","coordinates":[[0,0],[1,1]]}]}],"srid":0}',
      ],
    ]),
  },
  geometry_: {
    sql: 'geometry',
    extremes: [
      // Longitude first, as GeoJSON has it, however the server's texts are ordered.
      [located('POINT(2 48)'), '{"type":"Point","coordinates":[2,48],"srid":4326}'],
      [
        "st_geomfromtext('POINT(500000 4649776)', 32631)",
        '{"type":"Point","coordinates":[500000,4649776],"srid":32631}',
      ],
      [
        "st_geomfromwkb(x'0101000000000000000000f87f0000000000000040')",
        '{"type":"Point","coordinates":["NaN",2],"srid":0}',
      ],
      [
        "st_geomfromwkb(x'00000000013ff00000000000004000000000000000')",
        '{"type":"Point","coordinates":[1,2],"srid":0}',
      ],
    ],
    random: fc.oneof(
      simple.map((text) => `st_geomfromtext('${text}')`),
      fc
        .tuple(
          fc.double({ min: -180, max: 180, noNaN: true, minExcluded: true }),
          fc.double({ min: -90, max: 90, noNaN: true }),
        )
        .map(([x, y]) => located(`POINT(${shown(x)} ${shown(y)})`)),
    ),
  },
}

/** Of well-known text in longitude and latitude; MariaDB takes every text as x and y. */
function located(text: string): string {
  return `st_geomfromtext('${text}', 4326 /*!80000 , 'axis-order=long-lat' */)`
}

function of(sql: string, random: fc.Arbitrary<string>, extremes: TypeCase['extremes']): TypeCase {
  return {
    sql,
    extremes: extremes.map(([text, json]) => [`st_geomfromtext('${text}')`, json]),
    random: random.map((text) => `st_geomfromtext('${text}')`),
  }
}

function joined(parts: readonly string[]): string {
  return parts.map((part) => `(${part})`).join(',')
}

function shown(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}
