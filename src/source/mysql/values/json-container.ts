/** Objects and arrays of binary JSON, opened to be changed and closed again; what lies in them stays the bytes it was. */
import {
  corrupt,
  DOUBLE,
  INT16,
  INT32,
  INT64,
  LARGE_ARRAY,
  LARGE_OBJECT,
  lengthAt,
  LITERAL,
  need,
  OPAQUE,
  SMALL_ARRAY,
  SMALL_OBJECT,
  STRING,
  UINT16,
  UINT32,
  UINT64,
  type Reading,
} from './json.ts'

/** A value of any type; places within a container count from its own first byte, so that it may be moved. */
export interface JsonValue {
  readonly type: number
  readonly content: Buffer
}

/** An object where it has keys (one character per byte, in the server's order), else an array. */
export interface Container {
  readonly keys: string[] | undefined
  readonly values: JsonValue[]
}

/** Throws a Failure, `corrupt`, when the bytes break the format. */
export function readDocument(bytes: Buffer): JsonValue {
  if (bytes.length === 0) throw corrupt('no value')
  return valueAt({ body: bytes, to: bytes.length, depth: 0 }, bytes[0] ?? 0, 1)
}

export function writeDocument({ type, content }: JsonValue): Buffer {
  return Buffer.concat([Buffer.of(type), content])
}

/** Undefined = the value is neither object nor array. Throws a Failure, `corrupt`. */
export function openContainer({ type, content: body }: JsonValue): Container | undefined {
  if (type > LARGE_ARRAY) return undefined
  const width = type === SMALL_OBJECT || type === SMALL_ARRAY ? 2 : 4
  const whole: Reading = { body, to: body.length, depth: 0 }
  need(whole, 0, 2 * width)
  const count = body.readUIntLE(0, width)
  const isObject = type === SMALL_OBJECT || type === LARGE_OBJECT
  const keysAt = 2 * width
  const valuesAt = keysAt + (isObject ? count * (width + 2) : 0)
  need(whole, valuesAt, count * (1 + width))
  const places = Array.from({ length: count }, (_, index) => index)
  const values = places.map((index) => entryAt(whole, valuesAt + index * (1 + width), width))
  if (!isObject) return { keys: undefined, values }
  return { keys: places.map((index) => keyAt(whole, keysAt + index * (width + 2), width)), values }
}

/** In the large form, whatever it was before: its places have four bytes. */
export function closeContainer({ keys, values }: Container): JsonValue {
  const keyBytes = (keys ?? []).map((key) => Buffer.from(key, 'latin1'))
  const head = Buffer.alloc(8 + keyBytes.length * 6 + values.length * 5)
  const behind: Buffer[] = []
  let end = head.length
  const add = (bytes: Buffer): number => {
    behind.push(bytes)
    end += bytes.length
    return end - bytes.length
  }
  for (const [index, key] of keyBytes.entries()) {
    head.writeUInt32LE(add(key), 8 + index * 6)
    head.writeUInt16LE(key.length, 12 + index * 6)
  }
  for (const [index, { type, content }] of values.entries()) {
    const at = 8 + keyBytes.length * 6 + index * 5
    head[at] = type
    if (isInline(type, 4)) content.copy(head, at + 1)
    else head.writeUInt32LE(add(content), at + 1)
  }
  head.writeUInt32LE(values.length, 0)
  head.writeUInt32LE(end, 4)
  return { type: keys === undefined ? LARGE_ARRAY : LARGE_OBJECT, content: Buffer.concat([head, ...behind]) }
}

/** The server's order of keys: the shorter first, those of one length by their bytes. */
export function keyOrder(key: string, other: string): number {
  if (key.length !== other.length) return key.length - other.length
  return key < other ? -1 : key > other ? 1 : 0
}

function entryAt(whole: Reading, entry: number, width: number): JsonValue {
  const type = whole.body[entry] ?? 0
  return valueAt(whole, type, isInline(type, width) ? entry + 1 : whole.body.readUIntLE(entry + 1, width))
}

function keyAt(whole: Reading, entry: number, width: number): string {
  const from = whole.body.readUIntLE(entry, width)
  return whole.body.toString('latin1', from, need(whole, from, whole.body.readUInt16LE(entry + width)))
}

/** Values that stand in their entry rather than behind it. */
function isInline(type: number, width: number): boolean {
  return type >= LITERAL && type <= (width === 2 ? UINT16 : UINT32)
}

function valueAt(reading: Reading, type: number, at: number): JsonValue {
  return { type, content: reading.body.subarray(at, need(reading, at, sizeAt(reading, type, at))) }
}

function sizeAt(reading: Reading, type: number, at: number): number {
  const fixed = FIXED_SIZES[type]
  if (fixed !== undefined) return fixed
  switch (type) {
    case SMALL_OBJECT:
    case SMALL_ARRAY:
      need(reading, at, 4)
      return reading.body.readUInt16LE(at + 2)
    case LARGE_OBJECT:
    case LARGE_ARRAY:
      need(reading, at, 8)
      return reading.body.readUInt32LE(at + 4)
    case STRING:
    case OPAQUE: {
      const [length, begin] = lengthAt(reading, type === STRING ? at : at + 1)
      return begin + length - at
    }
    default:
      throw corrupt(`type ${type}`)
  }
}

const FIXED_SIZES: Readonly<Record<number, number>> = {
  [LITERAL]: 1,
  [INT16]: 2,
  [UINT16]: 2,
  [INT32]: 4,
  [UINT32]: 4,
  [INT64]: 8,
  [UINT64]: 8,
  [DOUBLE]: 8,
}
