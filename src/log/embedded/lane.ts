/**
 * Which lane delivers a key: FNV-1a (32 bits) over the table's name in UTF-8, a zero byte and the key's bytes, mixed by
 * the last step of MurmurHash3, modulo the number of lanes. Fixed for ever: committed offsets are kept by lane.
 */

/** The part of the hash that all keys of a table share. */
export function laneSeed(table: string): number {
  const name = Buffer.from(`${table}\u0000`, 'utf8')
  return hash(0x811c9dc5, name, 0, name.length)
}

/** The hash of the key that stands in `bytes` from `from` to before `to`; its lane is this modulo the number of lanes. */
export function laneHash(seed: number, bytes: Uint8Array, from: number, to: number): number {
  let mixed = hash(seed, bytes, from, to)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

function hash(seed: number, bytes: Uint8Array, from: number, to: number): number {
  let state = seed
  for (let at = from; at < to; at++) state = Math.imul(state ^ (bytes[at] ?? 0), 0x01000193)
  return state
}
