import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  bytesPerCharacter,
  charsetOf,
  decoderOf,
  holdsAscii,
  isUtf8Charset,
} from '../../../../../src/source/mysql/values/charset.ts'

/** Texts with the bytes that MySQL 9.7 makes of them. */
const samples: readonly (readonly [charset: string, hex: string, text: string])[] = [
  ['latin1', '6e61ef7665208020ff', 'naïve € ÿ'],
  ['latin2', 'be6c75bb6f75e86bfd', 'žluťoučký'],
  ['cp1250', '9e6c759d2080', 'žluť €'],
  ['cp1251', 'eff0e8e2e5f220b9', 'привет №'],
  ['cp1256', 'd3e1c7e32081', 'سلام پ'],
  ['cp1257', 'e0e8e6', 'ąčę'],
  ['latin5', 'f0fdfedd', 'ğışİ'],
  ['latin7', 'e0e8e6c7', 'ąčęĒ'],
  ['koi8r', 'd0d2c9d7c5d4', 'привет'],
  ['koi8u', 'a7d6c1cb', 'їжак'],
  ['greek', 'e1e2e3d9', 'αβγΩ'],
  ['hebrew', 'f9ece5ed', 'שלום'],
  ['cp850', '84e1', 'äß'],
  ['cp852', 'a76c759c', 'žluť'],
  ['cp866', 'afe0a8a2a5e2', 'привет'],
  ['tis620', 'cac7d1cab4d5', 'สวัสดี'],
  ['swe7', '5d5b5c7d7b7c', 'ÅÄÖåäö'],
  ['hp8', 'ccc5', 'äé'],
  ['dec8', 'e4d7', 'äŒ'],
  ['macroman', '8ea0', 'é†'],
  ['macce', 'ec', 'ž'],
  ['keybcs2', '916c759f', 'žluť'],
  ['armscii8', 'd0b3db', 'Հայ'],
  ['geostd8', 'd3c0d8c0d2c8c5c4cbcf', 'საქართველო'],
  ['gbk', 'd6d0cec42061', '中文 a'],
  ['gb2312', 'd6d0cec4', '中文'],
  ['gb18030', 'd6d0cec4a2e39439fc36a8bc', '中文€😀ḿ'],
  ['big5', 'a4a4a4e5a55cf9d6', '中文功碁'],
  ['sjis', '93fa967b835c955cb18160', '日本ソ表ｱ〜'],
  ['cp932', '8740816093fab1', '①～日ｱ'],
  ['euckr', 'c7d1b1db8141c652', '한글갂힣'],
  ['ujis', 'c6fccbdcb8ec8eb1a1c1', '日本語ｱ〜'],
  ['eucjpms', 'c6fcada18eb1a1c1', '日①ｱ～'],
  ['ucs2', '004104364e2d', 'Aж中'],
  ['utf16', '0041d83dde00', 'A😀'],
  ['utf16le', '41003dd800de', 'A😀'],
  ['utf32', '000000410001f600', 'A😀'],
]

for (const [charset, hex, text] of samples)
  test(`${charset}: the server's bytes become its text`, () => {
    assert.equal(decoderOf(charset)?.(Buffer.from(hex, 'hex')), text)
  })

test('ASCII is the same in every set that says so', () => {
  const ascii = Array.from({ length: 128 }, (_, byte) => String.fromCharCode(byte)).join('')
  for (const [charset] of samples) {
    const decoded = decoderOf(charset)?.(Buffer.from(ascii, 'latin1'))
    assert.equal(decoded === ascii, holdsAscii(charset), charset)
  }
})

test('bytes that are no character never stop the decoding', () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte).toReversed())
  for (const [charset] of samples) assert.equal(typeof decoderOf(charset)?.(bytes), 'string', charset)
  assert.equal(decoderOf('utf32')?.(Buffer.from('0000d800001100000000004100', 'hex')), '\ufffd\ufffdA\ufffd')
  assert.equal(decoderOf('gbk')?.(Buffer.from('61ff', 'hex')), 'a\ufffd')
})

test('sets whose bytes are UTF-8, and bytes without a set, have no decoder', () => {
  for (const charset of ['utf8mb4', 'utf8mb3', 'ascii']) {
    assert.equal(decoderOf(charset), undefined)
    assert.ok(isUtf8Charset(charset))
  }
  assert.equal(decoderOf('binary'), undefined)
})

test('collations of both servers lead to their sets', () => {
  const known: readonly (readonly [number, string])[] = [
    [8, 'latin1'],
    [28, 'gbk'],
    [33, 'utf8mb3'],
    [45, 'utf8mb4'],
    [63, 'binary'],
    [76, 'utf8mb3'],
    [249, 'gb18030'],
    [255, 'utf8mb4'],
    [309, 'utf8mb4'],
    [323, 'utf8mb4'],
    [1069, 'utf8mb4'],
    [2048, 'utf8mb3'],
    [2304, 'utf8mb4'],
    [2560, 'ucs2'],
    [3072, 'utf32'],
  ]
  for (const [collation, charset] of known) assert.equal(charsetOf(collation), charset)
  assert.equal(charsetOf(100), undefined)
  assert.equal(charsetOf(4000), undefined)
})

test('every set of a known collation has a width and, where it needs one, a decoder', () => {
  for (let collation = 1; collation < 3400; collation++) {
    const charset = charsetOf(collation)
    if (charset === undefined) continue
    assert.ok(bytesPerCharacter(charset) !== undefined, charset)
    assert.doesNotThrow(() => decoderOf(charset), charset)
  }
})
