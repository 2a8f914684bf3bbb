/** A document of a row with further members behind its own. */
import type { Body } from '../sink/sink.ts'

export class JoinedBody implements Body {
  readonly bytesMax: number
  readonly #row: Body
  /** `"name":value,...`, one character for each byte. */
  readonly #members: string

  constructor(row: Body, members: string) {
    this.#row = row
    this.#members = members
    this.bytesMax = row.bytesMax + members.length + 1
  }

  write(target: Buffer, at: number): number {
    const end = this.#row.write(target, at)
    if (this.#members === '') return end
    // The closing brace makes room.
    let next = end - 1
    if (end - at > emptyBytes) target[next++] = comma
    next += target.write(this.#members, next, 'latin1')
    target[next++] = closingBrace
    return next
  }
}

const emptyBytes = 2
const comma = 44
const closingBrace = 125
