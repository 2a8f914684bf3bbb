/** From the events of a dump to batches: when a batch is full, and when what there is goes out. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SourceBatch } from '../../source.ts'
import type { BinlogDump } from '../binlog/binlog-client.ts'
import { eventType, readRotate, type BinlogEvent } from '../binlog/binlog-events.ts'
import type { ForeignKeys } from '../schema/foreign-keys.ts'
import type { IdentityWatch } from '../binlog/identity.ts'
import { withFile, withOrigin } from '../gtid/position.ts'
import { SchemaNeeded } from '../rows/schema-match.ts'
import type { Reached } from '../schema/table-schemas.ts'
import type { TransactionReader } from './transaction.ts'
import { UnpackedEvents } from '../binlog/unpacked-events.ts'

/** A batch goes beyond it by an event; two of them fit into one append by default (`capture.batchKb`), which saves the log every other one. */
const batchBytesMax = 240 * 1024
/** A position that moved without changes is told after so long at most. */
const quietMoveMs = 50

/** What the stream asks the server beside it. */
export interface ServerQuestions {
  /** The foreign keys as they are now. */
  foreignKeys(): Promise<ForeignKeys>
  /** The columns of a table where the stream is, for the next events of it. Throws a Failure. */
  learn(table: string, reached: Reached): Promise<void>
  /** Asked when there is nothing to read: what the next events may need is learned already. */
  learnAhead(reached: Reached): Promise<void>
}

export class BatchFlow {
  readonly #dump: BinlogDump
  readonly #events: UnpackedEvents
  readonly #reader: TransactionReader
  readonly #identities: IdentityWatch
  readonly #asks: ServerQuestions
  /** The table whose columns are to be learned. */
  #unknown = ''
  #heartbeat = false
  #takenAtMs = 0
  #file: { readonly file: string; offset: number } | undefined

  constructor(dump: BinlogDump, reader: TransactionReader, identities: IdentityWatch, asks: ServerQuestions) {
    this.#dump = dump
    this.#identities = identities
    this.#events = new UnpackedEvents(dump, reader)
    this.#reader = reader
    this.#asks = asks
  }

  /** Where in the server's files the stream is; undefined = not known yet. */
  get reached(): { readonly file: string; readonly offset: number } | undefined {
    return this.#file
  }

  /** Batches for ever: full ones while there is much, and at once what there is when the server has no more to send. */
  async *batches(): AsyncGenerator<SourceBatch> {
    try {
      for (;;) yield* this.#arrived()
    } finally {
      this.#reader.close()
      this.#dump.close()
      await this.#events.close()
    }
  }

  /** What has arrived; waits when that is nothing. */
  async *#arrived(): AsyncGenerator<SourceBatch> {
    while (await this.#fill()) yield this.#take()
    if (this.#reader.hasChanges) {
      // One turn of the loop shows whether more has arrived meanwhile, and costs next to nothing.
      await nextTurn()
      if (!this.#dump.hasArrived) yield this.#take()
      return
    }
    if (!this.#reader.isInside) await this.#asks.learnAhead(this.#reader.reached)
    if (this.#isTimeToTell()) yield this.#take()
    else await this.#wait()
  }

  /** Reads the events that have arrived; whether a batch was full before the last of them. */
  async #fill(): Promise<boolean> {
    const reader = this.#reader
    for (;;) {
      const event = reader.isGiving ? undefined : this.#events.next()
      if (reader.isGiving) reader.giveMore()
      else if (event === undefined) {
        if (await this.#events.unpack()) continue
        return false
      } else if (this.#isForReader(event)) {
        // Before the next rows is soon enough, and one reading serves many statements.
        if (reader.foreignKeysAreStale && event.type === eventType.tableMap)
          reader.replaceForeignKeys(await this.#asks.foreignKeys())
        if (!this.#accepts(event)) {
          await this.#asks.learn(this.#unknown, reader.reached)
          reader.accept(event)
        }
      }
      if (reader.mustTake || reader.bytes >= batchBytesMax) return true
    }
  }

  #isForReader(event: BinlogEvent): boolean {
    this.#passed(event)
    if (this.#identities.see(event)) return false
    const isHeartbeat = event.type === eventType.heartbeat || event.type === eventType.heartbeatV2
    if (isHeartbeat) this.#heartbeat = true
    return !isHeartbeat
  }

  /** False = the columns of a table must be learned first. */
  #accepts(event: BinlogEvent): boolean {
    try {
      this.#reader.accept(event)
      return true
    } catch (error) {
      if (!(error instanceof SchemaNeeded)) throw error
      this.#unknown = error.table
      return false
    }
  }

  #take(): SourceBatch {
    this.#heartbeat = false
    this.#takenAtMs = performance.now()
    const batch = this.#reader.take()
    const { server, uncertainAt } = this.#identities
    const last = this.#identities.last(this.#reader.isInside)
    const position = uncertainAt === undefined ? batch.position : withFile(batch.position, uncertainAt)
    return { ...batch, position: withOrigin(position, { server, last }) }
  }

  /** Heartbeats tell as well how far the server has read its files for us. */
  #passed(event: BinlogEvent): void {
    if (event.type === eventType.rotate) this.#file = readRotate(event)
    else if (event.nextOffset > 0 && this.#file !== undefined) this.#file.offset = event.nextOffset
  }

  /** Whether a position goes out without changes; never within a transaction. */
  #isTimeToTell(): boolean {
    if (this.#reader.isInside) return false
    return this.#heartbeat || (this.#reader.hasMoved && performance.now() - this.#takenAtMs >= quietMoveMs)
  }

  async #wait(): Promise<void> {
    const untold = this.#reader.hasMoved && !this.#reader.isInside
    await (untold ? this.#dump.wait(quietMoveMs) : this.#dump.wait())
  }
}
