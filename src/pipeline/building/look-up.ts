/**
 * Entries that do not show all that their document needs (touches, and rows of which the source left columns out) are
 * completed from the table: the row as it is now, which includes the entry, under the entry's version.
 */
import type { Key, Position, Table } from '../../change/change.ts'
import { operations, RecordCursor } from '../../change/records.ts'
import type { Enricher, RowMapper, Work } from '../../document/enricher.ts'
import { Entries } from '../../log/log.ts'
import type { Operation } from '../../sink/sink.ts'
import type { Source } from '../../source/source.ts'
import { chunkRecords } from '../capture/chunk-records.ts'
import type { Captured } from '../capture/captured.ts'
import type { Clock } from '../clock.ts'
import type { Observe } from '../facts.ts'
import { keepPace, Pace } from '../pace.ts'

export interface LookUpParts {
  readonly group: string
  /** `schema.table`. */
  readonly table: string
  readonly mapper: RowMapper
  readonly source: Pick<Source, 'rows'>
  /** How far the log reaches in the source: asked after an entry was read, it includes that entry. */
  readonly position: () => Position
  readonly confirmed: Captured['confirmed']
  readonly clock: Clock
  readonly observe: Observe
  /** 0 = without a bound. */
  readonly rowsPerSecond: number
}

/** Keys in one statement. */
const keysMax = 500

/** Its calls throw a Failure as `Source.rows` does. */
export function lookingUp(parts: LookUpParts): Enricher {
  const { mapper, clock, rowsPerSecond } = parts
  const pace = new Pace(rowsPerSecond)
  return completing({
    mapper,
    keysMax,
    seeksTouched: true,
    find: async ({ keys }, signal) => {
      await keepPace(pace, keys.length, clock, signal)
      return await lookUp(parts, keys, signal)
    },
  })
}

/** Keys as the log spells them, and their table as the entries that ask have it. */
interface Asked {
  readonly table: Table
  readonly keys: readonly Key[]
}

/** Finds what each of the keys asks for now, under the version of the entry that asks. */
export type FindOperations = (
  asked: Asked,
  signal: AbortSignal,
) => Promise<(key: Key, version: bigint) => Operation>

/** What entries show themselves, and the rest as it is found, in batches of keys. */
export function completing({
  mapper,
  find,
  keysMax: batchKeys,
  seeksTouched,
}: {
  readonly mapper: RowMapper
  readonly find: FindOperations
  readonly keysMax: number
  /** Whether a row that is touched may have moved unseen. */
  readonly seeksTouched: boolean
}): Enricher {
  return async (entries, signal) => {
    const { works, incomplete, placed } = mapper.map(entries)
    if (incomplete.length === 0) return works
    const { table, askers } = askersOf(entries, incomplete)
    const wanted = [...askers.keys()]
    const found: Work[] = []
    for (let from = 0; from < wanted.length; from += batchKeys) {
      const keys = wanted.slice(from, from + batchKeys)
      const operationOf = await find({ table, keys }, signal)
      for (const key of keys)
        for (const { at, isTouch } of askers.get(key) ?? []) {
          const operation = operationOf(key, entries.version(at))
          const isSought = mapper.isPlaced && placed?.has(at) !== true && (seeksTouched || !isTouch)
          found.push({ at, operation: isSought ? { ...operation, everywhere: true } : operation })
        }
    }
    // The place that a document leaves comes after the one that it comes to.
    return [...found, ...works].toSorted((a, b) => a.at - b.at)
  }
}

/** An entry, by its number. */
interface Asker {
  readonly at: number
  readonly isTouch: boolean
}

/** The entries that ask for each key; they are all of one table. */
function askersOf(
  entries: Entries,
  incomplete: readonly number[],
): { readonly table: Table; readonly askers: ReadonlyMap<Key, readonly Asker[]> } {
  const askers = new Map<Key, Asker[]>()
  const cursor = new RecordCursor(entries.records)
  for (const at of incomplete) {
    cursor.seek(entries.place(at))
    const { key, operation } = cursor
    const asker = { at, isTouch: operation === operations.touch }
    const known = askers.get(key)
    if (known === undefined) askers.set(key, [asker])
    else known.push(asker)
  }
  return { table: cursor.table, askers }
}

/** What each of the keys asks for now, under the version of the entry that asks. */
async function lookUp(
  { source, table: name, mapper, position, confirmed, clock, observe, group }: LookUpParts,
  keys: readonly Key[],
  signal: AbortSignal,
): Promise<(key: Key, version: bigint) => Operation> {
  const startedAtMs = clock.elapsed()
  const { table, rows } = await confirmed(
    () => source.rows({ table: name, keys, includes: position() }, signal),
    signal,
  )
  observe({
    kind: 'looked-up',
    group,
    keys: keys.length,
    found: rows.length,
    queries: 1,
    tookMs: clock.elapsed() - startedAtMs,
  })
  const { works } = mapper.map(Entries.all(chunkRecords(table, rows), { offset: 0, version: 0n }))
  const asked = new Map(Array.from(works, ({ at, operation }) => [rows[at]?.key, operation]))
  // A row that is there may be one that the filter leaves out.
  return (key, version) => {
    const operation = asked.get(key)
    return operation === undefined
      ? mapper.gone(table, key, version)
      : { ...operation, version, repeatable: false }
  }
}
