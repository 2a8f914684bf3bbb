/** The events that begin a transaction and give it its id. */
import { Failure } from '../../../change/failure.ts'
import { eventType, type BinlogEvent } from './binlog-events.ts'
import type { Gtid } from '../gtid/gtid.ts'
import { formatUuid } from '../gtid/mysql-gtid-set.ts'

/** The begin of a transaction. */
export interface TransactionStart {
  readonly gtid: Gtid
  readonly committedAtMs: number
  /** MariaDB: the group has one statement and no end of its own. */
  readonly standalone: boolean
  /** MariaDB: its rows wait for an XA COMMIT. */
  readonly xaPrepared: boolean
}

/** Formats the uuids of GTID events; they are nearly always the same one. */
export class GtidReader {
  #uuidBytes = Buffer.alloc(0)
  #uuid = ''

  /** GTID and, of MySQL 8.3 and later, GTID_TAGGED. */
  mysql(event: BinlogEvent): TransactionStart {
    const { buffer, from, to } = event
    const started = { standalone: false, xaPrepared: false }
    if (event.type === eventType.gtidTagged) return { ...this.#tagged(event), ...started }
    const number = Number(buffer.readBigInt64LE(from + 17))
    const gtid = { origin: this.#uuidAt(buffer, from + 1), number, server: 0 }
    // Flags (1), uuid (16), number (8), type (1), two logical clocks (8 each): the commit times are of MySQL 8.
    const committedAtMs = from + 49 <= to ? commitTime(buffer, from + 42) : event.timestamp * 1000
    return { gtid, committedAtMs, ...started }
  }

  mariadb(event: BinlogEvent): TransactionStart {
    const { buffer, from, serverId } = event
    const flags = buffer[from + 12] ?? 0
    return {
      gtid: {
        origin: String(buffer.readUInt32LE(from + 8)),
        number: Number(buffer.readBigUInt64LE(from)),
        server: serverId,
      },
      committedAtMs: event.timestamp * 1000,
      standalone: (flags & 1) !== 0,
      xaPrepared: (flags & 64) !== 0,
    }
  }

  /**
   * Version, size and last id that must be known, then fields as (id, value): 0 flags, 1 uuid, 2 number, 3 tag, 4 and 5
   * logical clocks, 6 time of this commit, 7 time of the original commit, where it differs; more follow.
   */
  #tagged(event: BinlogEvent): { readonly gtid: Gtid; readonly committedAtMs: number } {
    const reader = new VariableIntegers(event.buffer, event.from, event.to)
    for (let head = 0; head < 3; head++) reader.next()
    let origin = ''
    let tag = ''
    let number = 0
    let time = 0n
    while (!reader.done) {
      const field = Number(reader.next())
      if (field > 7) break
      if (field === 1) origin = formatUuid(reader.bytes(16).toString('hex'))
      else if (field === 3) tag = reader.text()
      else {
        const value = reader.next()
        if (field === 2) number = Number(value >> 1n)
        if (field >= 6) time = value
      }
    }
    const gtid = { origin: tag === '' ? origin : `${origin}:${tag}`, number, server: 0 }
    return { gtid, committedAtMs: Number(time / 1000n) }
  }

  #uuidAt(buffer: Buffer, from: number): string {
    if (this.#uuidBytes.compare(buffer, from, from + 16) !== 0) {
      this.#uuidBytes = Buffer.from(buffer.subarray(from, from + 16))
      this.#uuid = formatUuid(this.#uuidBytes.toString('hex'))
    }
    return this.#uuid
  }
}

/** Microseconds in 7 bytes; the highest bit says that the time of the original commit follows. */
function commitTime(buffer: Buffer, from: number): number {
  const replicated = ((buffer[from + 6] ?? 0) & 0x80) !== 0
  const at = replicated ? from + 7 : from
  const high = (buffer[at + 6] ?? 0) & 0x7f
  return Math.floor((high * 2 ** 48 + buffer.readUIntLE(at, 6)) / 1000)
}

/** Integers of 1 to 9 bytes: as many low bits of the first byte as are 1 tell how many bytes follow it. */
class VariableIntegers {
  readonly #buffer: Buffer
  #at: number
  readonly #to: number

  constructor(buffer: Buffer, from: number, to: number) {
    this.#buffer = buffer
    this.#at = from
    this.#to = to
  }

  get done(): boolean {
    return this.#at >= this.#to
  }

  next(): bigint {
    const first = this.#buffer[this.#at] ?? 0
    let more = 0
    while (more < 8 && (first & (1 << more)) !== 0) more++
    if (this.#at + more >= this.#to) throw new Failure('corrupt', 'a GTID event ends within a number')
    let value = 0n
    for (let byte = more; byte >= 0; byte--)
      value = (value << 8n) | BigInt(this.#buffer[this.#at + byte] ?? 0)
    this.#at += more + 1
    return more === 8 ? value >> 8n : value >> BigInt(more + 1)
  }

  /** Each byte is an integer of its own. */
  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => Number(this.next())))
  }

  text(): string {
    const length = Number(this.next())
    this.#at += length
    return this.#buffer.toString('latin1', this.#at - length, this.#at)
  }
}
