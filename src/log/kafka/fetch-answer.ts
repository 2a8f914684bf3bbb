/**
 * What a broker answers to a fetch (version 13): the batches of each partition as they came. The library would make
 * objects of every record, and keeps of the undone transactions only some.
 */
import { ResponseError, type Reader } from './library.ts'

export interface FetchedPartition {
  readonly partition: number
  readonly highWatermark: bigint
  readonly logStartOffset: bigint
  readonly abortedTransactions: readonly AbortedTransaction[]
  /** One batch after the other; the last one may be cut short. */
  readonly batches: Buffer
}

interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: bigint
}

interface FetchAnswer {
  readonly topics: readonly { readonly id: string; readonly partitions: readonly FetchedPartition[] }[]
}

type Errors = Record<string, [number, null]>

export function readFetchAnswer(
  _id: number,
  apiKey: number,
  apiVersion: number,
  reader: Reader,
): FetchAnswer {
  const errors: Errors = {}
  const throttledMs = reader.readInt32()
  noteError(errors, '/', reader.readInt16())
  const session = reader.readInt32()
  const topics = reader.readArray((topic, at) => ({
    id: topic.readUUID(),
    partitions: topic.readArray(
      (each, number) => readPartition(each, errors, `/responses/${at}/partitions/${number}`),
      true,
      false,
    ),
  }))
  reader.readTaggedFields()
  const answer = { throttledMs, session, topics }
  if (Object.keys(errors).length > 0) throw new ResponseError(apiKey, apiVersion, errors, answer)
  return answer
}

function readPartition(reader: Reader, errors: Errors, name: string): FetchedPartition {
  const partition = reader.readInt32()
  noteError(errors, name, reader.readInt16())
  const highWatermark = reader.readInt64()
  // The last stable offset: batches end there by themselves.
  reader.readInt64()
  const logStartOffset = reader.readInt64()
  const aborted = reader.readNullableArray((each) => ({
    producerId: each.readInt64(),
    firstOffset: each.readInt64(),
  }))
  // A replica that would be nearer.
  reader.readInt32()
  const size = Math.max(0, reader.readUnsignedVarInt() - 1)
  const batches = reader.buffer.slice(reader.position, reader.position + size)
  reader.skip(size)
  reader.readTaggedFields()
  return { partition, highWatermark, logStartOffset, abortedTransactions: aborted ?? [], batches }
}

function noteError(errors: Errors, name: string, code: number): void {
  if (code !== 0) errors[name] = [code, null]
}
