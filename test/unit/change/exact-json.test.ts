import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assert as check, json, property, stringMatching } from 'fast-check'
import { parseDigits, parseExact, textOfExact } from '../../../src/change/exact-json.ts'

test('numbers that JavaScript would round keep their digits', () => {
  const text =
    '{"big":12345678901234567890,"long":0.1234567890123456789,"far":[1e400,-5],"whole":9007199254740993.0,"near":1.00000000000000000001}'
  assert.equal(textOfExact(parseExact(text)), text)
})

test('whole numbers beyond 2^53 are bigints, others are numbers', () => {
  const { big, small, part } = parseExact(
    '{"big":9007199254740993,"small":9007199254740991,"part":1.25}',
  ) as {
    readonly [name: string]: unknown
  }
  assert.deepEqual([big, small, part], [9007199254740993n, 9007199254740991, 1.25])
})

test('numbers can be had as the text that they are', () => {
  assert.deepEqual(parseDigits('{"a":1.10,"b":["x",9007199254740993,null]}'), {
    a: '1.10',
    b: ['x', '9007199254740993', null],
  })
})

test('what JSON can say, survives', () => {
  check(
    property(json(), (text) => {
      assert.deepEqual(JSON.parse(textOfExact(parseExact(text)) ?? ''), JSON.parse(text))
    }),
  )
})

test('any number survives by its value', () => {
  const digits = stringMatching(/^-?(0|[1-9]\d{0,25})(\.\d{1,25})?$/)
  check(
    property(digits, (text) => {
      assert.equal(plain(textOfExact(parseExact(text)) ?? ''), plain(text))
    }),
  )
})

/** Without idle zeroes, exponents written out. */
function plain(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(text) ?? []
  const shift = Number(exponent)
  const digits = shift < 0 ? `${'0'.repeat(-shift)}${whole}${fraction}` : `${whole}${fraction}`
  const point = shift < 0 ? digits.length - fraction.length + shift : whole.length
  const before = digits.slice(0, point).replace(/^0+/, '')
  const after = digits.slice(point).replace(/0+$/, '')
  return before === '' && after === '' ? '0' : `${sign}${before}.${after}`
}
