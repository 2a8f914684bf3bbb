/** A piece of a buffer. A plain object, because there are millions of them: a Buffer of its own for each costs ten times as much. */
export interface Bytes {
  readonly buffer: Buffer
  readonly from: number
  readonly to: number
}

export function lengthOf({ from, to }: Bytes): number {
  return to - from
}

/** The bytes as UTF-8 text. */
export function utf8Of({ buffer, from, to }: Bytes): string {
  return buffer.toString('utf8', from, to)
}
