/** Reads the server's numbers and strings from a piece of an event; whatever lies outside is a Failure, `corrupt`. */
import { Failure } from '../../../change/failure.ts'

export class WireReader {
  readonly #body: Buffer
  readonly #to: number
  readonly #what: string
  #at: number

  /** `what` names the piece in messages: `a TABLE_MAP event`. */
  constructor(body: Buffer, from: number, to: number, what: string) {
    if (to > body.length || from > to) throw new Failure('corrupt', `${what} is cut short`)
    this.#body = body
    this.#to = to
    this.#what = what
    this.#at = from
  }

  get at(): number {
    return this.#at
  }

  get left(): number {
    return this.#to - this.#at
  }

  /** A little-endian number of 0 to 6 bytes. */
  integer(bytes: number): number {
    const at = this.#advance(bytes)
    return bytes === 0 ? 0 : this.#body.readUIntLE(at, bytes)
  }

  /** A number in the protocol's packed form: one byte up to 250, else a mark and 2, 3 or 8 bytes. */
  packed(): number {
    const first = this.integer(1)
    if (first < 251) return first
    if (first === 252) return this.integer(2)
    if (first === 253) return this.integer(3)
    if (first !== 254) throw this.#broken()
    const low = this.integer(4)
    return this.integer(4) * 0x1_0000_0000 + low
  }

  /** What was read since the place `at`, not copied. */
  since(at: number): Buffer {
    return this.#body.subarray(at, this.#at)
  }

  /** The next bytes, not copied. */
  bytes(length: number): Buffer {
    const at = this.#advance(length)
    return this.#body.subarray(at, at + length)
  }

  skip(bytes: number): void {
    this.#advance(bytes)
  }

  /** A reader of the next bytes alone. */
  within(length: number): WireReader {
    const at = this.#advance(length)
    return new WireReader(this.#body, at, at + length, this.#what)
  }

  #advance(bytes: number): number {
    const at = this.#at
    if (bytes > this.#to - at) throw this.#broken()
    this.#at = at + bytes
    return at
  }

  #broken(): Failure {
    return new Failure('corrupt', `${this.#what} is cut short or overlong at byte ${this.#at}`)
  }
}
