/** A share of the documents of a bulk request that is turned away with 429, while the rest goes to the server. */
import type { Random } from './random.ts'

export interface Divided {
  /** The lines of the documents that go on. */
  readonly passed: Buffer
  /** By the number of the document in the request: what is answered in place of the server, or undefined. */
  readonly refused: readonly (object | undefined)[]
}

/** `share`: 0 to 1. */
export function divide(body: Buffer, share: number, random: Random): Divided {
  const passed: Buffer[] = []
  const refused: (object | undefined)[] = []
  for (let from = 0; from < body.length;) {
    const actionEnd = body.indexOf(lineFeed, from) + 1
    const isDelete = body.subarray(from, actionEnd).toString('latin1').startsWith('{"delete"')
    const to = isDelete ? actionEnd : body.indexOf(lineFeed, actionEnd) + 1
    const isRefused = random.next() < share
    refused.push(isRefused ? { [isDelete ? 'delete' : 'index']: noRoom } : undefined)
    if (!isRefused) passed.push(body.subarray(from, to))
    from = to
  }
  return { passed: Buffer.concat(passed), refused }
}

/** The server's answer to what went on, with the others' in between; undefined = nothing went on. */
export function joined(answer: string | undefined, refused: Divided['refused']): string {
  const told = (answer === undefined ? { errors: false, items: [] } : JSON.parse(answer)) as BulkAnswer
  let next = 0
  const items = refused.map((item) => item ?? told.items[next++])
  return JSON.stringify({ errors: told.errors || refused.some((item) => item !== undefined), items })
}

interface BulkAnswer {
  readonly errors: boolean
  readonly items: readonly object[]
}

export const noRoomError = { type: 'es_rejected_execution_exception', reason: 'rejected execution' }
const noRoom = { status: 429, error: noRoomError }
const lineFeed = 10
