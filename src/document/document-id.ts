/**
 * The id of a document: a text that is different for different keys, and that every search server takes.
 *
 *   one column        its value as plain text
 *   several columns   their values joined by "|"; in them "|" is written \| and "\" is written \\
 *   too long, empty   sha256: and the hash of that text in hex (so is a text that begins with sha256: itself)
 */
import { createHash } from 'node:crypto'
import { textOf, type Cell } from '../change/row.ts'

/** `cells` are the columns of the id, in order. */
export function documentId(cells: readonly Cell[], prefix: string): string {
  const [only] = cells
  const text = cells.length === 1 ? plainText(only ?? null) : cells.map(joinable).join('|')
  if (text.length > shortCharacters || text.length === 0 || text.startsWith(hashMark))
    return bounded(text, prefix)
  return prefix + text
}

/** So many characters are within the limit whatever they and the prefix are. */
const shortCharacters = 32
const idBytesMax = 512
const hashMark = 'sha256:'

function bounded(text: string, prefix: string): string {
  const id = prefix + text
  const taken = text.length > 0 && !text.startsWith(hashMark) && Buffer.byteLength(id) <= idBytesMax
  return taken ? id : prefix + hashMark + createHash('sha256').update(text).digest('hex')
}

function joinable(cell: Cell): string {
  // No value reads like this: a backslash in a value is doubled.
  if (cell === null || cell === undefined) return '\\N'
  const text = plainText(cell)
  return special.test(text) ? text.replace(/[\\|]/g, '\\$&') : text
}

const special = /[\\|]/

/** A value as a person would write it: strings without quotes, everything else as its JSON. */
function plainText(cell: string | null): string {
  if (cell === null) return 'null'
  const first = cell.charCodeAt(0)
  // A number is ASCII.
  if (first !== quote) return first <= nine ? cell : textOf(cell)
  return simple.test(cell) ? cell.slice(1, -1) : String(JSON.parse(textOf(cell)))
}

const quote = 34
const nine = 57
/** A JSON string of ASCII without escapes. */
const simple = /^"[ !#-[\]-~]*"$/
