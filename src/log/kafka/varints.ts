/** Reads the whole numbers that stand in records: zigzag, seven bits a byte, low bits first. */
export class Varints {
  readonly #bytes: Buffer
  at: number

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.at = at
  }

  next(): number {
    const first = this.#bytes[this.at++] ?? 0
    const code = first < 128 ? first : this.#long(first - 128)
    return code % 2 === 0 ? code / 2 : -(code + 1) / 2
  }

  #long(low: number): number {
    let code = low
    for (let scale = 128; ; scale *= 128) {
      const next = this.#bytes[this.at++] ?? 0
      code += (next & 127) * scale
      if (next < 128) return code
    }
  }
}
