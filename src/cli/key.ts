/** Keys as people write them. */
import type { Key } from '../change/change.ts'
import { bytesOf } from '../change/row.ts'
import { UsageError } from './context.ts'

/**
 * The keys that the words can mean, the likeliest first: a word that looks like a number may be one or a text. One word
 * that is a JSON array says exactly what it means.
 */
export function keysOf(words: readonly string[]): readonly Key[] {
  const [first] = words
  if (words.length === 1 && first?.startsWith('[') === true) return [exactKey(first)]
  const texts = words.map((word) => JSON.stringify(word))
  const numbers = words.map((word, index) => (isNumber.test(word) ? word : (texts[index] ?? '')))
  return [...new Set([keyOf(numbers), keyOf(texts)])]
}

const isNumber = /^-?(0|[1-9]\d*)(\.\d+)?$/

/** Texts in their shortest form, numbers digit by digit as they are: parsed ones would lose some. */
function exactKey(text: string): Key {
  try {
    if (!Array.isArray(JSON.parse(text))) throw new SyntaxError('not an array')
  } catch {
    throw new UsageError(`the key ${text} is not a JSON array`)
  }
  const compact = text.replaceAll(/("(?:[^"\\]|\\.)*")|\s+/g, (_, quoted: string | undefined) =>
    quoted === undefined ? '' : JSON.stringify(JSON.parse(quoted)),
  )
  return bytesOf(compact) as Key
}

function keyOf(values: readonly string[]): Key {
  return bytesOf(`[${values.join(',')}]`) as Key
}
