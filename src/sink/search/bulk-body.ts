/** Operations as the lines of bulk requests. */
import { bytesOf } from '../../change/row.ts'
import type { Operation } from '../sink.ts'

/** One request: its operations are those from `first` to before `next`. */
export interface BulkPart {
  readonly body: Buffer
  readonly first: number
  readonly next: number
}

/** Cuts operations into requests of at most so many bytes, but of at least one operation each. */
export function* bulkParts(operations: readonly Operation[], bytesMax: number): Generator<BulkPart> {
  let lines = ''
  let first = 0
  for (const [at, operation] of operations.entries()) {
    const added = linesOf(operation)
    if (lines.length > 0 && lines.length + added.length > bytesMax) {
      yield { body: Buffer.from(lines, 'latin1'), first, next: at }
      lines = ''
      first = at
    }
    lines += added
  }
  if (lines.length > 0) yield { body: Buffer.from(lines, 'latin1'), first, next: operations.length }
}

/** One character per UTF-8 byte, like the documents themselves: the request is made by copying, not by encoding. */
function linesOf(operation: Operation): string {
  const routing = operation.routing === undefined ? '' : `,"routing":${jsonBytes(operation.routing)}`
  const place = `"_id":${jsonBytes(operation.id)}${routing}`
  const action = `{"${operation.op}":{${place},"version":${operation.version},"version_type":"external_gte"}}\n`
  return operation.op === 'index' ? `${action}${operation.body}\n` : action
}

function jsonBytes(text: string): string {
  return plain.test(text) ? `"${text}"` : bytesOf(JSON.stringify(text))
}

/** ASCII that JSON shows as it is. */
const plain = /^[ !#-[\]-~]*$/
