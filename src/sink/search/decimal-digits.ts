/**
 * Writes numbers of up to 63 bits as decimal digits. Versions that are written one after the other are close together:
 * they are counted from one whose upper digits are known, since the arithmetic of bigints is what costs.
 */
export class DecimalDigits {
  /** A multiple of 10^9. */
  #base = -1n
  #upper = ''

  /** Writes the digits of a number from 0 up, and returns where they end. */
  write(value: bigint, target: Buffer, start: number): number {
    let lower = Number(value - this.#base)
    if (this.#base < 0n || lower < 0 || lower >= lowerMax) {
      lower = Number(value % lowerMaxBig)
      this.#base = value - BigInt(lower)
      this.#upper = this.#base === 0n ? '' : String(this.#base / lowerMaxBig)
    }
    let at = start
    for (let index = 0; index < this.#upper.length; index++) target[at++] = this.#upper.charCodeAt(index)
    return this.#upper === '' ? at + target.write(String(lower), at, 'latin1') : writeNine(lower, target, at)
  }
}

const lowerMax = 1e9
const lowerMaxBig = 1_000_000_000n
const zero = 48

function writeNine(value: number, target: Buffer, start: number): number {
  let rest = value
  for (let at = start + 8; at >= start; at--) {
    const higher = Math.floor(rest / 10)
    target[at] = zero + rest - 10 * higher
    rest = higher
  }
  return start + 9
}
