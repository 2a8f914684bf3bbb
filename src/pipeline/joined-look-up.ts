/**
 * Builds documents that hold rows of other tables, by reading: for a batch of root keys one query for the roots and one for
 * each joined table, all at one point in time that includes every entry that asked.
 *
 *   keys ──▶ roots ──▶ children of all of them ──▶ their children ──▶ documents
 */
import type { Key, Position } from '../change/change.ts'
import { keyCells } from '../change/row.ts'
import type { Enricher, JoinedMapper } from '../document/enricher.ts'
import type { RelatedRequest, RelatedRows, Source, View } from '../source/source.ts'
import type { Clock } from './clock.ts'
import type { Observe } from './facts.ts'
import { completing, type FindOperations } from './look-up.ts'
import { keepPace, type Pace } from './pace.ts'
import { distinctValues } from './row-values.ts'
import type { Turnstile } from './turnstile.ts'

export interface JoinedLookUpParts {
  readonly group: string
  readonly mapper: JoinedMapper
  readonly source: Pick<Source, 'view'>
  /** How far the log reaches in the source: asked after an entry was read, it includes that entry. */
  readonly position: () => Position | Promise<Position>
  readonly clock: Clock
  readonly observe: Observe
  /** How many reads may be under way at once; shared with others of the source. */
  readonly turnstile: Turnstile
  /** Queries a second; shared likewise. */
  readonly pace: Pace
  /** Documents in one batch. */
  readonly documentsMax: number
  /** Rows of one table in one batch; beyond it the batch is cut. */
  readonly rowsMax: number
  /** Told of the roots' table as it was read; throws where its documents may not be made. */
  readonly admit: (table: RelatedRows['table']) => Promise<void>
}

/** Its calls throw a Failure as `Source.view` does. */
export function joinedLookUp(parts: JoinedLookUpParts): Enricher {
  const { mapper, documentsMax: keysMax } = parts
  return completing({ mapper, keysMax, find: (asked, signal) => find(parts, asked, signal) })
}

type Asked = Parameters<FindOperations>[0]

const find = async (
  parts: JoinedLookUpParts,
  asked: Asked,
  signal: AbortSignal,
): ReturnType<FindOperations> => {
  const { source, mapper, position, clock, observe, group, turnstile, admit } = parts
  const counted = { queries: 0 }
  const startedAtMs = clock.now()
  const { tables } = mapper
  const batch = await turnstile.pass(
    async () =>
      await source.view(
        { tables, includes: await position() },
        async (view) => await readBatch(parts, view, asked, { counted, signal }),
        signal,
      ),
  )
  if (batch === 'too much') return await inHalves(parts, asked, signal)
  const { roots, found } = batch
  const [keys, queries] = [asked.keys.length, counted.queries]
  observe({
    kind: 'looked-up',
    group,
    keys,
    found: roots.rows.length,
    queries,
    tookMs: clock.now() - startedAtMs,
  })
  await admit(roots.table)
  const operations = new Map(
    mapper.join(roots, found).map((operation, at) => [roots.rows[at]?.key, operation] as const),
  )
  // A row that is there may be one that the filter leaves out.
  return (key, version) => {
    const operation = operations.get(key)
    return operation === undefined ? mapper.gone(roots.table, key, version) : { ...operation, version }
  }
}

interface Reading {
  readonly counted: { queries: number }
  readonly signal: AbortSignal
}

async function readBatch(
  { mapper, pace, clock, rowsMax: wanted }: JoinedLookUpParts,
  view: View,
  { table, keys }: Asked,
  { counted, signal }: Reading,
): Promise<{ readonly roots: RelatedRows; readonly found: readonly RelatedRows[] } | 'too much'> {
  const related = async (request: RelatedRequest): Promise<RelatedRows> => {
    await keepPace(pace, 1, clock, signal)
    counted.queries++
    return await view.related(request, signal)
  }
  const keyColumns = table.key.map((at) => table.columns[at]?.name ?? '')
  const all = await related({
    table: table.name,
    columns: undefined,
    by: keyColumns,
    values: keys.map((key) => keyCells(key).map((cell) => cell ?? 'null')),
    marks: mapper.rootMarks,
    order: [],
    // A key that the server takes for equal may be spelled differently, but there is one row of each.
    rowsMax: keys.length,
  })
  const roots = mapper.filter(all)
  // What one document takes, it takes.
  const rowsMax = keys.length > 1 ? wanted : everyRow
  if (mapper.query !== undefined) {
    if (roots.rows.length === 0) return { roots, found: [] }
    await keepPace(pace, 1, clock, signal)
    counted.queries++
    const question = { sql: mapper.query, table: table.name, by: keyColumns, keyLength: keyColumns.length }
    const values = roots.rows.map(({ key }) => keyCells(key).map((cell) => cell ?? 'null'))
    return { roots, found: [await view.answers({ ...question, values }, signal)] }
  }
  const found: RelatedRows[] = []
  for (const read of mapper.reads) {
    const parents = read.parent === undefined ? roots : found[read.parent]
    if (parents === undefined) throw new Error('a join is read before its parent')
    const values = distinctValues(parents.table, parents.rows, read.parentColumns)
    const rows = values.length === 0 ? noRows(read.table) : await related({ ...read, values, rowsMax })
    if (rows.rows.length === rowsMax) return 'too much'
    found.push(rows)
  }
  return { roots, found }
}

const everyRow = 1_000_000_000

function noRows(name: string): RelatedRows {
  return { table: { name, columns: [], key: [] }, rows: [] }
}

async function inHalves(
  parts: JoinedLookUpParts,
  { table, keys }: Asked,
  signal: AbortSignal,
): ReturnType<FindOperations> {
  const middle = keys.length >> 1
  const first = new Set<Key>(keys.slice(0, middle))
  const left = await find(parts, { table, keys: keys.slice(0, middle) }, signal)
  const right = await find(parts, { table, keys: keys.slice(middle) }, signal)
  return (key, version) => (first.has(key) ? left : right)(key, version)
}
