/** A function of the user's that makes each document what it is to be, or says that there is none. */
import { Failure, messageOf } from '../change/failure.ts'
import { parseExact, textOfExact } from '../change/exact-json.ts'
import { textBody, textOfBody, type Operation, type Remark } from '../sink/sink.ts'
import type { Enricher, Work } from './enricher.ts'

/**
 * Pure: the same document gives the same answer. Numbers that JavaScript would round are bigints where they are whole, and
 * else objects that stand for their text and may be passed on. null = there is no document.
 */
export type Transform = (document: Readonly<Record<string, unknown>>) => unknown

/** A transform, and what ends it where it would compute for ever. */
export interface Transformer {
  /** Its file, for messages. */
  readonly path: string
  readonly transform: Transform
  /** Does the work; false = it took too long, and was ended where it was. */
  readonly within: (work: () => void) => boolean
}

/**
 * The exact JSON text of what the function makes of a document; undefined = there is none. Throws what the function throws,
 * and a Failure of kind `configuration` where it does not end.
 */
export function transformed(transformer: Transformer, text: string): string | undefined {
  let made: string | undefined
  eachWithin(transformer, 1, () => {
    made = textMade(transformer.transform, text)
  })
  return made
}

/** Its calls throw a Failure of kind `configuration` where the function does not end, besides what `inner` throws. */
export function transforming(inner: Enricher, transformer: Transformer | undefined): Enricher {
  if (transformer === undefined) return inner
  return async (entries, signal) => {
    const works = Array.from(await inner(entries, signal))
    const made: Work[] = []
    eachWithin(transformer, works.length, (at) => {
      const work = works[at]
      if (work !== undefined)
        made[at] = { ...work, operation: applied(transformer.transform, work.operation) }
    })
    return made
  }
}

/** A document that is begun so often, and never done, is one for which the function does not end. */
const begunMax = 2

/** Does it for one after the other. One that is ended is begun anew: it may be the machine that stood still. */
function eachWithin({ path, within }: Transformer, count: number, make: (at: number) => void): void {
  let [done, begun] = [0, 0]
  const goOn = (): void => {
    for (; done < count; done++) make(done)
  }
  for (let before = 0; !within(goOn); before = done) {
    begun = done > before ? 1 : begun + 1
    if (begun === begunMax)
      throw new Failure('configuration', `the transform ${path} does not end for some document`, {
        remedy: 'correct it, with a case for millrace test; then start millrace again',
      })
  }
}

/** A document that the function fails on is refused; the others go on. */
function applied(transform: Transform, operation: Operation): Operation {
  if (operation.op === 'delete' || operation.remark?.kind === 'refused') return operation
  try {
    const text = textMade(transform, textOfBody(operation.body))
    return text === undefined
      ? { ...operation, op: 'delete', body: undefined }
      : { ...operation, body: textBody(text) }
  } catch (error) {
    return { ...operation, remark: remarkOf(error) }
  }
}

function textMade(transform: Transform, text: string): string | undefined {
  const made = transform(parseExact(text) as Readonly<Record<string, unknown>>)
  if (made === null) return undefined
  const isObject = typeof made === 'object' && !Array.isArray(made) && !(made instanceof Promise)
  const written = isObject ? textOfExact(made) : undefined
  if (written?.startsWith('{') === true) return written
  throw new Failure('rejected', `transform gave ${wordFor(made)}, not an object or null`)
}

function remarkOf(error: unknown): Remark {
  const message = messageOf(error)
  const reason = `the transform failed: ${message}`
  return { kind: 'refused', reason, fingerprint: reason.replace(/\d+/g, '0').slice(0, 200) }
}

function wordFor(made: unknown): string {
  if (made === undefined) return 'nothing'
  if (made instanceof Promise) return 'a promise'
  return Array.isArray(made) ? 'a list' : `a ${typeof made}`
}
