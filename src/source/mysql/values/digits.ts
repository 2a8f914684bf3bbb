/** Numbers in decimal digits, written into bytes. Each function returns where what it wrote ends. */

export const ZERO = 48
export const MINUS = 45
export const POINT = 46
export const QUOTE = 34

/** A whole number from 0 to 2^53 - 1, without zeros in front. */
export function writeNumber(out: Buffer, at: number, value: number): number {
  if (value < 10) {
    out[at] = ZERO + value
    return at + 1
  }
  if (value < 1e9) return writePadded(out, at, value, digitsOf(value))
  const high = Math.floor(value / 1e9)
  return writePadded(out, writeNumber(out, at, high), value - high * 1e9, 9)
}

/** The last so many digits of a whole number below 2^31, with zeros in front where it has fewer. */
export function writePadded(out: Buffer, at: number, value: number, digits: number): number {
  let rest = value | 0
  let place = at + digits
  for (; place > at + 1; place -= 2) {
    const next = (rest / 100) | 0
    const pair = (rest - next * 100) | 0
    out[place - 1] = ONES[pair] ?? ZERO
    out[place - 2] = TENS[pair] ?? ZERO
    rest = next
  }
  if (place > at) out[at] = ONES[rest % 100] ?? ZERO
  return at + digits
}

/** A number below 100. */
export function writePair(out: Buffer, at: number, value: number): number {
  out[at] = TENS[value] ?? ZERO
  out[at + 1] = ONES[value] ?? ZERO
  return at + 2
}

function digitsOf(value: number): number {
  if (value < 10_000) return value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : 4
  if (value < 1_000_000) return value < 100_000 ? 5 : 6
  return value < 100_000_000 ? (value < 10_000_000 ? 7 : 8) : 9
}

const TENS = Uint8Array.from({ length: 100 }, (_, pair) => ZERO + Math.floor(pair / 10))
const ONES = Uint8Array.from({ length: 100 }, (_, pair) => ZERO + (pair % 10))
