import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { textOf } from '../../../../../src/change/row.ts'
import {
  binaryCell,
  bitCell,
  dateCell,
  datetimeCell,
  decimalBytes,
  decimalText,
  doubleCell,
  floatCell,
  oldDatetimeCell,
  oldTimeCell,
  oldTimestampCell,
  setCell,
  signed64Cell,
  textCell,
  timeCell,
  timestampCell,
  unsigned64Cell,
} from '../../../../../src/source/mysql/values/values.ts'

test('text of any characters is the JSON of that text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(JSON.parse(textOf(textCell(Buffer.from(text, 'utf8').toString('latin1')))), text)
    }),
    { numRuns: 1000 },
  )
})

test('bytes that are no UTF-8 become U+FFFD in JSON that is still whole', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const cell = textOf(textCell(Buffer.from(bytes).toString('latin1')))
      assert.equal(JSON.parse(cell), Buffer.from(bytes).toString('utf8'))
    }),
    { numRuns: 1000 },
  )
  assert.equal(textOf(textCell('a\xffb')), '"a\ufffdb"')
})

test('64-bit integers keep all their digits', () => {
  const buffer = Buffer.alloc(8)
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
      buffer.writeBigUInt64LE(value)
      assert.equal(unsigned64Cell(buffer, 0), String(value))
      assert.equal(signed64Cell(buffer, 0), String(BigInt.asIntN(64, value)))
    }),
  )
  for (const value of [
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 53n + 1n,
    -(2n ** 53n),
    -(2n ** 53n) - 1n,
    -(2n ** 63n),
  ]) {
    buffer.writeBigInt64LE(value)
    assert.equal(signed64Cell(buffer, 0), String(value))
  }
})

test('a decimal of any precision and scale keeps all its digits', () => {
  const shape = fc
    .tuple(fc.integer({ min: 1, max: 65 }), fc.integer({ min: 0, max: 30 }))
    .filter(([precision, scale]) => scale <= precision)
  const sized = shape.chain(([precision, scale]) =>
    fc.tuple(
      fc.constant([precision, scale] as const),
      fc.bigInt({ min: 1n - 10n ** BigInt(precision), max: 10n ** BigInt(precision) - 1n }),
    ),
  )
  fc.assert(
    fc.property(sized, ([[precision, scale], value]) => {
      const packed = packDecimal(value, precision, scale)
      assert.equal(packed.length, decimalBytes(precision, scale))
      assert.equal(
        decimalText(Buffer.concat([Buffer.of(9), packed]), 1, precision, scale),
        plain(value, scale),
      )
    }),
    { numRuns: 2000 },
  )
})

test('a float shows the fewest digits that give the same float', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      assert.equal(Math.fround(Number(floatCell(value))), value)
    }),
    { numRuns: 2000 },
  )
  const shown = [0.1, 16777216, 3.4028234663852886e38, 1.401298464324817e-45, 1.2345678806304932, 0, -0]
  assert.deepEqual(
    shown.map((value) => floatCell(Math.fround(value))),
    ['0.1', '16777216', '3.4028235e+38', '1e-45', '1.2345679', '0', '-0'],
  )
})

test('a double shows the shortest text that gives the same double, negative zero included', () => {
  assert.deepEqual([0.1, 1e21, -0, 5e-324].map(doubleCell), ['0.1', '1e+21', '-0', '5e-324'])
})

test('bits are one unsigned number', () => {
  assert.equal(bitCell(Buffer.from('02aa', 'hex'), 0, 2), '682')
  assert.equal(bitCell(Buffer.from('ffffffffffffffff', 'hex'), 0, 8), '18446744073709551615')
  assert.equal(bitCell(Buffer.from('00ffffffffffff', 'hex'), 0, 7), '281474976710655')
})

test('dates keep their zeroes', () => {
  const dates = [
    packDate(0, 0, 0),
    packDate(2024, 0, 0),
    packDate(2024, 5, 0),
    packDate(9999, 12, 31),
    packDate(1, 1, 1),
  ]
  assert.deepEqual(
    dates.map((date) => dateCell(date, 0)),
    ['"0000-00-00"', '"2024-00-00"', '"2024-05-00"', '"9999-12-31"', '"0001-01-01"'],
  )
})

test('a datetime shows exactly the digits of a second that its column has', () => {
  const moment = fc.record({
    year: fc.integer({ min: 0, max: 9999 }),
    month: fc.integer({ min: 0, max: 12 }),
    day: fc.integer({ min: 0, max: 31 }),
    seconds: fc.integer({ min: 0, max: 86_399 }),
    micros: fc.integer({ min: 0, max: 999_999 }),
    digits: fc.integer({ min: 0, max: 6 }),
  })
  fc.assert(
    fc.property(moment, ({ year, month, day, seconds, micros, digits }) => {
      const [hour, minute, second] = clock(seconds)
      const packed =
        ((BigInt(year * 13 + month) * 32n + BigInt(day)) << 17n) +
        BigInt((hour << 12) | (minute << 6) | second)
      const body = Buffer.concat([bigEndian(packed + 0x80_0000_0000n, 5), fractionBytes(micros, digits)])
      const date = `${four(year)}-${two(month)}-${two(day)}`
      const time = `${two(hour)}:${two(minute)}:${two(second)}`
      assert.equal(datetimeCell(body, 0, digits), `"${date}T${time}${fractionText(micros, digits)}"`)
    }),
    { numRuns: 2000 },
  )
})

test('a timestamp is shown in UTC', () => {
  const moment = fc.tuple(fc.integer({ min: 1, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 6 }))
  fc.assert(
    fc.property(moment, ([seconds, digits]) => {
      const body = Buffer.concat([bigEndian(BigInt(seconds), 4), fractionBytes(123_456, digits)])
      const iso = new Date(seconds * 1000).toISOString().slice(0, 19)
      assert.equal(timestampCell(body, 0, digits), `"${iso}${fractionText(123_456, digits)}Z"`)
    }),
    { numRuns: 1000 },
  )
  assert.equal(timestampCell(Buffer.alloc(7), 0, 6), '"0000-00-00T00:00:00.000000Z"')
})

test('a time may be negative and longer than a day', () => {
  const span = fc.record({
    seconds: fc.integer({ min: 0, max: 838 * 3600 + 3599 }),
    micros: fc.integer({ min: 0, max: 999_999 }),
    digits: fc.integer({ min: 0, max: 6 }),
    negative: fc.boolean(),
  })
  fc.assert(
    fc.property(span, ({ seconds, micros, digits, negative }) => {
      const kept = (digits + 1) >> 1
      const [hour, minute, second] = clock(seconds)
      const stored = BigInt(`0x0${fractionBytes(micros, digits).toString('hex')}`)
      const size = (BigInt((hour << 12) | (minute << 6) | second) << BigInt(8 * kept)) + stored
      const moved = (0x80_0000n << BigInt(8 * kept)) + (negative ? -size : size)
      const sign = negative && size > 0n ? '-' : ''
      const time = `${sign}${two(hour)}:${two(minute)}:${two(second)}${fractionText(micros, digits)}`
      assert.equal(timeCell(bigEndian(moved, 3 + kept), 0, digits), `"${time}"`)
    }),
    { numRuns: 2000 },
  )
})

test('the types of before MySQL 5.6 give the same texts', () => {
  const datetime = Buffer.alloc(8)
  datetime.writeBigUInt64LE(20240531123456n)
  assert.equal(oldDatetimeCell(datetime, 0), '"2024-05-31T12:34:56"')
  assert.equal(oldDatetimeCell(Buffer.alloc(8), 0), '"0000-00-00T00:00:00"')
  const time = Buffer.alloc(3)
  time.writeIntLE(-8385959, 0, 3)
  assert.equal(oldTimeCell(time, 0), '"-838:59:59"')
  const timestamp = Buffer.alloc(4)
  timestamp.writeUInt32LE(1_717_158_896)
  assert.equal(oldTimestampCell(timestamp, 0), '"2024-05-31T12:34:56Z"')
  assert.equal(oldTimestampCell(Buffer.alloc(4), 0), '"0000-00-00T00:00:00Z"')
})

test('binary values are base64, filled up where the column is fixed', () => {
  const body = Buffer.from('xab\u0000cx', 'latin1')
  assert.equal(binaryCell(body, 1, 5, 0), `"${Buffer.from('ab\0c').toString('base64')}"`)
  assert.equal(binaryCell(body, 1, 5, 6), `"${Buffer.from('ab\0c\0\0').toString('base64')}"`)
})

test('a set shows its labels in the order of their definition, and refuses a bit without one', () => {
  const labels = Array.from({ length: 64 }, (_, index) => `"m${index}"`)
  assert.equal(setCell((1n << 63n) | 1n, labels), '["m0","m63"]')
  assert.equal(setCell(0n, labels), '[]')
  assert.throws(() => setCell(4n, ['"a"', '"b"']), /2 labels/)
})

/** DECIMAL as the server packs it, written from its description: groups of nine digits, the odd ones outermost. */
function packDecimal(value: bigint, precision: number, scale: number): Buffer {
  const digits = String(value < 0n ? -value : value).padStart(precision, '0')
  const whole = digits.slice(0, precision - scale)
  const part = digits.slice(precision - scale)
  const groups: string[] = []
  const odd = whole.length % 9
  if (odd > 0) groups.push(whole.slice(0, odd))
  for (let at = odd; at < whole.length; at += 9) groups.push(whole.slice(at, at + 9))
  for (let at = 0; at < part.length; at += 9) groups.push(part.slice(at, at + 9))
  const sizes = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4]
  const packed = Buffer.concat(groups.map((group) => bigEndian(BigInt(group), sizes[group.length] ?? 0)))
  packed[0] = (packed[0] ?? 0) ^ 0x80
  return value < 0n ? Buffer.from(packed.map((byte) => byte ^ 0xff)) : packed
}

function packDate(year: number, month: number, day: number): Buffer {
  const buffer = Buffer.alloc(3)
  buffer.writeUIntLE((year << 9) | (month << 5) | day, 0, 3)
  return buffer
}

function plain(value: bigint, scale: number): string {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0')
  const point = digits.length - scale
  return `${value < 0n ? '-' : ''}${digits.slice(0, point)}${scale > 0 ? `.${digits.slice(point)}` : ''}`
}

function bigEndian(value: bigint, bytes: number): Buffer {
  return Buffer.from(
    value
      .toString(16)
      .padStart(bytes * 2, '0')
      .slice(-bytes * 2),
    'hex',
  )
}

function clock(seconds: number): [hour: number, minute: number, second: number] {
  return [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
}

/** Hundredths, ten-thousandths or millionths, cut to the column's digits. */
function fractionBytes(micros: number, digits: number): Buffer {
  const kept = (digits + 1) >> 1
  const cut = String(micros)
    .padStart(6, '0')
    .slice(0, digits)
    .padEnd(2 * kept, '0')
  return kept === 0 ? Buffer.alloc(0) : bigEndian(BigInt(cut), kept)
}

function fractionText(micros: number, digits: number): string {
  return digits === 0 ? '' : `.${String(micros).padStart(6, '0').slice(0, digits)}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

function four(value: number): string {
  return String(value).padStart(4, '0')
}
