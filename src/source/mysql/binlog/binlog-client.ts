/**
 * The dump of the binlog over a connection that mysql2 opened: after the questions of the set-up, the socket's bytes are
 * ours, and one packet asks for everything that a set of transactions lacks.
 */
import type { Duplex } from 'node:stream'
import { Failure } from '../../../change/failure.ts'
import { isPayload } from './binlog-events.ts'
import { query, socketOf, type Connection } from '../server/connection.ts'
import type { GtidSet } from '../gtid/gtid.ts'
import { MysqlGtidSet } from '../gtid/mysql-gtid-set.ts'
import { PacketReader, type Packet } from './packet-reader.ts'
import { dumpFailure } from '../server/server-errors.ts'
import { SocketBytes } from './socket-bytes.ts'

export interface DumpRequest {
  /** What was read already; the server sends the rest. */
  readonly executed: GtidSet
  /** Under which the server sees this reader among its replicas. */
  readonly serverId: number
  readonly uuid: string
  readonly heartbeatMs: number
  /** The server sends what there is now and ends; otherwise it waits for more. */
  readonly toEnd?: boolean
}

/** Above 2^30, where people seldom number their servers. */
export function randomServerId(): number {
  return 2 ** 30 + Math.floor(Math.random() * 2 ** 31)
}

/** How many heartbeats may stay out before the connection counts as dead. */
const heartbeatsMissedMax = 3
/** The server gives a reader that does not take its bytes up after so many seconds; the default of 60 is soon over. */
const writeTimeoutSeconds = 3600

const commandDump = 0x12
const commandDumpGtid = 0x1e
/** The executed set is in the request. */
const throughGtid = 0x04
/** Where there is no more, the end is sent. */
const noWaiting = 0x01
/** The first byte of the packet that ends the stream. */
const endOfStream = 254

export class BinlogDump {
  readonly #bytes: SocketBytes
  readonly #packets = new PacketReader(1, isSetAside)
  readonly #silenceMsMax: number
  readonly #toEnd: boolean
  #ended = false

  /** The connection is the dump's from here on; destroying it ends the dump. */
  static async start(connection: Connection, request: DumpRequest): Promise<BinlogDump> {
    for (const sql of setUp(request)) await query(connection, sql, [], 'preparing to stream the binlog')
    const socket = socketOf(connection)
    const dump = new BinlogDump(socket, request)
    socket.write(
      framed(request.executed instanceof MysqlGtidSet ? mysqlCommand(request) : mariadbCommand(request)),
    )
    return dump
  }

  private constructor(socket: Duplex, { heartbeatMs, toEnd = false }: DumpRequest) {
    this.#bytes = new SocketBytes(socket)
    this.#toEnd = toEnd
    this.#silenceMsMax = heartbeatMs * heartbeatsMissedMax
  }

  /**
   * The next event that has arrived whole, or undefined when more bytes are needed; the object is the same each time.
   * Throws a Failure when the server says why it sends no more.
   */
  next(): Packet | undefined {
    for (;;) {
      const packet = this.#packets.next()
      if (packet !== undefined && this.#isEnd(packet)) return undefined
      if (packet !== undefined) return eventIn(packet)
      const chunk = this.#bytes.take()
      if (chunk === undefined) return undefined
      this.#packets.push(chunk)
    }
  }

  /** Whether a dump that goes no further than the end has come to it. */
  get ended(): boolean {
    return this.#ended
  }

  /** Whether bytes wait that `next` has not seen. */
  get hasArrived(): boolean {
    return this.#bytes.hasSome
  }

  /**
   * Whether bytes came, of which the heartbeats of an idle server are some, within `timeoutMs` at most. Throws a Failure
   * ('transient') when the connection ended or was silent for too long.
   */
  async wait(timeoutMs = this.#silenceMsMax): Promise<boolean> {
    if (await this.#bytes.wait(Math.min(timeoutMs, this.#silenceMsMax))) return true
    if (timeoutMs < this.#silenceMsMax) return false
    throw new Failure('transient', `the server was silent for ${this.#silenceMsMax} ms, heartbeats included`)
  }

  /** Lets go of what has come of an event. */
  close(): void {
    this.#packets.close()
  }

  #isEnd({ buffer, from }: Packet): boolean {
    if (this.#toEnd && buffer[from] === endOfStream) this.#ended = true
    return this.#ended
  }
}

/** Payloads of transactions, which are unpacked piece by piece. */
export function isSetAside(beginning: Buffer): boolean {
  return isPayload({ buffer: beginning, from: 1, to: beginning.length })
}

/**
 * The event in a packet, which begins with a status byte: 0 = an event follows, 255 = an error, 254 = the end. Throws a
 * Failure for the latter two.
 */
export function eventIn(packet: Packet): Packet {
  const { buffer, from, to } = packet
  const status = from < to ? buffer[from] : undefined
  if (status === 0) {
    packet.from = from + 1
    return packet
  }
  if (status === endOfStream) throw new Failure('transient', 'the server ended the stream of its binlog')
  if (status !== 255 || to - from < 3)
    throw new Failure('corrupt', `a packet of the binlog begins with ${status ?? 'nothing'}`)
  const text = buffer.toString('utf8', from + 3, to)
  throw dumpFailure(buffer.readUInt16LE(from + 1), text.startsWith('#') ? text.slice(6) : text)
}

/** Servers before 8.0.26 know only the older names of these variables, later ones will know only the newer. */
function setUp({ executed, uuid, heartbeatMs }: DumpRequest): readonly string[] {
  const periodNs = heartbeatMs * 1_000_000
  const common = [
    'SET @master_binlog_checksum = @@global.binlog_checksum, @source_binlog_checksum = @@global.binlog_checksum',
    `SET @master_heartbeat_period = ${periodNs}, @source_heartbeat_period = ${periodNs}`,
    `SET @slave_uuid = '${uuid}', @replica_uuid = '${uuid}'`,
    `SET SESSION net_write_timeout = ${writeTimeoutSeconds}`,
  ]
  if (executed.flavor === 'mysql') return common
  return [
    ...common,
    'SET @mariadb_slave_capability = 4',
    `SET @slave_connect_state = '${executed.toString()}'`,
    'SET @slave_gtid_strict_mode = 0, @slave_gtid_ignore_duplicates = 0',
  ]
}

function mysqlCommand({ executed, serverId, toEnd = false }: DumpRequest): Buffer {
  const set = executed instanceof MysqlGtidSet ? executed.encode() : Buffer.alloc(0)
  // Command (1), flags (2), server id (4), length of a file name (4), no name, position (8), length of the set (4).
  const head = Buffer.alloc(23)
  head[0] = commandDumpGtid
  head.writeUInt16LE(throughGtid | (toEnd ? noWaiting : 0), 1)
  head.writeUInt32LE(serverId, 3)
  head.writeBigUInt64LE(4n, 11)
  head.writeUInt32LE(set.length, 19)
  return Buffer.concat([head, set])
}

/** The server finds the place by @slave_connect_state. */
function mariadbCommand({ serverId, toEnd = false }: DumpRequest): Buffer {
  // Command (1), position (4), flags (2), server id (4), no file name.
  const command = Buffer.alloc(11)
  command[0] = commandDump
  command.writeUInt32LE(4, 1)
  command.writeUInt16LE(toEnd ? noWaiting : 0, 5)
  command.writeUInt32LE(serverId, 7)
  return command
}

function framed(payload: Buffer): Buffer {
  const header = Buffer.alloc(4)
  header.writeUIntLE(payload.length, 0, 3)
  return Buffer.concat([header, payload])
}
