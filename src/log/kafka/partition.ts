/**
 * Where a key goes: murmur2, as Kafka's own clients have it, so that everybody looks for a key where we put it. The
 * library's is the same in big integers, which takes some ten times as long.
 */

/** The partition of the key that stands in the first `length` bytes. */
export function partitionOf(bytes: Buffer, length: number, partitions: number): number {
  return (murmur2(bytes, length) & 0x7fff_ffff) % partitions
}

const seed = 0x9747_b28c
const factor = 0x5bd1_e995

/** A whole number of 32 bits, with its sign. */
export function murmur2(bytes: Buffer, length: number): number {
  let hash = seed ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let word = Math.imul(wordAt(bytes, at, 4), factor)
    word = Math.imul(word ^ (word >>> 24), factor)
    hash = Math.imul(hash, factor) ^ word
  }
  if (at < length) hash = Math.imul(hash ^ wordAt(bytes, at, length - at), factor)
  hash = Math.imul(hash ^ (hash >>> 13), factor)
  return hash ^ (hash >>> 15)
}

/** So many bytes as a number, the low ones first. */
function wordAt(bytes: Buffer, at: number, count: number): number {
  let word = 0
  for (let byte = count - 1; byte >= 0; byte--) word = (word << 8) | (bytes[at + byte] ?? 0)
  return word
}
