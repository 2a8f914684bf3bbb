/**
 * Events of the binlog:
 *
 *   timestamp (4) type (1) server id (4) size (4) next position (4) flags (2) body ... checksum (4, where the file has them)
 *
 * Integers are little-endian.
 */
import { crc32 } from 'node:zlib'
import { Failure } from '../../../change/failure.ts'
import type { Packet } from './packet-reader.ts'

export const eventType = {
  stop: 3,
  query: 2,
  rotate: 4,
  intvar: 5,
  rand: 13,
  userVariable: 14,
  formatDescription: 15,
  xid: 16,
  tableMap: 19,
  writeRowsV1: 23,
  updateRowsV1: 24,
  deleteRowsV1: 25,
  heartbeat: 27,
  ignorable: 28,
  rowsQuery: 29,
  writeRows: 30,
  updateRows: 31,
  deleteRows: 32,
  gtid: 33,
  anonymousGtid: 34,
  previousGtids: 35,
  transactionContext: 36,
  viewChange: 37,
  xaPrepare: 38,
  partialUpdateRows: 39,
  transactionPayload: 40,
  heartbeatV2: 41,
  gtidTagged: 42,
  mariadbAnnotateRows: 160,
  mariadbBinlogCheckpoint: 161,
  mariadbGtid: 162,
  mariadbGtidList: 163,
  mariadbStartEncryption: 164,
  mariadbQueryCompressed: 165,
  mariadbWriteRowsCompressedV1: 166,
  mariadbUpdateRowsCompressedV1: 167,
  mariadbDeleteRowsCompressedV1: 168,
  mariadbWriteRowsCompressed: 169,
  mariadbUpdateRowsCompressed: 170,
  mariadbDeleteRowsCompressed: 171,
} as const

/** Names of the types that stop capture, for its message. */
const unreadable: ReadonlyMap<number, string> = new Map([
  [0, 'UNKNOWN'],
  [1, 'START_V3'],
  [6, 'LOAD'],
  [8, 'CREATE_FILE'],
  [9, 'APPEND_BLOCK'],
  [10, 'EXEC_LOAD'],
  [11, 'DELETE_FILE'],
  [12, 'NEW_LOAD'],
  [17, 'BEGIN_LOAD_QUERY'],
  [18, 'EXECUTE_LOAD_QUERY'],
  [20, 'PRE_GA_WRITE_ROWS'],
  [21, 'PRE_GA_UPDATE_ROWS'],
  [22, 'PRE_GA_DELETE_ROWS'],
  [26, 'INCIDENT'],
  [34, 'ANONYMOUS_GTID'],
  [172, 'PARTIAL_ROW_DATA'],
])

export function eventName(type: number): string {
  return `${unreadable.get(type) ?? 'unknown'} (event type ${type})`
}

/** Whether the number is that of an event with a name, which cannot be read. */
export function isUnreadable(type: number): boolean {
  return unreadable.has(type)
}

/** One event; body and checksum are told apart. */
export interface BinlogEvent {
  readonly type: number
  /** Seconds since 1970 when the statement began. */
  readonly timestamp: number
  readonly serverId: number
  /** Where the next event begins in the file; 0 for events that are in no file. */
  readonly nextOffset: number
  readonly flags: number
  readonly buffer: Buffer
  /** The body's bytes. */
  readonly from: number
  readonly to: number
}

export const headerBytes = 19
export const checksumBytes = 4
/** Set by the server that is writing the file; not in the checksum. */
const inUseFlag = 1

/** Whether the packet holds a TRANSACTION_PAYLOAD, which is not read as one event but unpacked. */
export function isPayload({ buffer, from }: Packet): boolean {
  return buffer[from + 4] === eventType.transactionPayload
}

/**
 * The event in a packet whose first byte (the packet's own status) is `from - 1`. A format description always bears a
 * checksum. Throws a Failure ('corrupt') when size or checksum are wrong.
 */
export function readEvent(packet: Packet, checksums: boolean): BinlogEvent {
  const { buffer, from, to } = packet
  if (to - from < headerBytes || buffer.readUInt32LE(from + 9) !== to - from)
    throw new Failure('corrupt', `a binlog event of ${to - from} bytes contradicts its own size`)
  const type = buffer[from + 4] ?? 0
  const checked = checksums || type === eventType.formatDescription
  const end = checked ? to - checksumBytes : to
  if (end < from + headerBytes) throw new Failure('corrupt', `a binlog event of type ${type} is too short`)
  if (end - from - headerBytes < (bodyBytesMin[type] ?? 0))
    throw new Failure('corrupt', `a binlog event of type ${type} is too short`)
  if (checked && hasChecksum(buffer, type, end)) verifyChecksum(buffer, from, end)
  return {
    type,
    timestamp: buffer.readUInt32LE(from),
    serverId: buffer.readUInt32LE(from + 5),
    nextOffset: buffer.readUInt32LE(from + 13),
    flags: buffer.readUInt16LE(from + 17),
    buffer,
    from: from + headerBytes,
    to: end,
  }
}

/** The bytes that stand in every body of a type. */
const bodyBytesMin: Readonly<Record<number, number>> = {
  [eventType.query]: 14,
  [eventType.rotate]: 8,
  [eventType.formatDescription]: 57,
  [eventType.tableMap]: 8,
  [eventType.writeRowsV1]: 8,
  [eventType.updateRowsV1]: 8,
  [eventType.deleteRowsV1]: 8,
  [eventType.writeRows]: 10,
  [eventType.updateRows]: 10,
  [eventType.deleteRows]: 10,
  [eventType.partialUpdateRows]: 10,
  [eventType.gtid]: 25,
  [eventType.xaPrepare]: 13,
  [eventType.mariadbGtid]: 13,
  [eventType.mariadbQueryCompressed]: 14,
  [eventType.mariadbWriteRowsCompressedV1]: 8,
  [eventType.mariadbUpdateRowsCompressedV1]: 8,
  [eventType.mariadbDeleteRowsCompressedV1]: 8,
  [eventType.mariadbWriteRowsCompressed]: 10,
  [eventType.mariadbUpdateRowsCompressed]: 10,
  [eventType.mariadbDeleteRowsCompressed]: 10,
}

/** A format description of a file without checksums has room for one all the same, and says so in the byte before it. */
function hasChecksum(buffer: Buffer, type: number, end: number): boolean {
  return type !== eventType.formatDescription || buffer[end - 1] === 1
}

function verifyChecksum(buffer: Buffer, from: number, end: number): void {
  let bytes = buffer.subarray(from, end)
  const flagsAt = from + 17
  if (buffer[from + 4] === eventType.formatDescription && ((buffer[flagsAt] ?? 0) & inUseFlag) !== 0) {
    bytes = Buffer.from(bytes)
    bytes[17] = (bytes[17] ?? 0) & ~inUseFlag
  }
  if (crc32(bytes) !== buffer.readUInt32LE(end)) throw brokenChecksum(buffer[from + 4])
}

export function brokenChecksum(type = 0): Failure {
  const remedy =
    "check the source's disk and its error log; mysqlbinlog --verify-binlog-checksum reads its files"
  return new Failure('corrupt', `a binlog event of type ${type} breaks its checksum`, { remedy })
}

function overrun(what: string): Failure {
  return new Failure('corrupt', `a ${what} event ends before its own fields`)
}

export interface FormatDescription {
  readonly serverVersion: string
  /** Whether the events after it bear checksums. */
  readonly checksums: boolean
}

export function readFormatDescription({ buffer, from, to }: BinlogEvent): FormatDescription {
  const version = buffer.toString('latin1', from + 2, from + 52)
  return { serverVersion: version.slice(0, (version + '\0').indexOf('\0')), checksums: buffer[to - 1] === 1 }
}

/** Of a ROTATE: the file that follows. */
export function readRotate({ buffer, from, to }: BinlogEvent): {
  readonly file: string
  readonly offset: number
} {
  return { file: buffer.toString('utf8', from + 8, to), offset: Number(buffer.readBigUInt64LE(from)) }
}

/** What stands before schema and statement: thread (4), seconds (4), schema length (1), error (2), variables length (2). */
const queryHeaderBytes = 13

/** Where the statement of a QUERY begins. Throws a Failure, `corrupt`, when that lies outside. */
export function statementFrom({ buffer, from, to }: BinlogEvent): number {
  const at = from + queryHeaderBytes + buffer.readUInt16LE(from + 11) + (buffer[from + 8] ?? 0) + 1
  if (at > to) throw overrun('QUERY')
  return at
}

/** Of an XA_PREPARE: whether it commits at once, and the branch as `gtrid:bqual:format`, hexadecimal. */
export function readXaPrepare({ buffer, from, to }: BinlogEvent): {
  readonly onePhase: boolean
  readonly branch: string
} {
  const format = buffer.readInt32LE(from + 1)
  const globalLength = buffer.readUInt32LE(from + 5)
  const branchLength = buffer.readUInt32LE(from + 9)
  if (from + 13 + globalLength + branchLength > to) throw overrun('XA_PREPARE')
  const text = buffer.toString('hex', from + 13, from + 13 + globalLength + branchLength)
  const branch = `${text.slice(0, globalLength * 2)}:${text.slice(globalLength * 2)}:${format}`
  return { onePhase: buffer[from] === 1, branch }
}

export function tableIdOf({ buffer, from }: BinlogEvent): number {
  return buffer.readUIntLE(from, 6)
}

/** Of a row event of any kind: whether it is the last one of its statement. */
export function endsStatement({ buffer, from }: BinlogEvent): boolean {
  return ((buffer[from + 6] ?? 0) & 1) !== 0
}

export interface RowsHeader {
  readonly kind: 'insert' | 'update' | 'delete'
  readonly tableId: number
  /** Whether these are the last rows of their statement. */
  readonly endsStatement: boolean
  /** Whether foreign keys were heeded, and so may have cascaded. */
  readonly checksForeignKeys: boolean
  /** Where the count of columns stands. */
  readonly from: number
}

/** The head of a WRITE_ROWS, UPDATE_ROWS or DELETE_ROWS of version 1 or 2. */
export function readRowsHeader(event: BinlogEvent): RowsHeader {
  const { buffer, from, to, type } = event
  const second = type >= eventType.writeRows
  const columnsFrom = from + 8 + (second ? buffer.readUInt16LE(from + 8) : 0)
  if (columnsFrom > to) throw overrun('rows')
  const kinds = ['insert', 'update', 'delete'] as const
  return {
    kind: kinds[type - (second ? eventType.writeRows : eventType.writeRowsV1)] ?? 'insert',
    tableId: buffer.readUIntLE(from, 6),
    endsStatement: endsStatement(event),
    checksForeignKeys: ((buffer[from + 6] ?? 0) & 2) === 0,
    from: columnsFrom,
  }
}
