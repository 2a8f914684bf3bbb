/** From the events of a dump to batches: when a batch is full, and when what there is goes out. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SourceBatch } from '../source.ts'
import type { BinlogDump } from './binlog-client.ts'
import { eventType, readEvent } from './binlog-events.ts'
import type { ForeignKeys } from './foreign-keys.ts'
import type { TransactionReader } from './transaction.ts'

const batchBytesMax = 256 * 1024
/** A position that moved without changes is told after so long at most. */
const quietMoveMs = 50

export class BatchFlow {
  readonly #dump: BinlogDump
  readonly #reader: TransactionReader
  readonly #readKeys: () => Promise<ForeignKeys>
  #heartbeat = false
  #takenAtMs = 0

  /** `readKeys` asks the server for the foreign keys as they are now. */
  constructor(dump: BinlogDump, reader: TransactionReader, readKeys: () => Promise<ForeignKeys>) {
    this.#dump = dump
    this.#reader = reader
    this.#readKeys = readKeys
  }

  /** Batches for ever: full ones while there is much, and at once what there is when the server has no more to send. */
  async *batches(): AsyncGenerator<SourceBatch> {
    for (;;) {
      while (await this.#fill()) yield this.#take()
      if (this.#reader.hasChanges) {
        // One turn of the loop shows whether more has arrived meanwhile, and costs next to nothing.
        await nextTurn()
        if (!this.#dump.hasArrived) yield this.#take()
      } else if (this.#isTimeToTell()) yield this.#take()
      else await this.#wait()
    }
  }

  /** Reads the events that have arrived; whether a batch was full before the last of them. */
  async #fill(): Promise<boolean> {
    const reader = this.#reader
    for (let packet = this.#dump.next(); packet !== undefined; packet = this.#dump.next()) {
      const event = readEvent(packet, reader.checksums)
      // Before the next rows is soon enough, and one reading serves many statements.
      if (reader.foreignKeysAreStale && event.type === eventType.tableMap)
        reader.replaceForeignKeys(await this.#readKeys())
      if (event.type === eventType.heartbeat || event.type === eventType.heartbeatV2) this.#heartbeat = true
      else reader.accept(event)
      if (reader.mustTake || reader.bytes >= batchBytesMax) return true
    }
    return false
  }

  #take(): SourceBatch {
    this.#heartbeat = false
    this.#takenAtMs = Date.now()
    return this.#reader.take()
  }

  /** Whether a position goes out without changes; never within a transaction. */
  #isTimeToTell(): boolean {
    if (this.#reader.isInside) return false
    return this.#heartbeat || (this.#reader.hasMoved && Date.now() - this.#takenAtMs >= quietMoveMs)
  }

  async #wait(): Promise<void> {
    const untold = this.#reader.hasMoved && !this.#reader.isInside
    await (untold ? this.#dump.wait(quietMoveMs) : this.#dump.wait())
  }
}
