/** Writes MySQL's binary JSON, from the description of the format: what the tests of its reader read. */

/** A double is written as one; an integer in the smallest type that holds it. */
export type BinaryJson =
  | null
  | boolean
  | string
  | bigint
  | { readonly double: number }
  | { readonly opaque: number; readonly bytes: Buffer }
  | readonly BinaryJson[]
  | ReadonlyMap<string, BinaryJson>

interface Encoded {
  readonly type: number
  readonly bytes: Buffer
}

/** `large` asks for containers with places of four bytes; the server uses them from 64 KiB on. */
export function encodeJson(value: BinaryJson, large = false): Buffer {
  const { type, bytes } = encode(value, large)
  return Buffer.concat([Buffer.of(type), bytes])
}

function encode(value: BinaryJson, large: boolean): Encoded {
  if (value === null) return { type: 4, bytes: Buffer.of(0) }
  if (typeof value === 'boolean') return { type: 4, bytes: Buffer.of(value ? 1 : 2) }
  if (typeof value === 'string') return { type: 12, bytes: sized(Buffer.from(value, 'utf8')) }
  if (typeof value === 'bigint') return encodeInteger(value)
  if (Array.isArray(value)) return encodeContainer([], value as readonly BinaryJson[], large)
  if (value instanceof Map) {
    const map = value as ReadonlyMap<string, BinaryJson>
    return encodeContainer([...map.keys()], [...map.values()], large)
  }
  if ('double' in value) {
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleLE(value.double)
    return { type: 11, bytes }
  }
  if ('opaque' in value)
    return { type: 15, bytes: Buffer.concat([Buffer.of(value.opaque), sized(value.bytes)]) }
  throw new Error('not a value of JSON')
}

function encodeInteger(value: bigint): Encoded {
  const sizes = [
    [5, 2, -(2n ** 15n), 2n ** 15n],
    [6, 2, 0n, 2n ** 16n],
    [7, 4, -(2n ** 31n), 2n ** 31n],
    [8, 4, 0n, 2n ** 32n],
    [9, 8, -(2n ** 63n), 2n ** 63n],
    [10, 8, 0n, 2n ** 64n],
  ] as const
  const fitting = sizes.find(([, , least, limit]) => value >= least && value < limit)
  if (fitting === undefined) throw new Error(`${value} is no 64-bit integer`)
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value))
  return { type: fitting[0], bytes: bytes.subarray(0, fitting[1]) }
}

/** An object where there are keys, an array where there are none but values. */
function encodeContainer(keys: readonly string[], values: readonly BinaryJson[], large: boolean): Encoded {
  const width = large ? 4 : 2
  const isObject = keys.length > 0
  const number = (value: number): Buffer => {
    const bytes = Buffer.alloc(width)
    bytes.writeUIntLE(value, 0, width)
    return bytes
  }
  const keyBytes = keys.map((key) => Buffer.from(key, 'utf8'))
  const encoded = values.map((value) => encode(value, large))
  let place = 2 * width + keys.length * (width + 2) + values.length * (1 + width)
  const keyEntries: Buffer[] = []
  for (const key of keyBytes) {
    keyEntries.push(number(place), Buffer.from([key.length & 255, key.length >> 8]))
    place += key.length
  }
  const valueEntries: Buffer[] = []
  const behind: Buffer[] = []
  for (const { type, bytes } of encoded) {
    const isInline = type >= 4 && type <= (large ? 8 : 6)
    valueEntries.push(Buffer.of(type))
    if (isInline) {
      valueEntries.push(Buffer.concat([bytes, Buffer.alloc(width)]).subarray(0, width))
      continue
    }
    valueEntries.push(number(place))
    behind.push(bytes)
    place += bytes.length
  }
  const head = [number(values.length), number(place)]
  const type = (isObject ? 0 : 2) + (large ? 1 : 0)
  return { type, bytes: Buffer.concat([...head, ...keyEntries, ...valueEntries, ...keyBytes, ...behind]) }
}

function sized(bytes: Buffer): Buffer {
  const length: number[] = []
  let rest = bytes.length
  for (; rest > 127; rest = Math.floor(rest / 128)) length.push((rest & 127) | 128)
  return Buffer.concat([Buffer.of(...length, rest), bytes])
}
