/** QUERY events in tests. */
import { eventType, type BinlogEvent } from '../../src/source/mysql/binlog/binlog-events.ts'

/** `variables` as a server writes them before the schema. */
export function queryEvent(
  statement: Buffer,
  schema: string,
  variables: Buffer = Buffer.alloc(0),
): BinlogEvent {
  const head = Buffer.alloc(13)
  const name = Buffer.from(schema)
  head[8] = name.length
  head.writeUInt16LE(variables.length, 11)
  const buffer = Buffer.concat([head, variables, name, Buffer.of(0), statement])
  const about = { timestamp: 0, serverId: 1, nextOffset: 0, flags: 0 }
  return { ...about, type: eventType.query, buffer, from: 0, to: buffer.length }
}
