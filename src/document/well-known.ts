/** Well-known text and binary of the geometries of change events. Pure. */

type Position = readonly [x: number | string, y: number | string]

type Geometry =
  | { readonly type: 'Point'; readonly coordinates: Position }
  | { readonly type: 'LineString' | 'MultiPoint'; readonly coordinates: readonly Position[] }
  | { readonly type: 'Polygon' | 'MultiLineString'; readonly coordinates: readonly (readonly Position[])[] }
  | { readonly type: 'MultiPolygon'; readonly coordinates: readonly (readonly (readonly Position[])[])[] }
  | { readonly type: 'GeometryCollection'; readonly geometries: readonly Geometry[] }

/** The cell of `POINT (2 48)`. A geometry without a value stays null. */
export function wellKnownText(cell: string): string {
  const geometry = parse(cell)
  return geometry === undefined ? cell : `"${textOf(geometry)}"`
}

/** The cell of the little-endian binary, in base64. A geometry without a value stays null. */
export function wellKnownBinary(cell: string): string {
  const geometry = parse(cell)
  return geometry === undefined ? cell : `"${Buffer.concat(piecesOf(geometry)).toString('base64')}"`
}

function parse(cell: string): Geometry | undefined {
  // Capture wrote it.
  return (JSON.parse(cell) as Geometry | null) ?? undefined
}

function textOf(geometry: Geometry): string {
  return `${geometry.type.toUpperCase()} ${contentText(geometry)}`
}

function contentText(geometry: Geometry): string {
  switch (geometry.type) {
    case 'Point':
      return `(${positionText(geometry.coordinates)})`
    case 'LineString':
      return lineText(geometry.coordinates)
    case 'MultiPoint':
      return listText(geometry.coordinates, (position) => `(${positionText(position)})`)
    case 'Polygon':
    case 'MultiLineString':
      return polygonText(geometry.coordinates)
    case 'MultiPolygon':
      return listText(geometry.coordinates, polygonText)
    default:
      return listText(geometry.geometries, textOf)
  }
}

function polygonText(lines: readonly (readonly Position[])[]): string {
  return listText(lines, lineText)
}

function lineText(positions: readonly Position[]): string {
  return listText(positions, positionText)
}

function listText<Item>(items: readonly Item[], text: (item: Item) => string): string {
  return items.length === 0 ? 'EMPTY' : `(${items.map(text).join(', ')})`
}

function positionText([x, y]: Position): string {
  return `${numberText(x)} ${numberText(y)}`
}

function numberText(value: number | string): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

const codes: Readonly<Record<Geometry['type'], number>> = {
  Point: 1,
  LineString: 2,
  Polygon: 3,
  MultiPoint: 4,
  MultiLineString: 5,
  MultiPolygon: 6,
  GeometryCollection: 7,
}

function piecesOf(geometry: Geometry): readonly Buffer[] {
  return [Buffer.of(1), integer(codes[geometry.type]), ...contentPieces(geometry)]
}

function contentPieces(geometry: Geometry): readonly Buffer[] {
  switch (geometry.type) {
    case 'Point':
      return [pair(geometry.coordinates)]
    case 'LineString':
      return linePieces(geometry.coordinates)
    case 'Polygon':
      return [integer(geometry.coordinates.length), ...geometry.coordinates.flatMap(linePieces)]
    case 'MultiPoint':
      return several(geometry.coordinates.map((coordinates) => ({ type: 'Point', coordinates })))
    case 'MultiLineString':
      return several(geometry.coordinates.map((coordinates) => ({ type: 'LineString', coordinates })))
    case 'MultiPolygon':
      return several(geometry.coordinates.map((coordinates) => ({ type: 'Polygon', coordinates })))
    default:
      return several(geometry.geometries)
  }
}

function several(geometries: readonly Geometry[]): readonly Buffer[] {
  return [integer(geometries.length), ...geometries.flatMap(piecesOf)]
}

function linePieces(positions: readonly Position[]): readonly Buffer[] {
  return [integer(positions.length), ...positions.map(pair)]
}

function integer(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** Numbers that JSON does not have are strings in the cell. */
function pair([x, y]: Position): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeDoubleLE(Number(x), 0)
  bytes.writeDoubleLE(Number(y), 8)
  return bytes
}
