/**
 * What the log holds of changes that the source took back: the rows concerned, which are to be read again.
 *
 *   log   ... both have │ the first that is undone ............ │ end
 *                       └ from here on every key is touched ────┘
 *
 * What comes behind the first undone change is touched with it, be it undone or not: that costs a read and is never wrong.
 */
import type { Key, Offset, Table } from '../../change/change.ts'
import { operations, recordHeadBytes, type Records } from '../../change/records.ts'
import { Failure, type Divergence } from '../../change/failure.ts'
import type { Control, LogAdmin } from '../../log/log.ts'
import { positionIn } from './appender.ts'
import { touchRecords } from './touches.ts'

export interface Undone {
  /** One of each row. */
  readonly touches: readonly Records[]
  readonly keys: number
  /** Groups whose loads put rows there: of tables, maybe, whose changes the log had not held before. */
  readonly loaded: ReadonlySet<string>
}

export type UndoneLog = Pick<LogAdmin, 'appendAt' | 'range' | 'retention'>

interface Loss {
  /** The log's last control record. */
  readonly control: Control
  readonly producer: string
  readonly undoes: NonNullable<Divergence['undoes']>
}

/** Touches are one append. */
const touchBytesMax = 4 * 2 ** 20

/** undefined = the log does not hold them all, or not as rows: then every table is to be read again. */
export async function undoneIn(log: UndoneLog, loss: Loss): Promise<Undone | undefined> {
  try {
    const from = await firstUndone(log, loss)
    return from === undefined ? undefined : await undoneFrom(log, from)
  } catch (error) {
    // Retention may take it while it is looked at.
    if (error instanceof Failure && error.kind === 'lost') return undefined
    throw error
  }
}

async function undoneFrom(log: UndoneLog, from: Offset): Promise<Undone | undefined> {
  const gathering = new Gathering()
  const { next } = await log.retention()
  for await (const { records, offset, addressee, barriers } of log.range(from, next)) {
    if (offset < from) continue
    if (barriers.length > 0) return undefined
    gathering.add(records, addressee)
    if (gathering.bytes > touchBytesMax) return undefined
  }
  return gathering.finish()
}

/**
 * The offset behind the last append that nothing of is undone; undefined = that one is not kept any more, or is of an earlier
 * epoch, whose positions may be of a history that was left before.
 */
async function firstUndone(log: UndoneLog, { control, producer, undoes }: Loss): Promise<Offset | undefined> {
  let before: Control | undefined
  const reached = (found: Control): boolean => {
    const position = positionIn(found, producer)
    const isReached =
      found.epoch > control.epoch ||
      (found.epoch === control.epoch && position !== undefined && undoes(position))
    if (!isReached) before = found
    return isReached
  }
  const append = await log.appendAt({ kind: 'control', reached })
  return before?.epoch === control.epoch ? append?.first : undefined
}

class Gathering {
  bytes = 0
  readonly #tables = new Map<string, { table: Table; readonly keys: Set<Key> }>()
  readonly #loaded = new Set<string>()

  add(records: Records, addressee: string | undefined): void {
    for (const cursor = records.cursor(); cursor.next();) {
      if (addressee === undefined) this.#add(cursor.table, cursor.key)
      else if (cursor.operation === operations.read) this.#loaded.add(addressee)
    }
  }

  finish(): Undone {
    const found = [...this.#tables.values()]
    return {
      touches: found.map(({ table, keys }) => touchRecords(table, [...keys])),
      keys: found.reduce((sum, { keys }) => sum + keys.size, 0),
      loaded: this.#loaded,
    }
  }

  #add(table: Table, key: Key): void {
    const known = this.#tables.get(table.name) ?? { table, keys: new Set<Key>() }
    known.table = table
    this.#tables.set(table.name, known)
    if (known.keys.has(key)) return
    known.keys.add(key)
    this.bytes += recordHeadBytes + key.length
  }
}
