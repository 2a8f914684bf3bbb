/**
 * Headers of a record: `version` (decimal digits), `schema` (fingerprint of the table's definition), `op`, `epoch`, and
 * where they say something `addressee` (the group that it is for alone), `gtid` (the transaction that it comes from) and
 * `jsonNulls` (see envelope-writer.ts).
 */
import { Failure } from '../../change/failure.ts'
import { Varints } from './varints.ts'

/** What many records have alike. */
export interface AlikeHeaders {
  readonly epoch: number
  readonly op: string
  readonly fingerprint: string
  /** Empty = for all. */
  readonly addressee: string
  readonly jsonNulls: string
  /** Empty = not known, or nobody asks. */
  readonly gtid: string
}

export interface RecordHeaders extends AlikeHeaders {
  readonly seq: number
}

/** Headers as they stand in a record, their count in front, up to the digits of the version, which come last. */
export function alikeBytes(headers: AlikeHeaders): Buffer {
  const { op, fingerprint, epoch, addressee, gtid, jsonNulls } = headers
  const pairs = [
    ['schema', fingerprint],
    ['op', op],
    ['epoch', String(epoch)],
    ...(addressee === '' ? [] : [['addressee', addressee]]),
    ...(gtid === '' ? [] : [['gtid', gtid]]),
    ...(jsonNulls === '' ? [] : [['jsonNulls', jsonNulls]]),
  ]
  const count = Buffer.from([2 * (pairs.length + 1)])
  return Buffer.concat([count, ...pairs.flat().map(varintText), versionName])
}

/** The versions of one record after the other, in decimal digits behind their length. */
export class VersionDigits {
  #bytes: Buffer = Buffer.alloc(0)
  #epoch = -1
  #seq = -1

  /** Goes on to the version of this number; looked at before the next call. */
  next(epoch: number, seq: number): Buffer {
    if (epoch !== this.#epoch || seq !== this.#seq + 1 || !countUp(this.#bytes))
      this.#bytes = varintText(String((BigInt(epoch) << 48n) | BigInt(seq)))
    this.#epoch = epoch
    this.#seq = seq
    return this.#bytes
  }
}

/** Adds one to the digits behind the first byte; false = there would be one digit more. */
function countUp(bytes: Buffer): boolean {
  for (let at = bytes.length - 1; at > 0; at--) {
    const digit = bytes[at] ?? 0
    if (digit < nine) {
      bytes[at] = digit + 1
      return true
    }
    bytes[at] = zero
  }
  return false
}

const zero = 0x30
const nine = 0x39

/** How the header begins that is written last. */
export const versionName = varintText('version')

/** A text behind its length, which is a zigzag varint. */
function varintText(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  const length: number[] = []
  let code = 2 * bytes.length
  for (; code > 127; code = Math.floor(code / 128)) length.push((code & 127) | 128)
  return Buffer.concat([Buffer.from([...length, code]), bytes])
}

/** Where the headers of a record lie, with their count in front. */
export interface HeaderPlace {
  readonly bytes: Buffer
  readonly headersAt: number
  readonly end: number
}

export type NumberedHeaders = RecordHeaders & { readonly version: bigint }

/** Throws a Failure of kind `corrupt` where they are not those of a record. */
export function readHeaders(place: HeaderPlace): NumberedHeaders {
  const found = textsOf(place)
  const digits = found.get('version') ?? ''
  if (!/^\d+$/.test(digits)) throw withoutVersion()
  const version = BigInt(digits)
  const seq = Number(version & seqMask)
  return { ...alikeOf(found), version, epoch: Number(version >> 48n), seq }
}

const seqMask = (1n << 48n) - 1n

function textsOf({ bytes, headersAt, end }: HeaderPlace): ReadonlyMap<string, string> {
  const reading = new Varints(bytes, headersAt)
  const text = (): string => {
    const length = Math.max(0, reading.next())
    if (reading.at + length > end) throw withoutVersion()
    return bytes.toString('utf8', reading.at, (reading.at += length))
  }
  const texts = new Map<string, string>()
  for (let left = reading.next(); left > 0; left--) texts.set(text(), text())
  return texts
}

function alikeOf(found: ReadonlyMap<string, string>): Omit<AlikeHeaders, 'epoch'> {
  const text = (name: string): string => found.get(name) ?? ''
  return {
    op: text('op'),
    fingerprint: text('schema'),
    addressee: text('addressee'),
    jsonNulls: text('jsonNulls'),
    gtid: text('gtid'),
  }
}

function withoutVersion(): Failure {
  return new Failure('corrupt', 'a record in a topic of the log has no version', {
    remedy:
      'nothing but millrace may write to the topics of its log: find out what did, then reload the pipelines',
  })
}
