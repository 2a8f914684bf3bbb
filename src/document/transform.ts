/** A function of the user's that makes each document what it is to be, or says that there is none. */
import { Failure } from '../change/failure.ts'
import { parseExact, textOfExact } from '../change/exact-json.ts'
import { textBody, textOfBody, type Operation, type Remark } from '../sink/sink.ts'
import type { Enricher } from './enricher.ts'

/**
 * Pure: the same document gives the same answer. Numbers that JavaScript would round are bigints where they are whole, and
 * else objects that stand for their text and may be passed on. null = there is no document.
 */
export type Transform = (document: Readonly<Record<string, unknown>>) => unknown

/** The exact JSON text of what the function makes of a document; undefined = there is none. Throws what it throws. */
export function transformed(transform: Transform, text: string): string | undefined {
  const made = transform(parseExact(text) as Readonly<Record<string, unknown>>)
  if (made === null) return undefined
  const isObject = typeof made === 'object' && !Array.isArray(made) && !(made instanceof Promise)
  const written = isObject ? textOfExact(made) : undefined
  if (written?.startsWith('{') === true) return written
  throw new Failure('rejected', `transform gave ${wordFor(made)}, not an object or null`)
}

export function transforming(inner: Enricher, transform: Transform | undefined): Enricher {
  if (transform === undefined) return inner
  return async (entries, signal) => {
    const works = await inner(entries, signal)
    return Array.from(works, (work) => ({ ...work, operation: applied(transform, work.operation) }))
  }
}

/** A document that the function fails on is refused; the others go on. */
function applied(transform: Transform, operation: Operation): Operation {
  if (operation.op === 'delete' || operation.remark?.kind === 'refused') return operation
  try {
    const text = transformed(transform, textOfBody(operation.body))
    return text === undefined
      ? { ...operation, op: 'delete', body: undefined }
      : { ...operation, body: textBody(text) }
  } catch (error) {
    return { ...operation, remark: remarkOf(error) }
  }
}

function remarkOf(error: unknown): Remark {
  const message = error instanceof Error ? error.message : String(error)
  const reason = `the transform failed: ${message}`
  return { kind: 'refused', reason, fingerprint: reason.replace(/\d+/g, '0').slice(0, 200) }
}

function wordFor(made: unknown): string {
  if (made === undefined) return 'nothing'
  if (made instanceof Promise) return 'a promise'
  return Array.isArray(made) ? 'a list' : `a ${typeof made}`
}
