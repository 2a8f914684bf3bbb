/**
 * Character sets: which one a collation belongs to, and the text of a column's bytes. What the servers show for a code
 * is what counts, so single-byte sets have the servers' own tables, and the platform's decoders of East Asian sets are
 * corrected where they differ (charset-tables.ts).
 */
import { EXCEPTIONS, SWE7, UPPER_HALVES } from './charset-tables.ts'

/** Turns the bytes of one value into text; bytes that are no character become U+FFFD. */
export type TextDecode = (bytes: Uint8Array) => string

/** The character set of a collation id, of MySQL up to 9.7 and MariaDB up to 11.8; undefined = not known. */
export function charsetOf(collation: number): string | undefined {
  for (const [charset, ranges] of COLLATIONS)
    for (const [first, last] of ranges) if (collation >= first && collation <= last) return charset
  return undefined
}

/** A collation of a character set; undefined = not a character set that is known here. */
export function collationOf(charset: string): number | undefined {
  return COLLATIONS.find(([name]) => name === charset)?.[1][0]?.[0]
}

/** The most bytes that one character takes; undefined = not a character set that is known here. */
export function bytesPerCharacter(charset: string): number | undefined {
  return WIDTHS[charset] ?? (charset in UPPER_HALVES || charset === 'swe7' ? 1 : undefined)
}

/**
 * The decoder of a character set; undefined for those whose bytes are UTF-8 already (utf8mb4, utf8mb3, ascii), and for
 * `binary`, which has no text.
 */
export function decoderOf(charset: string): TextDecode | undefined {
  if (isUtf8Charset(charset) || charset === 'binary') return undefined
  const upper = UPPER_HALVES[charset]
  if (upper !== undefined) return singleByte(byteTable(upper))
  switch (charset) {
    case 'swe7':
      return singleByte(byteTable('?'.repeat(128)).map((character) => SWE7[character] ?? character))
    case 'ucs2':
    case 'utf16':
      return platformDecoder('utf-16be')
    case 'utf16le':
      return platformDecoder('utf-16le')
    case 'utf32':
      return utf32
    default:
      return multiByte(charset)
  }
}

/** Whether the bytes of text in this set are UTF-8 as they are. */
export function isUtf8Charset(charset: string): boolean {
  return charset === 'utf8mb4' || charset === 'utf8mb3' || charset === 'ascii'
}

/** Whether text of ASCII characters alone has the same bytes in this set. */
export function holdsAscii(charset: string): boolean {
  return !['swe7', 'ucs2', 'utf16', 'utf16le', 'utf32'].includes(charset)
}

function byteTable(upper: string): string[] {
  return Array.from({ length: 256 }, (_, byte) =>
    byte < 128 ? String.fromCharCode(byte) : (upper[byte - 128] ?? '\ufffd'),
  )
}

function singleByte(table: readonly string[]): TextDecode {
  return (bytes) => {
    let text = ''
    for (const byte of bytes) text += table[byte] ?? ''
    return text
  }
}

type PlatformDecoder = InstanceType<typeof TextDecoder>

function platformDecoder(label: string): TextDecode {
  const decoder = new TextDecoder(label, { ignoreBOM: true })
  return (bytes) => decoder.decode(bytes)
}

function utf32(bytes: Uint8Array): string {
  let text = ''
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const point = view.getUint32(at)
    const isCharacter = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff)
    text += isCharacter ? String.fromCodePoint(point) : '\ufffd'
  }
  return bytes.length % 4 === 0 ? text : text + '\ufffd'
}

/** East Asian sets: code by code, each code looked up once and remembered. */
function multiByte(charset: string): TextDecode {
  const family = FAMILIES[charset]
  if (family === undefined) throw new Error(`no decoder for the character set ${charset}`)
  const platform = new TextDecoder(family.label, { fatal: true })
  const known = exceptionsOf(charset)
  return (bytes) => {
    let text = ''
    for (let at = 0; at < bytes.length;) {
      const length = Math.min(family.lengthOf(bytes[at] ?? 0, bytes[at + 1] ?? 0), bytes.length - at)
      let code = length // a leading length keeps codes of different lengths apart
      for (let index = 0; index < length; index++) code = code * 256 + (bytes[at + index] ?? 0)
      let character = known.get(code)
      if (character === undefined) {
        character = decodedCode(platform, bytes.subarray(at, at + length))
        known.set(code, character)
      }
      text += character
      at += length
    }
    return text
  }
}

function decodedCode(platform: PlatformDecoder, code: Uint8Array): string {
  const first = code[0] ?? 0
  // The platform's Shift_JIS reads three control characters as others; the servers do not.
  if (code.length === 1 && first < 128) return String.fromCharCode(first)
  try {
    return platform.decode(code)
  } catch {
    return '\ufffd'
  }
}

function exceptionsOf(charset: string): Map<number, string> {
  const known = new Map<number, string>()
  for (const item of (EXCEPTIONS[charset] ?? '').split(' ')) {
    const digits = /^[0-9A-F]+/.exec(item)?.[0] ?? ''
    // A character may itself be a digit or letter: codes have 4 or 6 digits.
    const length = digits.startsWith('8F') && digits.length >= 6 ? 6 : 4
    const bytes = length / 2
    if (item !== '') known.set(bytes * 256 ** bytes + parseInt(item.slice(0, length), 16), item.slice(length))
  }
  if (charset === 'ujis' || charset === 'eucjpms') addUserDefinedRows(known)
  if (charset === 'euckr') addUnifiedHangul(known)
  return known
}

/** EUC-JP's rows 85 to 94 of both planes are the private use area. */
function addUserDefinedRows(known: Map<number, string>): void {
  for (let row = 0; row < 20; row++)
    for (let cell = 0; cell < 94; cell++) {
      const character = String.fromCharCode(0xe000 + row * 94 + cell)
      const trail = 0xa1 + cell
      if (row < 10) known.set(0x20000 + (0xf5 + row) * 256 + trail, character)
      else known.set(0x3000000 + 0x8f0000 + (0xf5 + row - 10) * 256 + trail, character)
    }
}

/** EUC-KR of the servers has all Hangul: those that KS X 1001 lacks follow in Unicode order from 8141 on. */
function addUnifiedHangul(known: Map<number, string>): void {
  const standard = new TextDecoder('euc-kr', { fatal: true })
  const present = new Set<string>()
  for (let lead = 0xb0; lead <= 0xc8; lead++)
    for (let trail = 0xa1; trail <= 0xfe; trail++)
      present.add(decodedCode(standard, Uint8Array.of(lead, trail)))
  let lead = 0x81
  let trail = 0x41
  for (let point = 0xac00; point <= 0xd7a3; point++) {
    const character = String.fromCharCode(point)
    if (present.has(character)) continue
    known.set(0x20000 + lead * 256 + trail, character)
    trail++
    if (trail === 0x5b) trail = 0x61
    else if (trail === 0x7b) trail = 0x81
    else if (trail === 0xff || (lead >= 0xa1 && trail === 0xa1)) {
      lead++
      trail = 0x41
    }
  }
}

interface Family {
  readonly label: string
  /** How many bytes the code that begins with these two takes. */
  readonly lengthOf: (first: number, second: number) => number
}

const twoBytes = (first: number): number => (first < 0x80 ? 1 : 2)
const shiftJis = (first: number): number => (first < 0x80 || (first >= 0xa1 && first <= 0xdf) ? 1 : 2)
const eucJapanese = (first: number): number => (first < 0x80 ? 1 : first === 0x8f ? 3 : 2)
const gb18030 = (first: number, second: number): number =>
  first < 0x80 ? 1 : second >= 0x30 && second <= 0x39 ? 4 : 2

const FAMILIES: Readonly<Record<string, Family>> = {
  big5: { label: 'big5', lengthOf: twoBytes },
  gbk: { label: 'gbk', lengthOf: twoBytes },
  gb2312: { label: 'gbk', lengthOf: twoBytes },
  gb18030: { label: 'gb18030', lengthOf: gb18030 },
  sjis: { label: 'shift_jis', lengthOf: shiftJis },
  cp932: { label: 'shift_jis', lengthOf: shiftJis },
  euckr: { label: 'euc-kr', lengthOf: twoBytes },
  ujis: { label: 'euc-jp', lengthOf: eucJapanese },
  eucjpms: { label: 'euc-jp', lengthOf: eucJapanese },
}

/** Single-byte sets are not listed. */
const WIDTHS: Readonly<Record<string, number>> = {
  utf8mb4: 4,
  utf8mb3: 3,
  ascii: 1,
  binary: 1,
  ucs2: 2,
  utf16: 4,
  utf16le: 4,
  utf32: 4,
  big5: 2,
  gbk: 2,
  gb2312: 2,
  gb18030: 4,
  sjis: 2,
  cp932: 2,
  euckr: 2,
  ujis: 3,
  eucjpms: 3,
}

const COLLATIONS: readonly (readonly [string, readonly (readonly [number, number])[]])[] = Object.entries({
  // Ids from 1024 on are MariaDB's collations without padding, those from 2048 on its uca1400 families.
  utf8mb4: '45-46 224-247 255-323 608-611 1069-1070 1248 1270 2304-2559',
  utf8mb3: '33 76 83 192-215 223 576-579 1057 1107 1216 1238 2048-2303',
  latin1: '5 8 15 31 47-49 94 1032 1071',
  binary: '63',
  ascii: '11 65 1035 1089',
  big5: '1 84 1025 1108',
  latin2: '2 9 21 27 77 1033 1101',
  dec8: '3 69 1027 1093',
  cp850: '4 80 1028 1104',
  hp8: '6 72 1030 1096',
  koi8r: '7 74 1031 1098',
  swe7: '10 82 1034 1106',
  ujis: '12 91 1036 1115',
  sjis: '13 88 1037 1112',
  cp1251: '14 23 50-52 1074-1075',
  hebrew: '16 71 1040 1095',
  tis620: '18 89 1042 1113',
  euckr: '19 85 1043 1109',
  latin7: '20 41-42 79 1065 1103',
  koi8u: '22 75 1046 1099',
  gb2312: '24 86 1048 1110',
  greek: '25 70 1049 1094',
  cp1250: '26 34 44 66 99 1050 1090',
  gbk: '28 87 1052 1111',
  cp1257: '29 58-59 1082-1083',
  latin5: '30 78 1054 1102',
  armscii8: '32 64 1056 1088',
  ucs2: '35 90 128-151 159 640-642 1059 1114 1152 1174 2560-2815',
  cp866: '36 68 1060 1092',
  keybcs2: '37 73 1061 1097',
  macce: '38 43 1062 1067',
  macroman: '39 53 1063 1077',
  cp852: '40 81 1064 1105',
  utf16: '54-55 101-124 672-674 1078-1079 1125 1147 2816-3071',
  utf16le: '56 62 1080 1086',
  cp1256: '57 67 1081 1091',
  utf32: '60-61 160-183 736-738 1084-1085 1184 1206 3072-3327',
  geostd8: '92-93 1116-1117',
  cp932: '95-96 1119-1120',
  eucjpms: '97-98 1121-1122',
  gb18030: '248-250',
}).map(([charset, ranges]) => [
  charset,
  ranges.split(' ').map((range) => {
    const [first, last = first] = range.split('-').map(Number)
    return [first ?? 0, last ?? 0] as const
  }),
])
