/**
 * Touches that the source did not make: somebody wants these keys to be read again. They pass through capture, which alone
 * numbers, so that each has a version of its own, in its key's lane and order.
 */
import type { Key, Offset, Table } from '../../change/change.ts'
import { RecordsBuilder, type Records } from '../../change/records.ts'
import type { Insertion } from './appender.ts'

export interface TouchRequest {
  /** As the source describes it now. */
  readonly table: Table
  /** Spelled as captured keys are (as `Source.rows` and the log give them); one that the table lacks means that its document is to go. */
  readonly keys: Iterable<Key> | AsyncIterable<Key>
  /** The group or the pipeline that is to deliver them; undefined = every group of the table. */
  readonly addressee?: string
}

export interface Touched {
  readonly keys: number
  /** A group that has passed this offset has delivered them all. */
  readonly until: Offset
}

export interface TouchParts {
  /** Appends when its turn comes; the offset after what was appended. */
  readonly insert: (insertion: Insertion) => Promise<Offset>
  /** Told after each append, with the number of keys in it. */
  readonly touched: (keys: number) => void
}

/** Keys in one append. */
const keysMax = 1000

/** What was appended stays when a later append fails; a key may be touched again without harm. */
export async function appendTouches(
  { insert, touched }: TouchParts,
  { table, keys, addressee }: TouchRequest,
  signal: AbortSignal,
): Promise<Touched> {
  let [count, until] = [0, 0]
  for await (const some of inBatches(keys)) {
    signal.throwIfAborted()
    const records = [touchRecords(table, some)]
    until = await insert(({ producers }) => ({ records, addressee, producers }))
    count += some.length
    touched(some.length)
  }
  return { keys: count, until }
}

async function* inBatches(keys: Iterable<Key> | AsyncIterable<Key>): AsyncGenerator<readonly Key[]> {
  let batch: Key[] = []
  for await (const key of keys) {
    batch.push(key)
    if (batch.length < keysMax) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** Records that say no more than that these rows are to be read. */
export function touchRecords(table: Table, keys: readonly Key[]): Records {
  const builder = new RecordsBuilder()
  for (const key of keys)
    builder.add({ op: 'touch', table, key, before: undefined, after: undefined, committedAtMs: 0 })
  return builder.finish()
}
