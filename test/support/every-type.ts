/** A column of every type that capture reads, with its extreme values, and random ones. */
import * as fc from 'fast-check'
import { characterTypes, text } from './every-charset.ts'
import { everyGeometry } from './every-geometry.ts'
import { mariadbTypes } from './mariadb-types.ts'
import type { TypeCase } from './type-case.ts'

/** By column name. */
export const everyType: Readonly<Record<string, TypeCase>> = {
  ...integer('tinyint', 8),
  ...integer('smallint', 16),
  ...integer('mediumint', 24),
  ...integer('int', 32),
  ...integer('bigint', 64),
  zerofilled: { sql: 'int zerofill', extremes: [['42', '42']], random: fc.nat().map(String) },
  year_: {
    sql: 'year',
    extremes: [
      ['0', '0'],
      ['1901', '1901'],
      ['2155', '2155'],
    ],
    random: fc.integer({ min: 1901, max: 2155 }).map(String),
  },
  ...decimal(1, 0, [['-9', '"-9"']]),
  ...decimal(10, 2, [
    ['12.3', '"12.30"'],
    ['-0.05', '"-0.05"'],
    ['-99999999.99', '"-99999999.99"'],
    ['0', '"0.00"'],
  ]),
  ...decimal(9, 9, [
    ['0.123456789', '"0.123456789"'],
    ['-0.000000001', '"-0.000000001"'],
  ]),
  ...decimal(18, 9, [
    ['999999999.999999999', '"999999999.999999999"'],
    ['1000000000e-9', '"1.000000000"'],
  ]),
  ...decimal(38, 0, [
    ['-99999999999999999999999999999999999999', '"-99999999999999999999999999999999999999"'],
  ]),
  ...decimal(65, 30, [
    [
      '12345678901234567890123456789012345.000000000000000000000000000001',
      '"12345678901234567890123456789012345.000000000000000000000000000001"',
    ],
  ]),
  decimal_unsigned: {
    sql: 'decimal(20,3) unsigned',
    extremes: [['7', '"7.000"']],
    random: fc.nat().map(String),
  },
  float_: {
    sql: 'float',
    extremes: [
      ['0.1', '0.1'],
      ['16777217', '16777216'],
      ['3.4028234663852886e38', '3.4028235e+38'],
      ['-1e-45', '-1e-45'],
      ['1.23456789', '1.2345679'],
    ],
    random: fc.float({ noNaN: true, noDefaultInfinity: true }).map(literal),
  },
  float_scaled: {
    sql: 'float(7,2)',
    extremes: [['1.15', '1.15']],
    random: fc.integer({ min: -99999, max: 99999 }).map((n) => String(n / 7)),
  },
  double_: {
    sql: 'double',
    extremes: [
      ['0.1', '0.1'],
      ['1.7976931348623157e308', '1.7976931348623157e+308'],
      ['5e-324', '5e-324'],
      ['9007199254740993', '9007199254740992'],
    ],
    random: fc.double({ noNaN: true, noDefaultInfinity: true }).map(literal),
  },
  double_scaled: {
    sql: 'double(10,3) unsigned',
    extremes: [['1.5', '1.5']],
    random: fc.nat(9_999_999).map((n) => String(n / 13)),
  },
  ...bit(1, '1'),
  ...bit(10, '682'),
  ...bit(33, '5726623061'),
  ...bit(64, '18446744073709551615'),
  date_: {
    sql: 'date',
    extremes: [
      ["'0000-00-00'", '"0000-00-00"'],
      ["'2024-00-00'", '"2024-00-00"'],
      ["'2024-05-00'", '"2024-05-00"'],
      ["'9999-12-31'", '"9999-12-31"'],
      ["'0001-01-01'", '"0001-01-01"'],
    ],
    random: moment().map(({ date }) => `'${date}'`),
  },
  ...temporal('datetime', (digits) => [
    [`'0000-00-00'`, `"0000-00-00T00:00:00${fraction('000000', digits)}"`],
    [`'2024-00-07 01:02:03'`, `"2024-00-07T01:02:03${fraction('000000', digits)}"`],
    [
      `'9999-12-31 23:59:59${fraction('999999', digits)}'`,
      `"9999-12-31T23:59:59${fraction('999999', digits)}"`,
    ],
    [
      `'1000-01-01 00:00:00${fraction('012345', digits)}'`,
      `"1000-01-01T00:00:00${fraction('012345', digits)}"`,
    ],
  ]),
  ...temporal('timestamp', (digits) => [
    [`'0000-00-00'`, `"0000-00-00T00:00:00${fraction('000000', digits)}Z"`],
    [`'1970-01-01 00:00:01'`, `"1970-01-01T00:00:01${fraction('000000', digits)}Z"`],
    [
      `'2038-01-19 03:14:07${fraction('999999', digits)}'`,
      `"2038-01-19T03:14:07${fraction('999999', digits)}Z"`,
    ],
    [
      `'2024-02-29 12:34:56${fraction('012345', digits)}'`,
      `"2024-02-29T12:34:56${fraction('012345', digits)}Z"`,
    ],
  ]),
  ...temporal('time', (digits) => [
    [`'-838:59:59'`, `"-838:59:59${fraction('000000', digits)}"`],
    [`'838:59:58${fraction('999999', digits)}'`, `"838:59:58${fraction('999999', digits)}"`],
    [`'-00:00:01${fraction('012345', digits)}'`, `"-00:00:01${fraction('012345', digits)}"`],
    [
      `'-00:00:00${fraction('100000', digits)}'`,
      digits === 0 ? '"00:00:00"' : `"-00:00:00${fraction('100000', digits)}"`,
    ],
    [`'00:00:00'`, `"00:00:00${fraction('000000', digits)}"`],
  ]),
  ...characterTypes,
  binary_: {
    sql: 'binary(8)',
    extremes: [
      ["x'00'", '"AAAAAAAAAAA="'],
      ["x'6100620000'", '"YQBiAAAAAAA="'],
      ["x'2020'", '"ICAAAAAAAAA="'],
    ],
    random: bytes(8),
  },
  binary_long: {
    sql: 'binary(255)',
    extremes: [["''", `"${Buffer.alloc(255).toString('base64')}"`]],
    random: bytes(255),
  },
  varbinary_: {
    sql: 'varbinary(300)',
    extremes: [
      ["x'00ff00'", '"AP8A"'],
      ["''", '""'],
    ],
    random: bytes(300),
  },
  tinyblob_: { sql: 'tinyblob', extremes: [["x'80'", '"gA=="']], random: bytes(200) },
  blob_: {
    sql: 'blob',
    extremes: [["repeat('x', 300)", `"${Buffer.alloc(300, 'x').toString('base64')}"`]],
    random: bytes(400),
  },
  mediumblob_: { sql: 'mediumblob', extremes: [["''", '""']], random: bytes(40) },
  longblob_: {
    sql: 'longblob',
    extremes: [["repeat('x', 70000)", `"${Buffer.alloc(70_000, 'x').toString('base64')}"`]],
    random: bytes(40),
  },
  enum_: {
    sql: `enum('new', 'it''s', 'a"b', 'Grüße', 'back\\\\slash', 'comma,')`,
    extremes: [
      ["'new'", '"new"'],
      ["'it''s'", `"it's"`],
      ["'a\"b'", '"a\\"b"'],
      ["'Grüße'", '"Grüße"'],
      ["'back\\\\slash'", '"back\\\\slash"'],
      ["'wrong'", '""'],
      ["'comma,'", '"comma,"'],
    ],
    random: fc.integer({ min: 1, max: 6 }).map(String),
  },
  enum_latin1: {
    sql: `enum('ä', 'b') character set latin1`,
    extremes: [["'ä'", '"ä"']],
    random: fc.integer({ min: 1, max: 2 }).map(String),
  },
  enum_wide: {
    sql: `enum(${Array.from({ length: 300 }, (_, n) => `'label ${n}'`).join(',')})`,
    extremes: [
      ['256', '"label 255"'],
      ['300', '"label 299"'],
    ],
    random: fc.integer({ min: 1, max: 300 }).map(String),
  },
  set_: {
    sql: `set('a', 'b', 'ü', 'it''s')`,
    extremes: [
      ["''", '[]'],
      ["'b,a'", '["a","b"]'],
      ['15', `["a","b","ü","it's"]`],
    ],
    random: fc.integer({ min: 0, max: 15 }).map(String),
  },
  set_wide: {
    sql: `set(${Array.from({ length: 64 }, (_, n) => `'m${n}'`).join(',')})`,
    extremes: [
      ['18446744073709551615', JSON.stringify(Array.from({ length: 64 }, (_, n) => `m${n}`))],
      ['9223372036854775809', '["m0","m63"]'],
    ],
    random: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
  },
  json_: {
    sql: 'json',
    only: ['mysql', 'mysql@8.0', 'mysql@5.7'],
    extremes: jsonExtremes(),
    random: fc
      .oneof(
        fc.json({ stringUnit: 'binary' }),
        fc.jsonValue().map((value) => JSON.stringify(value)),
        // Doubles of all magnitudes: their text changes its form at some of them.
        doubles(fc.maxSafeInteger()),
        doubles(fc.integer({ min: -9999, max: 9999 })),
      )
      .map((json) => text(json)),
  },
  ...everyGeometry,
  ...mariadbTypes,
  virtual_: {
    sql: 'int generated always as (int_ + 1) virtual',
    extremes: [],
    random: fc.constant('default'),
  },
  stored_: {
    sql: 'bigint generated always as (smallint_ * 2) stored',
    extremes: [],
    random: fc.constant('default'),
  },
  unseen_: {
    sql: 'int invisible default 5',
    only: ['mysql', 'mysql@8.0', 'mariadb', 'mariadb@11.8'],
    extremes: [['7', '7']],
    random: fc.constant('default'),
  },
}

function integer(name: string, bits: number): Record<string, TypeCase> {
  const half = 2n ** BigInt(bits - 1)
  return {
    [`${name}_`]: {
      sql: name,
      extremes: [pair(-half), pair(half - 1n), pair(0n), pair(-1n)],
      random: fc.bigInt({ min: -half, max: half - 1n }).map(String),
    },
    [`${name}_unsigned`]: {
      sql: `${name} unsigned`,
      extremes: [pair(2n * half - 1n), pair(half), pair(0n)],
      random: fc.bigInt({ min: 0n, max: 2n * half - 1n }).map(String),
    },
  }
}

function pair(value: bigint): [sql: string, json: string] {
  return [String(value), String(value)]
}

function decimal(precision: number, scale: number, extremes: TypeCase['extremes']): Record<string, TypeCase> {
  const limit = 10n ** BigInt(precision)
  const random = fc.bigInt({ min: 1n - limit, max: limit - 1n }).map((value) => {
    const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0')
    const point = digits.length - scale
    return `${value < 0n ? '-' : ''}${digits.slice(0, point)}${scale > 0 ? `.${digits.slice(point)}` : ''}`
  })
  return { [`decimal_${precision}_${scale}`]: { sql: `decimal(${precision},${scale})`, extremes, random } }
}

function bit(bits: number, pattern: string): Record<string, TypeCase> {
  return {
    [`bit_${bits}`]: {
      sql: `bit(${bits})`,
      extremes: [
        ['0', '0'],
        [pattern, pattern],
      ],
      random: fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n }).map(String),
    },
  }
}

function temporal(
  kind: 'datetime' | 'timestamp' | 'time',
  extremes: (digits: number) => TypeCase['extremes'],
): Record<string, TypeCase> {
  const random =
    kind === 'time'
      ? fc.integer({ min: -3_020_399, max: 3_020_399 }).map(duration)
      : moment().map(({ full }) => full)
  const cases = [0, 1, 2, 3, 4, 5, 6].map((digits): [string, TypeCase] => [
    `${kind}_${digits}`,
    {
      sql: `${kind}(${digits})${kind === 'timestamp' ? ' null' : ''}`,
      extremes: extremes(digits),
      random: fc
        .tuple(random, fc.integer({ min: 0, max: 999_999 }))
        .map(([whole, micros]) => `'${whole}.${String(micros).padStart(6, '0')}'`),
    },
  ])
  return Object.fromEntries(cases)
}

/** Between 1971 and 2037, so that a TIMESTAMP holds it too. */
function moment(): fc.Arbitrary<{ readonly date: string; readonly full: string }> {
  return fc.integer({ min: 31_536_000, max: 2_145_830_000 }).map((seconds) => {
    const iso = new Date(seconds * 1000).toISOString()
    return { date: iso.slice(0, 10), full: iso.slice(0, 19).replace('T', ' ') }
  })
}

function duration(seconds: number): string {
  const size = Math.abs(seconds)
  return `${seconds < 0 ? '-' : ''}${Math.floor(size / 3600)}:${Math.floor(size / 60) % 60}:${size % 60}`
}

function fraction(micros: string, digits: number): string {
  return digits === 0 ? '' : `.${micros.slice(0, digits)}`
}

function bytes(length: number): fc.Arbitrary<string> {
  return fc.uint8Array({ maxLength: length }).map((value) => `x'${Buffer.from(value).toString('hex')}'`)
}

/** A number that MySQL reads as a double. */
function literal(value: number): string {
  return Object.is(value, -0) ? '-0e0' : value.toExponential()
}

function jsonExtremes(): TypeCase['extremes'] {
  return [
    same('null'),
    same('{"": "", "a": {}, "b": [], "c": [1, [2, [3]]], "Grüße": "Ж 😀"}'),
    same(
      '[9007199254740993, -9223372036854775808, 18446744073709551615, 65535, 65536, -32769, true, false, null]',
    ),
    same(
      '[1.0, 0.0, -0.0, 0.1, 1e100, 1.5e-20, 0.00000000000001, 0.000000000000001, 1e-16, 123456789012345.0, 1e15, 1.7976931348623157e308]',
    ),
    same('"quote \\" backslash \\\\ \\b\\f\\n\\r\\t\\u001f"'),
    ["cast('[1e15, 1e16, 1234567890123456.0]' as json)", '[1e15, 1e16, 1.234567890123456e15]'],
    [
      "json_array(cast('2024-05-31 12:34:56.5' as datetime(1)), cast('2024-05-31' as date), cast('-12:34:56.25' as time(2)))",
      '["2024-05-31 12:34:56.500000", "2024-05-31", "-12:34:56.250000"]',
    ],
    [
      "json_array(cast('12.30' as decimal(10,2)), cast('-0.5' as decimal(30,20)), x'00ff')",
      '[12.30, -0.50000000000000000000, "base64:type15:AP8="]',
    ],
    [`json_object('blob', repeat(x'41', 100), 'bit', b'1010')`, ''],
    [
      `json_array(repeat('x', 70000), 1, 70000, -70000, 5000000000)`,
      `["${'x'.repeat(70_000)}", 1, 70000, -70000, 5000000000]`,
    ],
  ].map(([sql = '', json = '']): [string, string] => [sql, json])
}

/** JSON that the server shows as it was written. */
function same(json: string): [sql: string, json: string] {
  return [text(json), json]
}

/** An array of doubles with these digits, at any power of ten. */
function doubles(digits: fc.Arbitrary<number>): fc.Arbitrary<string> {
  const double = fc.tuple(digits, fc.integer({ min: -40, max: 25 })).map((parts) => parts.join('e'))
  return fc.array(double, { maxLength: 40 }).map((parts) => `[${parts.join(',')}]`)
}
