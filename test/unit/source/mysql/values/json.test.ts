import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Failure } from '../../../../../src/change/failure.ts'
import { textOf } from '../../../../../src/change/row.ts'
import { doubleText, jsonCell } from '../../../../../src/source/mysql/values/json.ts'
import { encodeJson, type BinaryJson } from '../../../../support/binary-json.ts'

const documents: fc.Arbitrary<BinaryJson> = fc.letrec<{ value: BinaryJson }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.string({ unit: 'binary' }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.integer({ min: -70_000, max: 70_000 }).map(BigInt),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .uniqueArray(fc.tuple(fc.string({ unit: 'binary' }), tie('value')), {
        selector: ([key]) => key,
        minLength: 1,
        maxLength: 4,
      })
      .map((entries) => new Map(entries)),
  ),
})).value

test('any document comes out as its JSON text, small containers or large', () => {
  fc.assert(
    fc.property(documents, fc.boolean(), (document, large) => {
      assert.equal(read(encodeJson(document, large)), expected(document))
    }),
    { numRuns: 2000 },
  )
})

test('a document that is cut short is corrupt', () => {
  const document = new Map<string, BinaryJson>([
    ['list', ['x', 1n, { double: 0.5 }]],
    ['number', 2n ** 40n],
  ])
  const whole = encodeJson(document)
  for (let length = 1; length < whole.length; length++)
    assert.throws(() => read(whole.subarray(0, length)), corrupt, `cut at ${length}`)
})

test('damaged documents are JSON all the same, or corrupt', () => {
  const whole = encodeJson(
    new Map<string, BinaryJson>([
      ['a', ['x', 1n, null]],
      ['b', new Map([['c', true]])],
    ]),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 3 }), (bytes) => {
      const damaged = Buffer.from(whole)
      for (const [at, value] of bytes) damaged[at] = value
      try {
        JSON.parse(read(damaged))
      } catch (error) {
        assert.ok(corrupt(error), String(error))
      }
    }),
    { numRuns: 3000 },
  )
})

test('a document that contains itself ends at the deepest level that the server allows', () => {
  // An array of one element, whose place is the array's own.
  assert.throws(() => read(Buffer.from('020100070002000000', 'hex')), corrupt)
})

test('nothing stored is the null that the server shows', () => {
  assert.equal(read(Buffer.alloc(0)), 'null')
})

test('doubles look as the server prints them', () => {
  const shown: [number, string][] = [
    [1, '1.0'],
    [-0, '-0.0'],
    [0, '0.0'],
    [0.1, '0.1'],
    [123_456_789_012_345, '123456789012345.0'],
    [1e15, '1e15'],
    [-1027629966966093.8, '-1027629966966093.8'],
    [1234567890123456, '1.234567890123456e15'],
    [1.5e-20, '1.5e-20'],
    [1e-14, '0.00000000000001'],
    [1e-15, '0.000000000000001'],
    [1e-16, '1e-16'],
    [1.7976931348623157e308, '1.7976931348623157e308'],
    [5e-324, '5e-324'],
  ]
  for (const [value, text] of shown) assert.equal(doubleText(value), text)
})

test('values of SQL types are shown as the server shows them', () => {
  const date = BigInt(2024 * 13 + 5) * 32n + 31n
  const clock = BigInt((12 << 12) | (34 << 6) | 56)
  const micros = 500_000n
  const values: [BinaryJson, string][] = [
    [{ opaque: 10, bytes: packedMoment(date << 41n) }, '"2024-05-31"'],
    [
      { opaque: 12, bytes: packedMoment((((date << 17n) + clock) << 24n) + micros) },
      '"2024-05-31 12:34:56.500000"',
    ],
    [{ opaque: 7, bytes: packedMoment(((date << 17n) + clock) << 24n) }, '"2024-05-31 12:34:56.000000"'],
    [{ opaque: 11, bytes: packedMoment((clock << 24n) + micros, true) }, '"-12:34:56.500000"'],
    // decimal(4,2): one byte before the point, one behind.
    [{ opaque: 246, bytes: Buffer.from([4, 2, 0x8c, 30]) }, '12.30'],
    [{ opaque: 15, bytes: Buffer.from([0, 255]) }, '"base64:type15:AP8="'],
  ]
  for (const [value, text] of values) assert.equal(read(encodeJson(value)), text)
})

test('base64 of more than 76 characters is broken into lines, as the server breaks it', () => {
  const text = read(encodeJson({ opaque: 252, bytes: Buffer.alloc(60, 'A') }))
  const lines = String(JSON.parse(text)).slice('base64:type252:'.length).split('\n')
  assert.deepEqual(
    lines.map(({ length }) => length),
    [76, 4],
  )
})

function packedMoment(size: bigint, negative = false): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(negative ? -size : size)
  return bytes
}

function read(document: Buffer): string {
  // Bytes around the document must not be read.
  const body = Buffer.concat([Buffer.from([0xaa]), document, Buffer.from([0xaa])])
  return textOf(jsonCell(body, 1, 1 + document.length))
}

/** The same text, made without the reader: `, ` and `: ` between the parts. */
function expected(value: BinaryJson): string {
  if (typeof value === 'bigint') return String(value)
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${(value as readonly BinaryJson[]).map(expected).join(', ')}]`
  if (!(value instanceof Map)) throw new Error('not made here')
  const members = [...(value as ReadonlyMap<string, BinaryJson>)]
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}: ${expected(member)}`).join(', ')}}`
}

function corrupt(error: unknown): boolean {
  return error instanceof Failure && error.kind === 'corrupt'
}
