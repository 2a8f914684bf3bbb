/** A document of a row with further members behind its own. */
import type { Body } from '../sink/sink.ts'

/** `"name":value,...` between two places of a buffer. */
export interface Members {
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
}

export class JoinedBody implements Body {
  readonly bytesMax: number
  readonly #row: Body
  readonly #members: Members

  constructor(row: Body, members: Members) {
    this.#row = row
    this.#members = members
    this.bytesMax = row.bytesMax + members.to - members.from + 1
  }

  write(target: Buffer, at: number): number {
    const end = this.#row.write(target, at)
    const { bytes, from, to } = this.#members
    if (from === to) return end
    // The closing brace makes room.
    let next = end - 1
    if (end - at > emptyBytes) target[next++] = comma
    next += bytes.copy(target, next, from, to)
    target[next++] = closingBrace
    return next
  }
}

const emptyBytes = 2
const comma = 44
const closingBrace = 125
