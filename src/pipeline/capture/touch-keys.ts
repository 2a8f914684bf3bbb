/** Touches of keys that people and programs name, in whatever spelling. */
import type { Key, Position, Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { keyFrom } from '../../change/key.ts'
import type { Source, SourceAdmin } from '../../source/source.ts'
import type { Touched, TouchRequest } from './touches.ts'

export interface TouchKeysParts {
  readonly source: Pick<Source, 'rows'> & Pick<SourceAdmin, 'describe'>
  readonly capture: {
    readonly position: Position
    touch(request: TouchRequest, signal: AbortSignal): Promise<Touched>
  }
}

export interface NamedKeys {
  /** `schema.table`. */
  readonly table: string
  readonly texts: readonly string[]
  readonly addressee: string
}

/** A text that is no key of the table, by its place in the list. */
export interface MalformedKey {
  readonly at: number
  readonly why: string
}

/** Keys in one statement. */
const keysMax = 500

/**
 * All or nothing: where one of them is malformed, none is touched. Besides each key as it was written, the spelling of
 * the row that the server takes for equal is touched ("KÖLN" for "köln"): a document may be under either.
 */
export async function touchKeys(
  { source, capture }: TouchKeysParts,
  { table: name, texts, addressee }: NamedKeys,
  signal: AbortSignal,
): Promise<{ readonly touched: Touched } | { readonly malformed: readonly MalformedKey[] }> {
  const { table } = await source.describe(name)
  const { keys, malformed } = read(table, texts)
  if (malformed.length > 0) return { malformed }
  const wanted = new Set(keys)
  // What the server cannot compare is refused here: a lane that came upon it could not go on.
  for (let from = 0; from < keys.length; from += keysMax) {
    const request = { table: name, keys: keys.slice(from, from + keysMax), includes: capture.position }
    const { rows } = await source.rows(request, signal)
    for (const { key } of rows) wanted.add(key)
  }
  return { touched: await capture.touch({ table, keys: wanted, addressee }, signal) }
}

function read(
  table: Table,
  texts: readonly string[],
): { readonly keys: readonly Key[]; readonly malformed: readonly MalformedKey[] } {
  const keys: Key[] = []
  const malformed: MalformedKey[] = []
  for (const [at, text] of texts.entries()) {
    try {
      keys.push(keyFrom(table, text))
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      malformed.push({ at, why: error.message })
    }
  }
  return { keys, malformed }
}
