/**
 * The roots of the joined rows that a stretch of the log is about: those that showed a row before its change as the record
 * has it, and those that show it. The stretch is walked over in pieces, so that what is remembered is bounded.
 */
import type { Key, Offset } from '../../change/change.ts'
import type { Records } from '../../change/records.ts'
import { isAddressedTo, type LogAdmin, type LogStretch } from '../../log/log.ts'
import type { Climb } from '../deriving/climb.ts'
import { Gathered } from '../deriving/gathered.ts'
import type { RootSearch } from '../deriving/root-search.ts'

export interface JoinedStretch {
  readonly from: Offset
  readonly to: Offset
  /** Records for others are passed over. */
  readonly groups: readonly string[]
}

export interface FollowedRoots {
  /** Each once in a batch; several batches may name the same. */
  readonly roots: readonly Key[]
  /** All roots of the records before it are in this batch and in those before. */
  readonly next: Offset
  /** Of joined tables, since the batch before. */
  readonly records: number
  /** Statements that changed their rows without naming them, since the batch before. */
  readonly barriers: readonly string[]
}

export async function* followedRoots(
  log: Pick<LogAdmin, 'range'>,
  stretch: JoinedStretch,
  search: RootSearch,
  signal: AbortSignal,
): AsyncGenerator<FollowedRoots> {
  for (let from = stretch.from; from < stretch.to;) {
    const piece = await gather(log, { ...stretch, from }, search)
    const { gathered, next, barriers } = piece
    let found = await search.of(gathered.climbs(), gathered.untold, signal)
    for (let rest: readonly Climb[] = found.rest; rest.length > 0; rest = found.rest) {
      yield { roots: found.roots, next: from, records: 0, barriers: [] }
      found = await search.page(rest, signal)
    }
    yield { roots: found.roots, next, records: gathered.changes, barriers }
    from = next
  }
}

interface Piece {
  readonly gathered: Gathered
  /** One past the last record that was looked at. */
  readonly next: Offset
  readonly barriers: readonly string[]
}

/** As much as is worth asking for at once, from the beginning of the stretch on. */
async function gather(
  log: Pick<LogAdmin, 'range'>,
  { from, to, groups }: JoinedStretch,
  { childTables, changes }: RootSearch,
): Promise<Piece> {
  const gathered = new Gathered()
  const barriers: string[] = []
  const isJoined = ({ tables }: Records): boolean => tables.some(({ name }) => childTables.includes(name))
  for await (const piece of log.range(from, to)) {
    for (const { table, statement } of piece.barriers)
      if (childTables.includes(table) && piece.offset >= from) barriers.push(statement)
    if (!groups.some((group) => isAddressedTo(piece.addressee, group)) || !isJoined(piece.records)) continue
    for (const { cursor, offset } of within(piece, from, to)) {
      if (!childTables.includes(cursor.table.name)) continue
      gathered.takeOne(changes, cursor)
      if (gathered.isFull) return { gathered, next: offset + 1, barriers }
    }
  }
  return { gathered, next: to, barriers }
}

function* within({ records, offset: first }: LogStretch, from: Offset, to: Offset) {
  let offset = first
  for (const cursor = records.cursor(); cursor.next(); offset++)
    if (offset >= from && offset < to) yield { cursor, offset }
}
