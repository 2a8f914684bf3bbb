/** Bytes that are written one after the other; the buffer grows with them. */
import type { Writing } from './bytes.ts'

export class GrowingBytes implements Writing {
  bytes: Buffer
  at = 0

  /** `usualBytes`: what will be written, as a rule. */
  constructor(usualBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(usualBytes)
  }

  /** Makes room for so many bytes from `at` on; `bytes` may be another buffer then. */
  room(needed: number): void {
    if (this.at + needed <= this.bytes.length) return
    const bytes = Buffer.allocUnsafeSlow(Math.max(this.at + needed, 2 * this.bytes.length))
    this.bytes.copy(bytes, 0, 0, this.at)
    this.bytes = bytes
  }

  /** Text of one character for each byte. */
  write(text: string): void {
    this.room(text.length)
    this.at += this.bytes.write(text, this.at, 'latin1')
  }
}
