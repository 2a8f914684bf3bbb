/**
 * JSON to values and back without losing a digit. A number that JavaScript would round becomes a bigint where it is whole,
 * and else an object that stands for its text (`JSON.rawJSON`) and can be passed on.
 */

/** Throws a SyntaxError where the text is not JSON. */
export function parseExact(text: string): unknown {
  return parse(text, (_name, value, { source }) =>
    typeof value === 'number' && source !== undefined ? exactNumber(value, source) : value,
  )
}

/** One line. undefined = the value has no JSON, such as a function. */
export function textOfExact(value: unknown): string | undefined {
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === 'bigint' ? rawNumber(String(member)) : member,
  )
}

/** JSON in which each number is a string, the text that it was. Throws a SyntaxError where the text is not JSON. */
export function parseDigits(text: string): unknown {
  return parse(text, (_name, value, { source }) =>
    typeof value === 'number' ? (source ?? String(value)) : value,
  )
}

/** The types of the language do not know the reviver's third parameter yet. */
const parse = JSON.parse as (text: string, reviver: Reviver) => unknown

type Reviver = (name: string, value: unknown, context: { readonly source?: string }) => unknown

function exactNumber(value: number, source: string): unknown {
  if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value) ? value : BigInt(source)
  return Number.isFinite(value) && digitsOf(source) <= digitsKept ? value : rawNumber(source)
}

/** Digits that count. */
function digitsOf(source: string): number {
  const [mantissa = ''] = source.split(/[eE]/)
  return mantissa.replace(/[-.]/g, '').replace(/^0+/, '').length
}

function rawNumber(source: string): unknown {
  return (JSON as unknown as { readonly rawJSON: (text: string) => unknown }).rawJSON(source)
}

/** So many digits survive the way into a double and back. */
const digitsKept = 15
