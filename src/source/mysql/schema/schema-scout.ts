/** Looks ahead in the binlog for statements that change captured tables, and at nothing else. */
import { randomUUID } from 'node:crypto'
import type { Failure } from '../../../change/failure.ts'
import { BinlogDump, randomServerId } from '../binlog/binlog-client.ts'
import { eventType, readEvent, readFormatDescription, type BinlogEvent } from '../binlog/binlog-events.ts'
import type { CapturedTables } from './captured-tables.ts'
import { keepsColumns } from './column-statements.ts'
import { unpackedEvent } from '../binlog/compressed-event.ts'
import { connect, hangUp, query, type MysqlSettings } from '../server/connection.ts'
import { isHarmless, refusalOf } from '../binlog/event-policy.ts'
import { GtidReader } from '../binlog/gtid-event.ts'
import { containsAll } from '../gtid/gtid-set.ts'
import type { Gtid, GtidSet } from '../gtid/gtid.ts'
import type { Packet } from '../binlog/packet-reader.ts'
import { readQuery } from '../binlog/query-event.ts'
import { meaningOf, shorten } from './statement.ts'

/** A statement that changed columns of captured tables. */
export interface Definition {
  readonly gtid: Gtid
  /** As the configuration names them. */
  readonly tables: readonly string[]
  /** Shortened, for messages. */
  readonly statement: string
  /** The whole of it. */
  readonly text: string
}

/** From where to where, in the binlog of a server. */
export interface Stretch {
  readonly after: GtidSet
  readonly until: GtidSet
}

const heartbeatMs = 5_000

/** All definitions in a stretch of the binlog. Throws a Failure as a dump does, or for an event that may hide one. */
export async function scout(
  settings: MysqlSettings,
  tables: CapturedTables,
  { after, until }: Stretch,
  signal: AbortSignal,
): Promise<readonly Definition[]> {
  if (containsAll(after, until)) return []
  const connection = await connect(settings)
  const onAbort = (): void => hangUp(connection)
  signal.addEventListener('abort', onAbort)
  try {
    signal.throwIfAborted()
    const sql = 'SELECT @@global.binlog_checksum AS checksum'
    const [row] = await query(connection, sql, [], 'preparing to look ahead in the binlog')
    // Another id than that of the stream, whose dump the server would end otherwise.
    const request = { executed: after, serverId: randomServerId(), uuid: randomUUID(), heartbeatMs }
    const dump = await BinlogDump.start(connection, { ...request, toEnd: true })
    const scouting = new Scouting(tables, after.copy(), row?.['checksum'] === 'CRC32')
    while (!dump.ended && !containsAll(scouting.seen, until)) {
      for (let packet = dump.next(); packet !== undefined; packet = dump.next()) scouting.look(packet)
      if (!dump.ended) await dump.wait()
    }
    return scouting.definitions
  } finally {
    signal.removeEventListener('abort', onAbort)
    hangUp(connection)
  }
}

class Scouting {
  readonly definitions: Definition[] = []
  /** Transactions whose begin was seen, but for the one under way. */
  readonly seen: GtidSet
  readonly #tables: CapturedTables
  readonly #gtids = new GtidReader()
  #current: Gtid | undefined
  #checksums: boolean

  constructor(tables: CapturedTables, seen: GtidSet, checksums: boolean) {
    this.#tables = tables
    this.seen = seen
    this.#checksums = checksums
  }

  look(packet: Packet): void {
    const type = packet.buffer[packet.from + 4] ?? 0
    packet.whole?.close()
    if (rowsAndMarks.has(type)) return
    const event = unpackedEvent(readEvent(packet, this.#checksums))
    switch (event.type) {
      case eventType.formatDescription:
        this.#checksums = readFormatDescription(event).checksums
        return
      case eventType.gtid:
      case eventType.gtidTagged:
        return this.#begin(this.#gtids.mysql(event).gtid)
      case eventType.mariadbGtid:
        return this.#begin(this.#gtids.mariadb(event).gtid)
      case eventType.query:
        return this.#query(event)
      default:
        if (!isHarmless(event)) throw refused(event)
    }
  }

  #begin(gtid: Gtid): void {
    if (this.#current !== undefined) this.seen.add(this.#current)
    this.#current = gtid
  }

  #query(event: BinlogEvent): void {
    const { schema, statement } = readQuery(event)
    const meaning = meaningOf(statement, schema)
    if (meaning.kind !== 'definition' || meaning.harmless || this.#current === undefined) return
    const tables = this.#tables.among(meaning.tables)
    if (tables.length > 0 && !keepsColumns(statement))
      this.definitions.push({ gtid: this.#current, tables, statement: shorten(statement), text: statement })
  }
}

function refused({ type }: BinlogEvent): Failure {
  return refusalOf(type)
}

/** What no definition stands in, passed without a look; compressed transactions hold rows. */
const rowsAndMarks: ReadonlySet<number> = new Set([
  eventType.rotate,
  eventType.xid,
  eventType.xaPrepare,
  eventType.tableMap,
  eventType.writeRowsV1,
  eventType.updateRowsV1,
  eventType.deleteRowsV1,
  eventType.writeRows,
  eventType.updateRows,
  eventType.deleteRows,
  eventType.partialUpdateRows,
  eventType.transactionPayload,
  eventType.mariadbWriteRowsCompressedV1,
  eventType.mariadbUpdateRowsCompressedV1,
  eventType.mariadbDeleteRowsCompressedV1,
  eventType.mariadbWriteRowsCompressed,
  eventType.mariadbUpdateRowsCompressed,
  eventType.mariadbDeleteRowsCompressed,
])
