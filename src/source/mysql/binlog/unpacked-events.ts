/** The events of a dump, one after the other, out of whatever the server packed them into. */
import type { BinlogEvent } from './binlog-events.ts'
import { isPayload, readEvent } from './binlog-events.ts'
import { unpackedEvent } from './compressed-event.ts'
import { placed } from './event-policy.ts'
import type { Packet } from './packet-reader.ts'
import { TransactionPayload } from './transaction-payload.ts'

/** Where packets come from: a dump. */
export interface Packets {
  next(): Packet | undefined
}

/** What is known from the events before: the reader of transactions. */
export interface Whereabouts {
  readonly checksums: boolean
  place(side: 'before' | 'after'): string
}

export class UnpackedEvents {
  readonly #packets: Packets
  readonly #whereabouts: Whereabouts
  #payload: TransactionPayload | undefined

  constructor(packets: Packets, whereabouts: Whereabouts) {
    this.#packets = packets
    this.#whereabouts = whereabouts
  }

  /**
   * The next event that is at hand. Undefined = `unpack` is to be asked for more. Throws a Failure that names the place:
   * `corrupt` for a wrong size or checksum, `unsupported` for an unknown compression.
   */
  next(): BinlogEvent | undefined {
    const packet = this.#payload === undefined ? this.#packets.next() : undefined
    if (this.#payload === undefined && packet === undefined) return undefined
    try {
      return packet === undefined ? this.#payload?.next() : this.#open(packet)
    } catch (error) {
      throw placed(error, this.#whereabouts.place('after'))
    }
  }

  /** Whether `next` may have more now; false = only when more has arrived. */
  async unpack(): Promise<boolean> {
    const payload = this.#payload
    if (payload === undefined) return false
    try {
      if (!(await payload.more())) this.#payload = undefined
    } catch (error) {
      throw placed(error, this.#whereabouts.place('after'))
    }
    return true
  }

  async close(): Promise<void> {
    await this.#payload?.close()
  }

  #open(packet: Packet): BinlogEvent | undefined {
    const { checksums } = this.#whereabouts
    if (!isPayload(packet)) return unpackedEvent(readEvent(packet, checksums))
    this.#payload = TransactionPayload.open(packet, checksums)
    return undefined
  }
}
