/**
 * A Source over a database in memory. Honest where it matters: the stream may be ahead of what reads can see, chunks wait
 * for their fence, large transactions come in pieces that can be resumed inside, a change of a key is a delete and an
 * insert that stay together, and what was read of a server that is lost meanwhile is no answer.
 *
 *   commit ──▶ journal ──▶ read()            the stream: at once
 *                 └──(reveal)──▶ visible ──▶ chunk()   what reads see: later
 */
import type { Barrier, Change, Position } from '../../src/change/change.ts'
import { Failure } from '../../src/change/failure.ts'
import { packRecords } from '../../src/change/records.ts'
import type { Clock } from '../../src/pipeline/clock.ts'
import type {
  Chunk,
  ChunkRequest,
  KeyedRows,
  KeysRequest,
  Source,
  SourceBatch,
  View,
  ViewRequest,
} from '../../src/source/source.ts'
import type { MemoryDatabase } from './memory-database.ts'
import { placeOf, positionOf, type Place } from './memory-history.ts'
import { page } from './memory-page.ts'
import { viewOf } from './memory-view.ts'

export interface MemorySourceOptions {
  readonly database: MemoryDatabase
  readonly clock: Clock
  /** Row events in one piece of the stream. */
  readonly pieceRows: number
  /** How long a silent stream waits before it says that it is alive, ms. */
  readonly heartbeatMs: number
  /** What a call suffers before it is answered: it waits, or throws a Failure. */
  readonly suffer: (call: 'read' | 'head' | 'chunk' | 'rows') => Promise<void>
  /** What the stream shows of a change; undefined = all. */
  readonly shows?: (change: Change) => Change
}

/** Positions are those of memory-history.ts. */
export class MemorySource implements Source {
  readonly #options: MemorySourceOptions

  constructor(options: MemorySourceOptions) {
    this.#options = options
  }

  async *read(from: Position, signal: AbortSignal): AsyncIterable<SourceBatch> {
    const { database, clock, heartbeatMs, suffer } = this.#options
    let place = placeOf(from)
    assertKnown(database, place)
    const { reign } = database.history
    place = { ...place, reign }
    while (!signal.aborted) {
      const seen = database.commits.count
      await suffer('read')
      if (signal.aborted || database.history.reign !== reign) return
      const piece = this.#piece(place)
      if (piece !== undefined) {
        place = piece.place
        yield piece.batch
        continue
      }
      const waited = await nextCommit({ database, clock, seen, heartbeatMs }, signal)
      if (waited === 'silence') yield { records: [], barriers: [], position: positionOf(place), bytes: 0 }
    }
  }

  async head(): Promise<Position> {
    await this.#options.suffer('head')
    return headOf(this.#options.database)
  }

  async chunk(request: ChunkRequest, signal: AbortSignal): Promise<Chunk> {
    const { database, suffer } = this.#options
    await suffer('chunk')
    signal.throwIfAborted()
    revealTo(database, request.includes)
    const { reign } = database.history
    const table = database.visibleTable(request.table)
    const rows = page(database.visibleRows(request.table), request)
    await suffer('head')
    assertReign(database, reign)
    const head = headOf(database)
    return { table, rows, last: rows.at(-1)?.key, head }
  }

  async rows({ table, keys, includes }: KeysRequest, signal: AbortSignal): Promise<KeyedRows> {
    const { database, suffer } = this.#options
    await suffer('rows')
    signal.throwIfAborted()
    revealTo(database, includes)
    const visible = database.visibleRows(table)
    const rows = keys.flatMap((key) => {
      const row = visible.get(key)
      return row === undefined ? [] : [{ key, row }]
    })
    return { table: database.visibleTable(table), rows, head: headOf(database) }
  }

  async view<Result>(
    { tables, includes }: ViewRequest,
    read: (view: View) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const { database, suffer } = this.#options
    await suffer('rows')
    signal.throwIfAborted()
    revealTo(database, includes)
    const { reign } = database.history
    const sees = async (): Promise<void> => {
      await suffer('rows')
      assertReign(database, reign)
    }
    return await read({ ...viewOf(database, tables, sees), head: () => Promise.resolve(headOf(database)) })
  }

  covers(position: Position, other: Position): boolean {
    return this.#options.database.history.covers(placeOf(position), placeOf(other))
  }

  /** The next events, over transactions' ends but not over a barrier; undefined = there are none yet. */
  #piece(from: Place): { readonly batch: SourceBatch; readonly place: Place } | undefined {
    const { database, pieceRows, shows = (change: Change) => change } = this.#options
    const changes: Change[] = []
    const barriers: Barrier[] = []
    let [{ executed, inside }, rows] = [from, 0]
    while (executed < database.executed && rows < pieceRows && barriers.length === 0) {
      if (database.history.isLost(executed)) {
        executed++
        inside = 0
        continue
      }
      const { events, barrier } = database.at(executed)
      const taken = events.slice(inside, inside + pieceRows - rows)
      for (const event of taken) changes.push(...event.map(shows))
      rows += taken.length
      inside += taken.length
      if (inside < events.length) break
      if (barrier !== undefined) barriers.push(barrier)
      executed++
      inside = 0
    }
    if (executed === from.executed && inside === from.inside) return undefined
    const place = { ...from, executed, inside }
    const records = changes.length === 0 ? [] : [packRecords(changes)]
    const bytes = records.reduce((sum, packed) => sum + packed.bytes.length, 0)
    return { batch: { records, barriers, position: positionOf(place), bytes }, place }
  }
}

/** Reads see this position, and the rest of a transaction that it is inside of. */
function revealTo(database: MemoryDatabase, position: Position): void {
  const { executed, inside } = placeOf(position)
  database.reveal(executed + (inside > 0 ? 1 : 0))
}

function headOf({ executed, history: { reign } }: MemoryDatabase): Position {
  return positionOf({ executed, inside: 0, reign })
}

function assertReign({ history }: MemoryDatabase, reign: number): void {
  if (history.reign !== reign) throw new Failure('transient', 'the server that was read is gone')
}

function assertKnown(database: MemoryDatabase, place: Place): void {
  database.history.assertKept(place)
  if (place.executed > database.executed)
    throw new Failure(
      'lost',
      `the server has executed ${database.executed} transactions, not ${place.executed}`,
    )
}

/** Waits for a commit after `seen`, for the heartbeat's time, or for the end. */
async function nextCommit(
  wait: { database: MemoryDatabase; clock: Clock; seen: number; heartbeatMs: number },
  signal: AbortSignal,
): Promise<'commit' | 'silence' | 'end'> {
  const over = new AbortController()
  const either = AbortSignal.any([signal, over.signal])
  try {
    return await Promise.race([
      wait.database.commits.next(wait.seen, either).then(() => 'commit' as const),
      wait.clock.sleep(wait.heartbeatMs, either).then(() => 'silence' as const),
    ])
  } catch {
    return 'end'
  } finally {
    over.abort()
  }
}
