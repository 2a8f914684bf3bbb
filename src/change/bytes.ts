/** A buffer and the place where its next byte goes. */
export interface Writing {
  readonly bytes: Buffer
  at: number
}

/** Copies a piece to where there is room for it. */
export function copyBytes(source: Buffer, from: number, to: number, into: Writing): void {
  const { bytes } = into
  let { at } = into
  if (to - from > shortBytes) at += source.copy(bytes, at, from, to)
  else for (let next = from; next < to; next++) bytes[at++] = source[next] ?? 0
  into.at = at
}

/** Up to here a loop beats a call of the runtime. */
const shortBytes = 32
