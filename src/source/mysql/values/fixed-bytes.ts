/** MariaDB's UUID, INET4 and INET6: 4 or 16 bytes, which the binlog shows without the zero bytes at their end. */
import { Failure } from '../../../change/failure.ts'

const uuidBytes = 16

export function uuidCell(body: Buffer, from: number, to: number): string {
  const hex = filled(body, from, to, uuidBytes).toString('hex')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
  return `"${parts.join('-')}"`
}

/** `bytes` are 4 for INET4, 16 for INET6; the text is the server's. */
export function addressCell(body: Buffer, from: number, to: number, bytes: number): string {
  const address = filled(body, from, to, bytes)
  return bytes === 4 ? `"${address.join('.')}"` : `"${longAddress(address)}"`
}

function filled(body: Buffer, from: number, to: number, bytes: number): Buffer {
  if (to - from > bytes) throw new Failure('corrupt', `a value of ${to - from} bytes where ${bytes} are most`)
  const whole = Buffer.alloc(bytes)
  body.copy(whole, 0, from, to)
  return whole
}

/** Eight groups; the longest run of zeroes, even one alone, is `::`, the first of equal ones. */
function longAddress(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(group * 2))
  const { start, length } = longestGap(groups)
  // An address of version 4 within one of version 6.
  if (start === 0 && (length === 6 || (length === 5 && groups[5] === 0xffff)))
    return `::${length === 5 ? 'ffff:' : ''}${bytes.subarray(12).join('.')}`
  const words = groups.map((group) => group.toString(16))
  if (length === 0) return words.join(':')
  return `${words.slice(0, start).join(':')}::${words.slice(start + length).join(':')}`
}

function longestGap(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < groups.length; start++) {
    let end = start
    while (groups[end] === 0) end++
    if (end - start > best.length) best = { start, length: end - start }
    start = Math.max(start, end - 1)
  }
  return best
}
