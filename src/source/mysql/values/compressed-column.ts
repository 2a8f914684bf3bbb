/**
 * Values of MariaDB's COMPRESSED columns, as they are kept.
 *
 *   nothing                             an empty value
 *   0 · the value                       not worth compressing
 *   head · length of the value · zlib   head = 8 << 4 | (8 where zlib has no frame of its own) | bytes of the length
 */
import { inflateRawSync, inflateSync } from 'node:zlib'
import { explain, Failure } from '../../../change/failure.ts'

const methodPlain = 0
const methodZlib = 8

/** The bytes of the value between `from` and `to`. Throws a Failure: `corrupt`, or `unsupported` for another method. */
export function uncompressed(body: Buffer, from: number, to: number): Buffer {
  if (from === to) return Buffer.alloc(0)
  const head = body[from] ?? 0
  const method = head >> 4
  if (method === methodPlain) return body.subarray(from + 1, to)
  if (method !== methodZlib)
    throw new Failure('unsupported', `a compressed value of the unknown method ${method}`, {
      remedy: 'exclude the column',
    })
  const lengthBytes = head & 7
  const content = from + 1 + lengthBytes
  if (lengthBytes === 0 || lengthBytes > 4 || content > to) throw broken('its head is wrong')
  return inflated(body.subarray(content, to), body.readUIntBE(from + 1, lengthBytes), (head & 8) !== 0)
}

function inflated(content: Buffer, length: number, isBare: boolean): Buffer {
  const inflate = isBare ? inflateRawSync : inflateSync
  let value: Buffer
  try {
    value = inflate(content, { maxOutputLength: Math.max(1, length) })
  } catch (error) {
    throw broken(explain(error))
  }
  if (value.length !== length) throw broken(`${value.length} bytes, not ${length}`)
  return value
}

function broken(why: string): Failure {
  return new Failure('corrupt', `a value of a COMPRESSED column cannot be unpacked: ${why}`)
}
