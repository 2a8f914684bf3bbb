/** Operations as the lines of bulk requests. */
import type { Operation } from '../sink.ts'

/** One request: its operations are those from `first` to before `next`. */
export interface BulkPart {
  readonly body: Buffer
  readonly first: number
  readonly next: number
}

/** A buffer of at least so many bytes. */
export type Room = (bytes: number) => Buffer

/** Cuts operations into requests of at most so many bytes, but of at least one operation each, written where there is room. */
export function* bulkParts(
  operations: readonly Operation[],
  bytesMax: number,
  room: Room = (bytes) => Buffer.allocUnsafeSlow(bytes),
): Generator<BulkPart> {
  for (let first = 0; first < operations.length;) {
    const actions: string[] = []
    let bytes = 0
    let next = first
    for (let operation = operations[next]; operation !== undefined; operation = operations[++next]) {
      const action = actionOf(operation)
      const added =
        Buffer.byteLength(action) + (operation.body === undefined ? 0 : operation.body.bytesMax + 1)
      if (next > first && bytes + added > bytesMax) break
      actions.push(action)
      bytes += added
    }
    yield { body: linesOf(operations, first, actions, room(bytes)), first, next }
    first = next
  }
}

function linesOf(
  operations: readonly Operation[],
  first: number,
  actions: readonly string[],
  lines: Buffer,
): Buffer {
  let end = 0
  for (const [number, action] of actions.entries()) {
    end += lines.write(action, end)
    const body = operations[first + number]?.body
    if (body === undefined) continue
    end = body.write(lines, end)
    lines[end++] = lineFeed
  }
  return lines.subarray(0, end)
}

const lineFeed = 10

function actionOf(operation: Operation): string {
  const routing = operation.routing === undefined ? '' : `,"routing":${jsonText(operation.routing)}`
  const place = `"_id":${jsonText(operation.id)}${routing}`
  const type = operation.repeatable ? 'external_gte' : 'external'
  return `{"${operation.op}":{${place},"version":${operation.version},"version_type":"${type}"}}\n`
}

function jsonText(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text)
}

/** ASCII that JSON shows as it is. */
const plain = /^[ !#-[\]-~]*$/
