/**
 * MariaDB's log_bin_compress: statements and rows of 256 bytes and more, each event packed for itself. What stands before
 * the statement's text, or before the rows, is not packed; behind it:
 *
 *   mark (1): 128 + algorithm · 16 + n, the algorithm 0 being zlib · length unpacked (n, high byte first) · zlib stream
 */
import { inflateSync } from 'node:zlib'
import { Failure } from '../../../change/failure.ts'
import { eventType, readRowsHeader, statementFrom, type BinlogEvent } from './binlog-events.ts'
import { WireReader } from '../values/wire-reader.ts'

/** The server makes no larger events. */
const bytesMax = 2 ** 30

/** The event as it was before the server packed it. Throws a Failure: `corrupt`, `unsupported` for other algorithms. */
export function unpackedEvent(event: BinlogEvent): BinlogEvent {
  const type = plainTypes.get(event.type)
  if (type === undefined) return event
  const plain = { ...event, type }
  const packedFrom = type === eventType.query ? statementFrom(plain) : rowsFrom(plain)
  const head = event.buffer.subarray(event.from, packedFrom)
  const buffer = Buffer.concat([head, unpacked(event.buffer.subarray(packedFrom, event.to))])
  return { ...plain, buffer, from: 0, to: buffer.length }
}

const plainTypes: ReadonlyMap<number, number> = new Map([
  [eventType.mariadbQueryCompressed, eventType.query],
  [eventType.mariadbWriteRowsCompressedV1, eventType.writeRowsV1],
  [eventType.mariadbUpdateRowsCompressedV1, eventType.updateRowsV1],
  [eventType.mariadbDeleteRowsCompressedV1, eventType.deleteRowsV1],
  [eventType.mariadbWriteRowsCompressed, eventType.writeRows],
  [eventType.mariadbUpdateRowsCompressed, eventType.updateRows],
  [eventType.mariadbDeleteRowsCompressed, eventType.deleteRows],
])

/** Behind the count of columns and the bits of those that are present. */
function rowsFrom(event: BinlogEvent): number {
  const { from, kind } = readRowsHeader(event)
  const reader = new WireReader(event.buffer, from, event.to, 'a compressed rows event')
  const columns = reader.packed()
  reader.skip(((columns + 7) >> 3) * (kind === 'update' ? 2 : 1))
  return reader.at
}

function unpacked(packed: Buffer): Buffer {
  const mark = packed[0] ?? 0
  const lengthBytes = mark & 7
  if ((mark & 0x80) === 0 || lengthBytes < 1 || lengthBytes > 4 || packed.length <= lengthBytes)
    throw new Failure('corrupt', 'a compressed event without the mark of one')
  const algorithm = (mark >> 4) & 7
  if (algorithm !== 0)
    throw new Failure('unsupported', `an event compressed by an unknown algorithm, number ${algorithm}`, {
      remedy: 'SET GLOBAL log_bin_compress = OFF, then load the pipelines of this source anew',
    })
  const length = packed.readUIntBE(1, lengthBytes)
  if (length > bytesMax) throw new Failure('corrupt', `a compressed event of ${length} bytes`)
  const bytes = inflated(packed.subarray(1 + lengthBytes), length)
  if (bytes.length === length) return bytes
  throw new Failure('corrupt', `a compressed event holds ${bytes.length} bytes where it says ${length}`)
}

function inflated(packed: Buffer, length: number): Buffer {
  try {
    return inflateSync(packed, { maxOutputLength: Math.max(length, 1) })
  } catch (cause) {
    throw new Failure('corrupt', 'a compressed event cannot be unpacked', { cause })
  }
}
