/** Documents of operations that tests make. */
import type { Body } from '../../src/sink/sink.ts'

export function bodyOf(text: string): Body {
  const bytes = Buffer.from(text)
  return { bytesMax: bytes.length, write: (target, at) => at + bytes.copy(target, at) }
}
