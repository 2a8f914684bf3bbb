/** Copies a piece and returns where it ends in the target, which has room for it. */
export function copyBytes(source: Buffer, from: number, to: number, target: Buffer, at: number): number {
  if (to - from > shortBytes) return at + source.copy(target, at, from, to)
  let end = at
  for (let next = from; next < to; next++) target[end++] = source[next] ?? 0
  return end
}

/** Up to here a loop beats a call of the runtime. */
const shortBytes = 32
