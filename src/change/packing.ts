/**
 * Numbers and strings side by side in one text of one character per byte. A number is LEB128 (7 bits a byte, low bits
 * first); a string is its length in bytes as a number, then its bytes.
 */

/** A whole number from 0 to 2^53 - 1. */
export function packNumber(value: number): string {
  if (value < 128) return String.fromCharCode(value)
  if (value < packedNumbers.length) return (packedNumbers[value] ??= pack(value))
  return pack(value)
}

/** A string of one character per byte. */
export function packString(bytes: string): string {
  return packNumber(bytes.length) + bytes
}

/** Reads what the functions above wrote; `at` moves on with each call. What it reads must have passed a checksum. */
export class Unpacker {
  readonly text: string
  at: number

  constructor(text: string, at: number) {
    this.text = text
    this.at = at
  }

  number(): number {
    const first = this.text.charCodeAt(this.at++)
    return first < 128 ? first : this.#rest(first)
  }

  string(): string {
    const length = this.number()
    return this.text.slice(this.at, (this.at += length))
  }

  #rest(first: number): number {
    let value = first & 127
    for (let scale = 128; ; scale *= 128) {
      const next = this.text.charCodeAt(this.at++)
      value += (next & 127) * scale
      if (!(next >= 128)) return value
    }
  }
}

/** Lengths of rows and keys come again and again: their texts are made once. */
const packedNumbers: string[] = Array.from({ length: 4096 })

function pack(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${value} is not a whole number from 0 up`)
  let packed = ''
  let rest = value
  while (rest > 127) {
    packed += String.fromCharCode((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  return packed + String.fromCharCode(rest)
}
