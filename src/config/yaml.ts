/** YAML text to plain values that remember their lines. */
import { LineCounter, isCollection, isMap, isNode, parseDocument, stringify, type Pair } from 'yaml'
import { refuse } from './problems.ts'

export interface Parsed {
  readonly value: unknown
  /** The line of a path in the file, from 1; of the nearest thing above it when it is not there itself. */
  readonly lineOf: (path: readonly string[]) => number
}

/** Throws a Failure of kind `configuration` with lines and columns. Integers beyond 2^53 become bigint. */
export function parseYaml(text: string, origin: string): Parsed {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, intAsBigInt: true })
  refuse(
    document.errors.map((error) => {
      const { line, col } = lines.linePos(error.pos[0])
      return { origin: `${origin}:${line}:${col}`, path: '', found: `not valid YAML: ${error.message}` }
    }),
  )
  const contents: unknown = document.contents
  return {
    value: withPlainNumbers(document.toJS()),
    lineOf(path) {
      const offset = offsetOf(contents, path)
      return offset === undefined ? 1 : lines.linePos(offset).line
    },
  }
}

/** A value as YAML on one line, quoted where that is needed. */
export function yamlScalar(value: unknown): string {
  return stringify(value, { lineWidth: 0, collectionStyle: 'flow' }).trimEnd()
}

function offsetOf(node: unknown, path: readonly string[]): number | undefined {
  const [key, ...rest] = path
  if (key === undefined || !isCollection(node)) return startOf(node)
  if (isMap(node)) return offsetOfPair(node.items, key, rest) ?? startOf(node)
  return offsetOf(node.items[Number(key)], rest) ?? startOf(node)
}

function offsetOfPair(pairs: readonly Pair[], key: string, rest: readonly string[]): number | undefined {
  const pair = pairs.find((each) => String(each.key) === key)
  if (pair === undefined) return undefined
  return rest.length === 0 ? startOf(pair.key) : (offsetOf(pair.value, rest) ?? startOf(pair.key))
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}

function withPlainNumbers(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const plain = Number(value)
    return Number.isSafeInteger(plain) ? plain : value
  }
  if (Array.isArray(value)) return value.map(withPlainNumbers)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withPlainNumbers(member)]))
}
