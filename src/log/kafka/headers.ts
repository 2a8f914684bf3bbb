/**
 * Headers of a record: `version` (decimal digits), `schema` (fingerprint of the table's definition), `op`, `epoch`, and
 * where they say something `addressee` (the group that it is for alone), `gtid` (the transaction that it comes from) and
 * `jsonNulls` (see envelope.ts).
 */
import { Failure } from '../../change/failure.ts'

export interface RecordHeaders {
  readonly epoch: number
  readonly seq: number
  readonly op: string
  readonly fingerprint: string
  /** Empty = for all. */
  readonly addressee: string
  readonly jsonNulls: string
  /** Empty = not known, or nobody asks. */
  readonly gtid: string
}

const versionName = varintText('version')

/** Writes them as they stand in a record, with their count in front. All but the version is the same for many. */
export class HeaderWriter {
  readonly #rests = new Map<string, Buffer>()
  readonly #bytes = Buffer.allocUnsafe(64 * 1024)

  /** Looked at before the next call. */
  write(headers: RecordHeaders): Buffer {
    const { epoch, seq, op, fingerprint, addressee, jsonNulls, gtid } = headers
    const rest =
      jsonNulls === ''
        ? this.#rest(`${fingerprint} ${op} ${epoch} ${addressee} ${gtid}`, headers)
        : restOf(headers)
    const version = String((BigInt(epoch) << 48n) | BigInt(seq))
    const bytes = this.#bytes
    bytes[0] = 2 * (4 + (addressee === '' ? 0 : 1) + (jsonNulls === '' ? 0 : 1) + (gtid === '' ? 0 : 1))
    let at = 1 + versionName.copy(bytes, 1)
    bytes[at++] = 2 * version.length
    at += bytes.write(version, at, 'latin1')
    if (at + rest.length > bytes.length) throw new Failure('unsupported', 'a row with too many JSON nulls')
    at += rest.copy(bytes, at)
    return bytes.subarray(0, at)
  }

  #rest(name: string, headers: RecordHeaders): Buffer {
    const known = this.#rests.get(name)
    if (known !== undefined) return known
    const made = restOf(headers)
    if (this.#rests.size > restsMax) this.#rests.clear()
    this.#rests.set(name, made)
    return made
  }
}

const restsMax = 10_000

function restOf({ op, fingerprint, epoch, addressee, jsonNulls, gtid }: RecordHeaders): Buffer {
  const pairs = [
    ['schema', fingerprint],
    ['op', op],
    ['epoch', String(epoch)],
    ...(addressee === '' ? [] : [['addressee', addressee]]),
    ...(gtid === '' ? [] : [['gtid', gtid]]),
    ...(jsonNulls === '' ? [] : [['jsonNulls', jsonNulls]]),
  ]
  return Buffer.concat(pairs.flat().map(varintText))
}

/** A text behind its length, which is a zigzag varint. */
function varintText(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  const length: number[] = []
  let code = 2 * bytes.length
  for (; code > 127; code = Math.floor(code / 128)) length.push((code & 127) | 128)
  return Buffer.concat([Buffer.from([...length, code]), bytes])
}

/** Throws a Failure of kind `corrupt` where they are not those of a record. */
export function readHeaders(
  headers: readonly (readonly [Buffer | null, Buffer | null])[],
): RecordHeaders & { readonly version: bigint } {
  const {
    version: digits = '',
    schema = '',
    op = '',
    addressee = '',
    jsonNulls = '',
    gtid = '',
  } = textsOf(headers)
  if (!/^\d+$/.test(digits))
    throw new Failure('corrupt', 'a record in a topic of the log has no version', {
      remedy:
        'nothing but millrace may write to the topics of its log: find out what did, then reload the pipelines',
    })
  const version = BigInt(digits)
  return {
    version,
    epoch: Number(version >> 48n),
    seq: Number(version & seqMask),
    op,
    fingerprint: schema,
    addressee,
    jsonNulls,
    gtid,
  }
}

function textsOf(headers: readonly (readonly [Buffer | null, Buffer | null])[]): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [name, value] of headers) found[name?.toString('latin1') ?? ''] = value?.toString('utf8') ?? ''
  return found
}

const seqMask = (1n << 48n) - 1n
