/** Column types with lengths, digits, signs, character sets and labels of their own, drawn at random. */
import { text } from './every-charset.ts'
import type { Random } from './random.ts'

export interface SizedType {
  /** Draws a definition. */
  readonly type: (random: Random) => string
  /** Draws an SQL expression; the server cuts what is too large, where its mode lets it. */
  readonly value: (random: Random) => string
}

export const sizedTypes: readonly SizedType[] = [
  {
    type: (random) =>
      `${random.pick(['char', 'varchar'])}(${1 + random.below(90)}) CHARACTER SET ${random.pick(collations)}`,
    value: (random) => text(some(random, 12, letters)),
  },
  {
    type: (random) => `varchar(${200 + random.below(300)}) CHARACTER SET ${random.pick(collations)}`,
    value: (random) => text(some(random, 60, letters)),
  },
  {
    type: (random) => `${random.pick(['binary', 'varbinary'])}(${1 + random.below(40)})`,
    value: (random) => hex(random, 50),
  },
  {
    type: (random) => {
      const precision = 1 + random.below(65)
      return `decimal(${precision},${random.below(Math.min(30, precision) + 1)})${unsigned(random)}`
    },
    value: (random) => `${digits(random, 40)}.${1 + random.below(1e9)}`,
  },
  { type: (random) => `bit(${1 + random.below(64)})`, value: (random) => hex(random, 9) },
  {
    type: (random) =>
      `${random.pick(['tinyint', 'smallint', 'mediumint', 'int', 'bigint'])}(${1 + random.below(30)})${unsigned(random)}`,
    value: (random) => digits(random, 20),
  },
  {
    type: (random) => `datetime(${random.below(7)})`,
    value: (random) => `'${date(random)} ${time(random)}'`,
  },
  { type: (random) => `time(${random.below(7)})`, value: (random) => `'${time(random)}'` },
  {
    type: (random) => `float${unsigned(random)}`,
    value: (random) => `${digits(random, 8)}e${random.below(50) - 25}`,
  },
  { type: (random) => `enum(${listed(random, 12)})`, value: (random) => String(random.below(13)) },
  { type: (random) => `enum(${listed(random, 300)})`, value: (random) => String(random.below(301)) },
  { type: (random) => `set(${listed(random, 64)})`, value: (random) => String(random.below(2 ** 20)) },
  {
    type: (random) => random.pick(['tinyblob', 'blob(9000)', 'mediumblob', 'longblob']),
    value: (random) => hex(random, 200),
  },
]

/** None is empty: of such a column the value 0, which stands for an invalid one, looks like that label. */
const labels = ['a', 'B', "it''s", 'x y', 'Grüße', '\\\\', 'ß', '0', 'comma;', '"q"', 'z'.repeat(60)]
const collations = [
  'utf8mb4 COLLATE utf8mb4_bin',
  'utf8mb4 COLLATE utf8mb4_general_ci',
  'utf8mb4 COLLATE utf8mb4_unicode_ci',
  'utf8mb4',
  'latin1 COLLATE latin1_german2_ci',
  'latin1 COLLATE latin1_bin',
  'utf16 COLLATE utf16_unicode_ci',
  'ucs2 COLLATE ucs2_bin',
  'ascii COLLATE ascii_bin',
  'sjis COLLATE sjis_bin',
  'cp932',
  'utf32 COLLATE utf32_bin',
  'gbk COLLATE gbk_bin',
  'binary',
]
const letters = Array.from('aAbBzZ 0_%\'"\\äßé日表')

function some(random: Random, most: number, units: readonly string[]): string {
  return Array.from({ length: random.below(most + 1) }, () => random.pick(units)).join('')
}

function hex(random: Random, most: number): string {
  return `x'${Array.from({ length: random.below(most + 1) }, () => random.below(256).toString(16).padStart(2, '0')).join('')}'`
}

function digits(random: Random, most: number): string {
  return `${random.next() < 0.4 ? '-' : ''}${1 + random.below(9)}${some(random, most, Array.from('0123456789'))}`
}

/** A list of labels in any order, of which none is twice; MySQL compares them without their case. */
function listed(random: Random, most: number): string {
  const left = Array.from({ length: 1 + random.below(most) }, (_, at) => `'${labels[at] ?? `label ${at}`}'`)
  const drawn: string[] = []
  while (left.length > 0) drawn.push(...left.splice(random.below(left.length), 1))
  return drawn.join(', ')
}

const unsigned = (random: Random): string => random.pick(['', '', ' unsigned', ' unsigned zerofill'])
const micros = (random: Random): string => String(random.below(1_000_000)).padStart(6, '0')
const two = (number: number): string => String(number).padStart(2, '0')
const date = (random: Random): string =>
  `${1971 + random.below(66)}-${two(1 + random.below(12))}-${two(1 + random.below(28))}`
const time = (random: Random): string =>
  `${two(random.below(24))}:${two(random.below(60))}:${two(random.below(60))}.${micros(random)}`
