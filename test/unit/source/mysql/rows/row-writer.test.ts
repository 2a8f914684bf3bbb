import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { RecordsBuilder } from '../../../../../src/change/records.ts'
import { packCell, packRow } from '../../../../../src/change/row.ts'
import { writeCell } from '../../../../../src/source/mysql/values/cell.ts'
import type { ColumnType } from '../../../../../src/source/mysql/values/column-type.ts'
import { helpers, parameterOf, valueCode } from '../../../../../src/source/mysql/values/row-code.ts'
import { cellWriterOf } from '../../../../../src/source/mysql/rows/row-writer.ts'
import { CODE } from '../../../../../src/source/mysql/values/wire-column.ts'

const utf8 = 255
const latin1 = 8
const sjis = 13

interface Subject {
  readonly type: ColumnType
  readonly code: number
  readonly metadata: number
  readonly collation?: number
  readonly bytes: fc.Arbitrary<Uint8Array>
}

function fixed(length: number): fc.Arbitrary<Uint8Array> {
  const byte = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(0, 1, 0x7f, 0x80, 0x99, 0xff) }, fc.nat(255))
  return fc.array(byte, { minLength: length, maxLength: length }).map((bytes) => Uint8Array.from(bytes))
}

function wholes(length: number): fc.Arbitrary<Uint8Array> {
  const max = 2n ** BigInt(Math.min(52, 8 * length - 1))
  const safe = fc.bigInt({ min: -max, max: max - 1n }).map((value) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(value)
    return bytes.subarray(0, length)
  })
  return fc.oneof(safe, fixed(length))
}

function nines(digits: number): number[] {
  return Array.from({ length: Math.floor(digits / 9) }, () => 9)
}

/** Groups of digits, big-endian, from nine digits in four bytes down to one in one; or broken ones. */
function decimal(precision: number, scale: number): fc.Arbitrary<Uint8Array> {
  const whole = precision - scale
  const groups = [whole % 9, ...nines(whole), ...nines(scale), scale % 9].filter((digits) => digits > 0)
  const values = groups.map((digits) =>
    fc
      .oneof(fc.constant(0), fc.nat(10 ** digits - 1))
      .map((value) => value.toString(16).padStart(2 * Math.ceil((4 * digits) / 9), '0')),
  )
  const valid = fc.tuple(fc.boolean(), ...values).map(([negative, ...parts]) => {
    const bytes = Buffer.from(parts.join(''), 'hex').map((byte) => (negative ? byte ^ 0xff : byte))
    bytes[0] = (bytes[0] ?? 0) ^ 0x80
    return bytes
  })
  const length = groups.reduce((sum, digits) => sum + Math.ceil((4 * digits) / 9), 0)
  return fc.oneof(valid, fixed(length))
}

/** So many bytes, and the fraction of a second for so many digits. */
function withFraction(length: number, digits: number): fc.Arbitrary<Uint8Array> {
  const bytes = (digits + 1) >> 1
  const fraction = fc
    .nat(100 ** bytes - 1)
    .map((value) =>
      bytes === 0 ? Buffer.alloc(0) : Buffer.from(value.toString(16).padStart(2 * bytes, '0'), 'hex'),
    )
  const valid = fc.tuple(fixed(length), fraction).map(([head, tail]) => Buffer.concat([head, tail]))
  return fc.oneof({ weight: 4, arbitrary: valid }, { weight: 1, arbitrary: fixed(length + bytes) })
}

const integers = [1, 2, 3, 4, 8].flatMap((bytes) =>
  [true, false].map((unsigned): [string, Subject] => [
    `${unsigned ? 'an unsigned' : 'a signed'} integer of ${bytes} bytes`,
    { type: { kind: 'integer', bytes, unsigned }, code: CODE.long, metadata: 0, bytes: wholes(bytes) },
  ]),
)

const decimals = [
  [65, 30],
  [12, 2],
  [9, 0],
  [4, 4],
  [1, 0],
  [38, 38],
  [20, 10],
].map(([precision = 0, scale = 0]): [string, Subject] => {
  return [
    `a decimal(${precision},${scale})`,
    {
      type: { kind: 'decimal', precision, scale, unsigned: false },
      code: CODE.newDecimal,
      metadata: 0,
      bytes: decimal(precision, scale),
    },
  ]
})

const temporals = [0, 1, 2, 3, 4, 5, 6].flatMap((digits): [string, Subject][] => {
  return [
    [
      `a datetime(${digits})`,
      {
        type: { kind: 'datetime', digits },
        code: CODE.datetime2,
        metadata: digits,
        bytes: withFraction(5, digits),
      },
    ],
    [
      `a timestamp(${digits})`,
      {
        type: { kind: 'timestamp', digits },
        code: CODE.timestamp2,
        metadata: digits,
        bytes: withFraction(4, digits),
      },
    ],
    [
      `a time(${digits})`,
      { type: { kind: 'time', digits }, code: CODE.time2, metadata: digits, bytes: withFraction(3, digits) },
    ],
  ]
})

const numbers = fc.oneof(
  fc.tuple(fc.integer(), fc.constantFrom(1, 10, 100, 1000, 10_000, 100_000)).map(([n, scale]) => n / scale),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, 0.1, 0.0001, -0.0001, 0.00005, 99999999999.9999, 1e11, 1e15, 5e-324, 1e300),
)

const characters = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: 12 }) },
  fc.constantFrom(
    '"',
    '\\',
    '\n',
    '\u0001',
    '\u001f',
    '\u007f',
    'ü',
    '–',
    '🎉',
    '\ud7ff',
    '\uffff',
    '\u{10ffff}',
  ),
)
const texts = fc.oneof(
  fc.array(characters, { maxLength: 30 }).map((parts) => new TextEncoder().encode(parts.join(''))),
  fc.uint8Array({ maxLength: 40 }),
  fc
    .tuple(characters, fc.constantFrom(118, 119, 120, 121, 122, 123, 124, 125, 126, 996, 1000, 1001, 16_380))
    .map(([end, length]) => new TextEncoder().encode('x'.repeat(length) + end)),
  fc
    .tuple(
      fc.constantFrom(0xc1, 0xc2, 0xdf, 0xe0, 0xec, 0xed, 0xef, 0xf0, 0xf3, 0xf4, 0xf5),
      fc.constantFrom(0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0),
      fc.array(fc.constantFrom(0x7f, 0x80, 0xbf, 0xc0), { maxLength: 2 }),
    )
    .map(([first, second, rest]) => Uint8Array.of(65, first, second, ...rest)),
)

const text = { kind: 'string', fixed: false, characters: 100 } as const

const subjects: readonly (readonly [string, Subject])[] = [
  ...integers,
  ...decimals,
  ...temporals,
  ['a date', { type: { kind: 'date' }, code: CODE.date, metadata: 0, bytes: dates() }],
  [
    'a double',
    { type: { kind: 'double', unsigned: false }, code: CODE.double, metadata: 0, bytes: doubles() },
  ],
  ['a float', { type: { kind: 'float', unsigned: false }, code: CODE.float, metadata: 0, bytes: floats() }],
  ['text in UTF-8', { type: text, code: CODE.varchar, metadata: 400, collation: utf8, bytes: texts }],
  ['text in latin1', { type: text, code: CODE.varchar, metadata: 400, collation: latin1, bytes: texts }],
  ['text in Shift_JIS', { type: text, code: CODE.varchar, metadata: 400, collation: sjis, bytes: texts }],
  [
    'a blob',
    {
      type: { kind: 'blob', lengthBytes: 2 },
      code: CODE.blob,
      metadata: 2,
      bytes: fc.uint8Array({ maxLength: 120 }),
    },
  ],
  [
    'a binary(16)',
    {
      type: { kind: 'binary', fixed: true, bytes: 16 },
      code: CODE.string,
      metadata: 16,
      bytes: fc.uint8Array({ maxLength: 16 }),
    },
  ],
  [
    'an enum',
    {
      type: { kind: 'enum', labels: ['a', 'b"', 'ü'] },
      code: CODE.enum,
      metadata: 1,
      bytes: fc.constantFrom(0, 1, 2, 3).map((index) => Uint8Array.of(index)),
    },
  ],
]

for (const [name, subject] of subjects)
  test(`${name} is written as its string is`, () => {
    const { type, code, metadata, collation } = subject
    const column = { code, metadata, nullable: true }
    const write = cellWriterOf(type, column, collation)
    assert(write !== undefined)
    const asString = stringOf(subject)
    let direct = 0
    fc.assert(
      fc.property(subject.bytes, fc.nat(7), (bytes, before) => {
        const body = Buffer.concat([Buffer.alloc(before, 0x41), bytes, Buffer.alloc(3, 0x42)])
        const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
        const builder = new RecordsBuilder(8)
        const wrote = write({ body, view, to: body.length }, before, bytes.length, builder)
        if (!wrote) return assert.equal(builder.at, 0)
        direct++
        assert.equal(
          builder.bytes.toString('latin1', 0, builder.at),
          packCell(asString(body, before, bytes.length)),
        )
      }),
      { numRuns: 1000 },
    )
    assert(direct > 100, `written ${direct} times`)
  })

test('bytes that look like a character beyond ASCII are written as their string is, or not at all', () => {
  const subject = { type: text, code: CODE.varchar, metadata: 400, collation: utf8, bytes: texts }
  const write = cellWriterOf(text, { code: CODE.varchar, metadata: 400, nullable: true }, utf8)
  const asString = stringOf(subject)
  const tails = [0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0].flatMap((second) =>
    [[], [0xbf], [0xbf, 0x80], [0x80, 0x7f]].map((rest) => [second, ...rest]),
  )
  for (let first = 0x80; first < 0x100; first++)
    for (const tail of tails) {
      const body = Buffer.of(first, ...tail)
      const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
      const builder = new RecordsBuilder()
      if (write?.({ body, view, to: body.length }, 0, body.length, builder) !== true) continue
      const expected = packCell(asString(body, 0, body.length))
      assert.equal(builder.bytes.toString('latin1', 0, builder.at), expected, body.toString('hex'))
    }
})

test('a cell that was made as a string is packed as rows have it, whatever its length', () => {
  for (const length of [0, 1, 24, 25, 125, 126, 16_381, 16_382, 2_097_150]) {
    const builder = new RecordsBuilder()
    writeCell(builder, 'ü'.repeat(length))
    assert(builder.bytes.toString('latin1', 0, builder.at) === packRow(['ü'.repeat(length)]), `${length}`)
  }
})

/** The function of the compiled decoder that makes the cell as a string. */
function stringOf({
  type,
  code,
  metadata,
  collation,
}: Subject): (body: Buffer, at: number, size: number) => string {
  const expression = valueCode(type, { column: { code, metadata, nullable: true }, collation }, 0)
  const names = Object.keys(helpers).join(', ')
  // oxlint-disable-next-line typescript/no-implied-eval -- as the decoder does it
  const build = new Function(
    'helpers',
    'parameters',
    `const { ${names} } = helpers; return (body, at, size) => ${expression}`,
  )
  return build(helpers, [parameterOf(type, collation)]) as ReturnType<typeof stringOf>
}

function dates(): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.nat(9999), fc.nat(12), fc.nat(31))
    .map(([year, month, day]) => (year << 9) | (month << 5) | day)
    .map((packed) => Uint8Array.of(packed & 255, (packed >> 8) & 255, packed >> 16))
}

function doubles(): fc.Arbitrary<Uint8Array> {
  return numbers.map((value) => new Uint8Array(Float64Array.of(value).buffer))
}

function floats(): fc.Arbitrary<Uint8Array> {
  return fc
    .oneof(numbers, fc.float({ noNaN: true, noDefaultInfinity: true }))
    .map((value) => new Uint8Array(Float32Array.of(value).buffer))
}
