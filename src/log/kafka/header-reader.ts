/**
 * Reads the headers of one record after the other. All but the number is the same for many, and is read once: the digits of
 * the version stand last, behind bytes that are compared with those of records before.
 */
import { readHeaders, versionName, type AlikeHeaders, type HeaderPlace } from './headers.ts'

export type RecordForm = Omit<AlikeHeaders, 'epoch'>

interface KnownForm {
  /** Up to the digits of the version, and what is read from them. */
  readonly bytes: Buffer
  readonly form: RecordForm
}

/** Lanes see a few tables and operations in turn; where each record has another transaction, few are compared in vain. */
const formsMax = 6
const zero = 0x30

/** The fields describe the record that was read last. */
export class HeaderReader {
  epoch = 0
  seq = 0
  /** The same object for all records whose headers differ in the version alone, as a rule. */
  form: RecordForm = { op: '', fingerprint: '', addressee: '', jsonNulls: '', gtid: '' }
  /** The one that was used last comes first. */
  #known: KnownForm[] = []

  /** Throws a Failure of kind `corrupt` where they are not those of a record. */
  read(place: HeaderPlace): void {
    const known = this.#known.findIndex(({ bytes }) => startsWith(place, bytes))
    const found = this.#known[known]
    if (found === undefined || !this.#readDigits(place, found.bytes.length)) return this.#readAll(place)
    this.form = found.form
    if (known > 0) this.#known.unshift(...this.#known.splice(known, 1))
  }

  get version(): bigint {
    return (BigInt(this.epoch) << 48n) | BigInt(this.seq)
  }

  #readAll(place: HeaderPlace): void {
    const { epoch, seq, version, ...form } = readHeaders(place)
    this.epoch = epoch
    this.seq = seq
    this.form = form
    const bytesBefore = place.end - place.headersAt - String(version).length - 1
    const bytes = Buffer.from(place.bytes.subarray(place.headersAt, place.headersAt + bytesBefore))
    if (!bytes.subarray(-versionName.length).equals(versionName)) return
    this.#known = [{ bytes, form }, ...this.#known.slice(0, formsMax - 1)]
  }

  /** The digits, whose length stands at their front, are all that is left; false = they are something else. */
  #readDigits({ bytes, headersAt, end }: HeaderPlace, skipped: number): boolean {
    const at = headersAt + skipped
    if (bytes[at] !== 2 * (end - at - 1) || end === at + 1) return false
    // Two numbers, of which each stays exact: the version is high * 2^24 + low.
    let high = 0
    let low = 0
    for (let next = at + 1; next < end; next++) {
      const digit = (bytes[next] ?? 0) - zero
      if (digit < 0 || digit > 9) return false
      low = low * 10 + digit
      high = high * 10 + (low >>> 24)
      low &= 0xff_ffff
    }
    this.epoch = Math.floor(high / 0x100_0000)
    this.seq = (high % 0x100_0000) * 0x100_0000 + low
    return true
  }
}

function startsWith({ bytes, headersAt, end }: HeaderPlace, text: Buffer): boolean {
  if (headersAt + text.length > end) return false
  for (let index = 0; index < text.length; index++) if (bytes[headersAt + index] !== text[index]) return false
  return true
}
