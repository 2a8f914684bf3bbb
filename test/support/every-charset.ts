/** A character column of each family of character sets. */
import * as fc from 'fast-check'
import type { TypeCase } from './type-case.ts'

/** An SQL expression of text, whatever its characters. */
export function text(value: string): string {
  return `convert(x'${Buffer.from(value, 'utf8').toString('hex')}' using utf8mb4)`
}

function column(sql: string, samples: readonly string[], random: fc.Arbitrary<string>): TypeCase {
  return {
    sql,
    extremes: samples.map((sample): [string, string] => [text(sample), JSON.stringify(sample)]),
    random: random.map(text),
  }
}

/** Random texts of these characters. */
function of(alphabet: string): fc.Arbitrary<string> {
  const characters = Array.from(alphabet)
  return fc.array(fc.constantFrom(...characters), { maxLength: 12 }).map((parts) => parts.join(''))
}

const letters = fc.string({ unit: 'grapheme', maxLength: 12 })
const ascii = fc.string({ unit: 'binary-ascii', maxLength: 12 })
const hostile = [
  '',
  'plain',
  'quote " backslash \\ slash /',
  '\u0000\u0001\b\f\n\r\t\u001f\u007f',
  'Grüße, Ж, 中文, 😀\u2028',
]
/** By column name. */
export const characterTypes: Readonly<Record<string, TypeCase>> = {
  char_: column('char(40) character set utf8mb4', hostile, letters),
  char_long: column('char(255) character set utf8mb4', ['ж'.repeat(255)], letters),
  varchar_: column('varchar(60) character set utf8mb4', [...hostile, 'trailing   '], letters),
  varchar_long: column('varchar(300) character set utf8mb4', ['€'.repeat(300)], letters),
  utf8mb3_: column('varchar(30) character set utf8', ['Grüße 中文'], of('aäßЖ中\u0000"')),
  latin1_: column('varchar(30) character set latin1', ['naïve €', '\u0081\u008d'], of('aäß€ÿ"\u0007')),
  ascii_: column('varchar(130) character set ascii', ['plain'], ascii),
  ucs2_: column('varchar(30) character set ucs2', ['Grüße 中文'], of('aäЖ中"\u0000')),
  utf16_: column('varchar(30) character set utf16', ['a😀'], letters),
  utf16le_: column('varchar(30) character set utf16le', ['a😀'], letters),
  utf32_: column('varchar(30) character set utf32', ['a😀'], letters),
  gbk_: column('varchar(30) character set gbk', ['中文 a'], of('中文国a"')),
  big5_: column('varchar(30) character set big5', ['中文 功'], of('中文功許蓋a"')),
  sjis_: column('varchar(30) character set sjis', ['日本 ｱ 表'], of('日本表ソｱa"')),
  cp932_: column('varchar(30) character set cp932', ['①～'], of('日①～a"')),
  ujis_: column('varchar(30) character set ujis', ['日本'], of('日本語a')),
  eucjpms_: column('varchar(30) character set eucjpms', ['日本 ①'], of('日①a')),
  euckr_: column('varchar(30) character set euckr', ['한글 갂'], of('한글갂힣a')),
  koi8r_: column('varchar(30) character set koi8r', ['привет'], of('приветПЯa')),
  cp1251_: column('varchar(30) character set cp1251', ['привет №'], of('приветёЁ№a')),
  greek_: column('varchar(30) character set greek', ['αβγ'], of('αβγΩa')),
  cp1250_: column('char(30) character set cp1250', ['žluť'], of('žluťŠa')),
  tinytext_: column('tinytext character set utf8mb4', ['x'], letters),
  text_: column('text character set utf8mb4', ['ж'.repeat(1000)], letters),
  mediumtext_: column('mediumtext character set utf8mb4', ['x'], letters),
  longtext_: column('longtext character set utf8mb4', ['x'.repeat(70_000)], letters),
  text_latin1: column('text character set latin1', ['é'], of('éà"')),
}
