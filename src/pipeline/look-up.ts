/**
 * Entries that do not show all that their document needs (touches, and rows of which the source left columns out) are
 * completed from the table: the row as it is now, which includes the entry, under the entry's version.
 */
import type { Key, Position, Row } from '../change/change.ts'
import { RecordCursor } from '../change/records.ts'
import type { Enricher, RowMapper, Work } from '../document/enricher.ts'
import { Entries } from '../log/log.ts'
import type { KeyedRows, Source } from '../source/source.ts'
import { chunkRecords } from './chunk-records.ts'
import type { Clock } from './clock.ts'
import type { Observe } from './facts.ts'

export interface LookUpParts {
  readonly group: string
  /** `schema.table`. */
  readonly table: string
  readonly mapper: RowMapper
  readonly source: Pick<Source, 'rows'>
  /** How far the log reaches in the source: asked after an entry was read, it includes that entry. */
  readonly position: () => Position
  readonly clock: Clock
  readonly observe: Observe
  /** 0 = without a bound. */
  readonly rowsPerSecond: number
}

/** Keys in one statement. */
const keysMax = 500

/** Its calls throw a Failure as `Source.rows` does. */
export function lookingUp(parts: LookUpParts): Enricher {
  const { mapper } = parts
  let busyUntilMs = 0
  return async (entries, signal) => {
    const { works, incomplete } = mapper.map(entries)
    if (incomplete.length === 0) return works
    const asked = new Asked(entries, incomplete)
    const found: Work[] = []
    for (let from = 0; from < asked.keys.length; from += keysMax) {
      const keys = asked.keys.slice(from, from + keysMax)
      const waitMs = busyUntilMs - parts.clock.now()
      if (waitMs > 0) await parts.clock.sleep(waitMs, signal)
      for (const work of await lookUp(parts, asked, keys, signal)) found.push(work)
      if (parts.rowsPerSecond > 0)
        busyUntilMs = Math.max(busyUntilMs, parts.clock.now()) + (keys.length / parts.rowsPerSecond) * 1000
    }
    return [...works, ...found].toSorted((a, b) => a.at - b.at)
  }
}

/** The keys of incomplete entries, and the entries that ask for each. */
class Asked {
  readonly entries: Entries
  readonly #byKey = new Map<Key, number[]>()

  constructor(entries: Entries, incomplete: readonly number[]) {
    this.entries = entries
    const cursor = new RecordCursor(entries.records)
    for (const at of incomplete) {
      cursor.seek(entries.places[at] ?? -1)
      const { key } = cursor
      const known = this.#byKey.get(key)
      if (known === undefined) this.#byKey.set(key, [at])
      else known.push(at)
    }
  }

  get keys(): readonly Key[] {
    return [...this.#byKey.keys()]
  }

  /** Numbers of the entries that ask for this key. */
  by(key: Key): readonly number[] {
    return this.#byKey.get(key) ?? []
  }
}

async function lookUp(
  parts: LookUpParts,
  asked: Asked,
  keys: readonly Key[],
  signal: AbortSignal,
): Promise<readonly Work[]> {
  const { source, table: name, position, clock, observe, group } = parts
  const startedAtMs = clock.now()
  const found = await source.rows({ table: name, keys, includes: position() }, signal)
  const rows = new Map(found.rows.map(({ key, row }) => [key, row]))
  observe({
    kind: 'looked-up',
    group,
    keys: keys.length,
    found: rows.size,
    tookMs: clock.now() - startedAtMs,
  })
  return keys.flatMap((key) => worksFor(parts, asked, { table: found.table, key, row: rows.get(key) }))
}

interface FoundRow {
  readonly table: KeyedRows['table']
  readonly key: Key
  /** undefined = it is not there any more. */
  readonly row: Row | undefined
}

function worksFor({ mapper }: LookUpParts, asked: Asked, { table, key, row }: FoundRow): readonly Work[] {
  return asked.by(key).map((at) => {
    const version = asked.entries.version(at)
    const gone = { at, operation: mapper.gone(table, key, version) }
    if (row === undefined) return gone
    const { works } = mapper.map(Entries.all(chunkRecords(table, [{ key, row }]), { offset: 0, version }))
    // A row that is there may be one that the filter leaves out.
    return works[0] === undefined ? gone : { at, operation: { ...works[0].operation, repeatable: false } }
  })
}
