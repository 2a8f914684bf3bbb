/** Puts records into the batches of an append: this is done for every row, so that nothing is made for each that can be kept. */
import { transactionAt } from '../../change/origins.ts'
import { operations, type RecordCursor, type Records } from '../../change/records.ts'
import { Failure } from '../../change/failure.ts'
import { opName } from './envelope.ts'
import { EnvelopeWriter, type EnvelopeSource } from './envelope-writer.ts'
import { alikeBytes, VersionDigits } from './headers.ts'
import type { Outgoing, OutgoingTopic } from './outgoing.ts'
import { partitionOf } from './partition.ts'

/** Where the records of a table go. */
export interface Home {
  readonly topic: OutgoingTopic
  readonly fingerprint: string
  /** What headers have alike, by operation: of changes of one transaction, where that is named. */
  headers: Buffer[]
  gtid: string
}

export interface EncodedAppend {
  readonly epoch: number
  readonly lanes: number
  /** Empty = for all. */
  readonly addressee: string
  readonly nowMs: number
  readonly outgoing: Outgoing
  /** For records that not all read. */
  readonly work: OutgoingTopic
}

export class RecordEncoder {
  readonly #envelopes: EnvelopeWriter
  readonly #versions = new VersionDigits()

  constructor(source: EnvelopeSource) {
    this.#envelopes = new EnvelopeWriter(source)
  }

  /** `homes` are those of the records' tables, in their order. */
  encode(records: Records, firstSeq: number, homes: readonly Home[], append: EncodedAppend): void {
    let seq = firstSeq
    for (const cursor = records.cursor(); cursor.next(); seq++) {
      const home = homes[cursor.tableNumber]
      if (home === undefined) throw new Failure('corrupt', 'a record of an unknown table')
      this.#add(cursor, seq, home, append)
    }
  }

  #add(cursor: RecordCursor, seq: number, home: Home, append: EncodedAppend): void {
    const envelopes = this.#envelopes
    const { key } = envelopes
    envelopes.writeKey(cursor)
    const inWork = append.addressee !== '' || cursor.operation === operations.touch
    const out = (inWork ? append.work : home.topic).at(partitionOf(key.bytes, key.at, append.lanes))
    const valueBytes = envelopes.measure(cursor, append.nowMs)
    const headers = this.#headersOf(cursor, home, append)
    const version = this.#versions.next(append.epoch, seq)
    const { builder } = out
    builder.begin(key.bytes, key.at, valueBytes, headers.length + version.length)
    envelopes.write(cursor, builder)
    builder.copy(headers)
    builder.copy(version)
    out.lastSeq = seq
    append.outgoing.added(out)
  }

  #headersOf(cursor: RecordCursor, home: Home, { epoch, addressee }: EncodedAppend): Buffer {
    const { operation, place, records } = cursor
    const { jsonNulls } = this.#envelopes
    const gtid = transactionAt(records.origins, place)
    if (gtid !== home.gtid) {
      home.gtid = gtid
      home.headers = []
    }
    const { fingerprint, headers } = home
    const alike = (): Buffer =>
      alikeBytes({ epoch, op: opName(operation), fingerprint, addressee, jsonNulls, gtid })
    return jsonNulls === '' ? (headers[operation] ??= alike()) : alike()
  }
}
