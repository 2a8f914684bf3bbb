/**
 * What a group does at a barrier. Each lane comes to it with everything before it finished. Where the barrier's statement
 * left no rows, the lane deletes every document that is older than the barrier, and goes on: nothing is read.
 *
 *   lane 0   ... finished ─┐ pass (refresh, scan, delete with the barrier's version) ── what comes after
 *   lane 1   ........ finished ─┐ waits ─ pass ── what comes after       lanes that came meanwhile share one pass
 *   lane 2   ....... finished ──┘
 *
 * Where a foreign key changed rows, the documents with one of its values are found in the index, and their keys touched: each
 * row is read when its touch comes, behind the barrier, and its document written anew or deleted.
 *
 * A pass deletes documents of lanes that are not there yet, too: their rows are gone as well, and what they still write
 * below the barrier is found stale, or by the pass that they come to themselves.
 */
import type { Barrier, Cascade, Condition, Key, Table } from '../../change/change.ts'
import { parseDigits } from '../../change/exact-json.ts'
import { Failure } from '../../change/failure.ts'
import { keyFrom } from '../../change/key.ts'
import type { NumberedBarrier } from '../../log/log.ts'
import type { ScanOptions, StoredDocument } from '../../sink/sink.ts'
import type { Observe } from '../facts.ts'
import { sweep, type SweepParts } from '../load/sweep.ts'
import type { TouchRequest } from '../capture/touches.ts'

/** What a group's documents are made of, as far as barriers care. */
export interface Barred {
  /** `schema.table`, whose rows are the group's documents. */
  readonly table: string
  /** Whether documents of rows with a value in this column can be found by it, and their keys be seen. */
  readonly findsBy?: (cascade: Cascade) => boolean
}

export interface BarriersParts extends SweepParts, Barred {
  readonly group: string
  readonly observe: Observe
  /** The table as it is now; there where `findsBy` is. */
  readonly describe?: () => Promise<Table>
  readonly touch: (request: TouchRequest, signal: AbortSignal) => Promise<unknown>
  /** Has the table read again, unless that was asked for since the barrier. */
  readonly reread: (barrier: NumberedBarrier) => Promise<void>
}

/** Whether the lanes of a group deal with a barrier; otherwise its table is read again. */
export function isDealtWith({ effect, table }: Barrier, barred: Barred): boolean {
  if (effect === undefined || table !== barred.table) return false
  return effect.kind === 'emptied' || (effect.kind === 'cascade' && barred.findsBy?.(effect) === true)
}

export class Barriers {
  readonly #parts: BarriersParts
  #last: Promise<void> = Promise.resolve()
  /** By version: the pass that has not begun. */
  readonly #waiting = new Map<bigint, Promise<void>>()

  constructor(parts: BarriersParts) {
    this.#parts = parts
  }

  /** A lane has finished everything before the barrier; it may go on when this resolves. Throws a Failure as a Sink does. */
  async pass(barrier: NumberedBarrier, signal: AbortSignal): Promise<void> {
    const { effect } = barrier
    if (!isDealtWith(barrier, this.#parts)) return
    await this.#together(barrier.version, () =>
      effect?.kind === 'cascade' ? this.#touch(barrier, effect, signal) : this.#empty(barrier, signal),
    )
  }

  /** One pass at a time; those who come to a barrier while another pass is under way share the next. */
  #together(version: bigint, work: () => Promise<void>): Promise<void> {
    const waiting = this.#waiting.get(version)
    if (waiting !== undefined) return waiting
    const pass = this.#last
      .catch(() => undefined)
      .then(() => {
        this.#waiting.delete(version)
        return work()
      })
    this.#waiting.set(version, pass)
    this.#last = pass
    return pass
  }

  async #empty({ version, table, statement }: NumberedBarrier, signal: AbortSignal): Promise<void> {
    const { group, observe } = this.#parts
    const { scanned, deleted } = await sweep(
      this.#parts,
      { below: version + 1n, keepsRefused: false },
      signal,
    )
    observe({ kind: 'emptied', group, table, statement, scanned, deleted })
  }

  async #touch(barrier: NumberedBarrier, cascade: Cascade, signal: AbortSignal): Promise<void> {
    const { group, describe, index, letters, touch, observe, reread } = this.#parts
    if (describe === undefined) return await reread(barrier)
    const table = await describe()
    const where = conditionsIn(table, cascade)
    if (where === undefined) return await reread(barrier)
    const keys = new Set<Key>()
    await index.refresh()
    try {
      for await (const page of index.scan({ source: true, where }, signal)) {
        const meant = page.map(shownBy).filter((shown) => where.every((each) => mayBeMeant(shown, each)))
        for (const shown of meant) keys.add(keyShown(table, shown))
      }
      // What was refused may have no document, or an older one.
      for (const key of await letters.keys()) keys.add(keyFrom(table, key))
    } catch (error) {
      if (error instanceof Failure && error.kind === 'configuration') return await reread(barrier)
      throw error
    }
    await touch({ table, keys, addressee: group }, signal)
    const { statement } = barrier
    observe({ kind: 'cascaded', group, table: table.name, statement, keys: keys.size })
  }
}

type Shown = Readonly<Record<string, unknown>>

/** Numbers stay the text that they are: parsed ones would lose digits. */
function shownBy({ source = '{}' }: StoredDocument): Shown {
  return parseDigits(source) as Shown
}

type FieldCondition = NonNullable<ScanOptions['where']>[number]

/** undefined = the table, as it is now, has other columns. */
function conditionsIn(
  { columns }: Table,
  { also = [], ...first }: Cascade,
): readonly FieldCondition[] | undefined {
  const found = [first, ...also].flatMap(({ column, type, values }: Condition) => {
    const own = columns.find(({ name }) => name.toLowerCase() === column.toLowerCase())
    const isSame = type === undefined ? own?.kind === 'integer' : own?.type === type
    return own !== undefined && isSame ? [{ field: own.name, anyOf: values }] : []
  })
  return found.length === also.length + 1 ? found : undefined
}

/** A document that does not show the column at all was made before it did. */
function mayBeMeant(shown: Shown, { field, anyOf }: FieldCondition): boolean {
  const value = shown[field]
  if (value === undefined) return true
  return typeof value === 'string' && (anyOf.includes(value) || anyOf.includes(JSON.stringify(value)))
}

/** Throws a Failure of kind `configuration` where the document does not show its row's key. */
function keyShown(table: Table, shown: Shown): Key {
  return keyFrom(table, JSON.stringify(table.key.map((at) => shown[table.columns[at]?.name ?? ''] ?? null)))
}
