/**
 * Geometries, as both servers keep them: the SRID in four bytes, little-endian, then well-known binary.
 *
 *   order 1 (0 big-endian, 1 little-endian) · type 4 · content
 *   Point        x 8 · y 8                      LineString    count 4 · points
 *   Polygon      count 4 · rings (count 4 · points)
 *   Multi..., GeometryCollection                count 4 · geometries with order and type of their own
 *
 * In JSON: the GeoJSON of the same name with the coordinates as they are kept (x, y), and the SRID beside them. MySQL keeps
 * longitude before latitude in every geographic reference system, whichever order its texts have; MariaDB keeps what it
 * was given.
 */
import { Failure } from '../../../change/failure.ts'
import { doubleCell } from './values.ts'

/** By their codes in well-known binary. */
const GEOMETRIES = [
  'Geometry',
  'Point',
  'LineString',
  'Polygon',
  'MultiPoint',
  'MultiLineString',
  'MultiPolygon',
  'GeometryCollection',
] as const

type Shape = Exclude<(typeof GEOMETRIES)[number], 'Geometry'>

/** What a column of geometries may hold, in the servers' words: `point`; `geometry` is any. */
export type GeometryName = Lowercase<(typeof GEOMETRIES)[number]>

/** The name for the code that a TABLE_MAP event has; undefined = none of those known. */
export function geometryName(code: number): GeometryName | undefined {
  return GEOMETRIES[code]?.toLowerCase() as GeometryName | undefined
}

/** The code that a TABLE_MAP event has for the name. */
export function geometryCode(name: GeometryName): number {
  return GEOMETRIES.findIndex((each) => each.toLowerCase() === name)
}

/** The name for the servers' own; MySQL 8 says `geomcollection`. */
export function geometryNamed(dataType: string): GeometryName | undefined {
  const name = dataType === 'geomcollection' ? 'geometrycollection' : dataType
  return GEOMETRIES.map((each) => each.toLowerCase() as GeometryName).find((each) => each === name)
}

/** Collections may hold collections; deeper ones no reader of JSON takes. */
const depthMax = 500

/**
 * A value without bytes, which MariaDB and MySQL 5.7 give a column that is NOT NULL where nobody gave one, is null. Throws a
 * Failure: `corrupt`, or `unsupported` for dimensions beyond x and y.
 */
export function geometryCell(body: Buffer, from: number, to: number): string {
  if (to === from) return 'null'
  if (to - from < 4) throw broken()
  const reader = new GeometryReader(body, from + 4, to)
  const members = reader.geometry(0)
  if (reader.left > 0) throw broken()
  return `{${members},"srid":${body.readUInt32LE(from)}}`
}

class GeometryReader {
  readonly #body: Buffer
  readonly #to: number
  #at: number
  #isLittle = true

  constructor(body: Buffer, from: number, to: number) {
    this.#body = body
    this.#at = from
    this.#to = to
  }

  get left(): number {
    return this.#to - this.#at
  }

  /** Its members, without the braces. */
  geometry(depth: number): string {
    if (depth > depthMax)
      throw new Failure('unsupported', `a geometry of more than ${depthMax} collections in each other`, {
        remedy: 'exclude the column',
      })
    const name = this.#header()
    const isCollection = name === 'GeometryCollection'
    const content = isCollection
      ? this.#several(() => `{${this.geometry(depth + 1)}}`)
      : this.#coordinates(name)
    return `"type":"${name}","${isCollection ? 'geometries' : 'coordinates'}":${content}`
  }

  #coordinates(name: Exclude<Shape, 'GeometryCollection'>): string {
    switch (name) {
      case 'Point':
        return `[${this.#double()},${this.#double()}]`
      case 'LineString':
        return this.#several(() => this.#coordinates('Point'))
      case 'Polygon':
        return this.#several(() => this.#coordinates('LineString'))
      case 'MultiPoint':
        return this.#several(() => this.#part('Point'))
      case 'MultiLineString':
        return this.#several(() => this.#part('LineString'))
      default:
        return this.#several(() => this.#part('Polygon'))
    }
  }

  #header(): Shape {
    const order = this.#body[this.#advance(1)]
    if (order !== 0 && order !== 1) throw broken()
    this.#isLittle = order === 1
    const code = this.#integer()
    const name = GEOMETRIES[code]
    if (name !== undefined && name !== 'Geometry') return name
    throw new Failure('unsupported', `a geometry of the unknown type ${code}`, {
      remedy: 'exclude the column',
    })
  }

  /** One of several, which has a header of its own. */
  #part(name: 'Point' | 'LineString' | 'Polygon'): string {
    if (this.#header() !== name) throw broken()
    return this.#coordinates(name)
  }

  /** Every item takes bytes, so that a wrong count ends at the end of the value. */
  #several(read: () => string): string {
    let text = ''
    for (let left = this.#integer(); left > 0; left--) text += (text === '' ? '' : ',') + read()
    return `[${text}]`
  }

  #integer(): number {
    const at = this.#advance(4)
    return this.#isLittle ? this.#body.readUInt32LE(at) : this.#body.readUInt32BE(at)
  }

  /** The servers take numbers that JSON does not have; those are strings. */
  #double(): string {
    const at = this.#advance(8)
    const value = this.#isLittle ? this.#body.readDoubleLE(at) : this.#body.readDoubleBE(at)
    return Number.isFinite(value) ? doubleCell(value) : `"${value}"`
  }

  #advance(bytes: number): number {
    const at = this.#at
    if (bytes > this.#to - at) throw broken()
    this.#at = at + bytes
    return at
  }
}

function broken(): Failure {
  return new Failure('corrupt', 'a geometry is cut short or overlong')
}
