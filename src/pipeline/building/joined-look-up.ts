/**
 * Builds documents that hold rows of other tables, by reading: for a batch of root keys one query for the roots and one for
 * each joined table, all at one point in time that includes every entry that asked.
 *
 *   keys ──▶ roots ──▶ children of all of them ──▶ their children ──▶ documents
 */
import type { Key, Position } from '../../change/change.ts'
import { keyCells } from '../../change/row.ts'
import type { Enricher, JoinedMapper } from '../../document/enricher.ts'
import type { Operation } from '../../sink/sink.ts'
import type {
  AnswersRequest,
  Question,
  RelatedRequest,
  RelatedRows,
  Source,
  View,
} from '../../source/source.ts'
import type { Captured } from '../capture/captured.ts'
import type { Clock } from '../clock.ts'
import type { Observe } from '../facts.ts'
import { completing, type FindOperations } from './look-up.ts'
import { keepPace, type Pace } from '../pace.ts'
import { distinctValues } from './row-values.ts'
import type { Turnstile } from './turnstile.ts'

export interface JoinedLookUpParts {
  readonly group: string
  readonly mapper: JoinedMapper
  readonly source: Pick<Source, 'view'>
  /** How far the log reaches in the source: asked after an entry was read, it includes that entry. */
  readonly position: () => Position | Promise<Position>
  readonly confirmed: Captured['confirmed']
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
  /** Bytes of all rows in one batch; beyond it the batch is cut, and one document alone is refused. */
  readonly bytesMax: number
  /** Told of the roots' table as it was read; throws where its documents may not be made. */
  readonly admit: (table: RelatedRows['table']) => Promise<void>
}

/** Its calls throw a Failure as `Source.view` does. */
export function joinedLookUp(parts: JoinedLookUpParts): Enricher {
  const { mapper, documentsMax: keysMax } = parts
  return completing({
    mapper,
    keysMax,
    // Most touches come of changes of other tables. Where a root may have moved unseen its table is read again, and swept.
    seeksTouched: false,
    find: (asked, signal) => find(parts, asked, signal),
  })
}

type Asked = Parameters<FindOperations>[0]

const find = async (
  parts: JoinedLookUpParts,
  asked: Asked,
  signal: AbortSignal,
): ReturnType<FindOperations> => {
  const { mapper, clock, observe, group, admit, confirmed } = parts
  const counted = { queries: 0, bytesLeft: parts.bytesMax }
  const startedAtMs = clock.elapsed()
  const reading = { counted, signal }
  const { batch } = await confirmed(() => readAtOnce(parts, asked, reading), signal)
  if (batch === 'too much') return await inHalves(parts, asked, signal)
  const { roots } = batch
  const [keys, queries] = [asked.keys.length, counted.queries]
  observe({
    kind: 'looked-up',
    group,
    keys,
    found: roots.rows.length,
    queries,
    tookMs: clock.elapsed() - startedAtMs,
  })
  await admit(roots.table)
  const made = 'found' in batch ? mapper.join(roots, batch.found) : mapper.bare(roots).map(tooLarge)
  const operations = new Map(made.map((operation, at) => [roots.rows[at]?.key, operation] as const))
  // A row that is there may be one that the filter leaves out.
  return (key, version) => {
    const operation = operations.get(key)
    return operation === undefined ? mapper.gone(roots.table, key, version) : { ...operation, version }
  }
}

/** What was read for a batch; without `found`, one document that takes more than a batch may. */
type Batch =
  | { readonly roots: RelatedRows; readonly found: readonly RelatedRows[] }
  | { readonly roots: RelatedRows }

function tooLarge(operation: Operation): Operation {
  const reason = 'what belongs to this document takes more than documents.batchMb'
  return { ...operation, remark: { kind: 'refused', reason, fingerprint: reason } }
}

/** And what the server had executed by then. */
async function readAtOnce(
  parts: JoinedLookUpParts,
  asked: Asked,
  reading: Reading,
): Promise<{ readonly batch: Awaited<ReturnType<typeof readBatch>>; readonly head: Position }> {
  const { source, mapper, position, turnstile } = parts
  return await turnstile.pass(
    async () =>
      await source.view(
        { tables: mapper.tables, includes: await position() },
        async (view) => ({ batch: await readBatch(parts, view, asked, reading), head: await view.head() }),
        reading.signal,
      ),
  )
}

interface Reading {
  readonly counted: { queries: number; bytesLeft: number }
  readonly signal: AbortSignal
}

async function readBatch(
  parts: JoinedLookUpParts,
  view: View,
  { table, keys }: Asked,
  reading: Reading,
): Promise<Batch | 'too much'> {
  const { mapper } = parts
  const by = table.key.map((at) => table.columns[at]?.name ?? '')
  const related = bounded(parts, reading, (request: RelatedRequest) => view.related(request, reading.signal))
  const all = await related({
    table: table.name,
    columns: undefined,
    by,
    values: valuesOf(keys),
    marks: mapper.rootMarks,
    order: [],
    // A key that the server takes for equal may be spelled differently, but there is one row of each.
    rowsMax: keys.length,
  })
  const roots = mapper.filter(all)
  // What one document takes, it takes, within the bytes of a batch.
  const rowsMax = keys.length > 1 ? parts.rowsMax : everyRow
  const answers = bounded(parts, reading, (request: AnswersRequest) => view.answers(request, reading.signal))
  const found = isCut(all)
    ? 'too much'
    : mapper.query === undefined
      ? await readJoins(mapper, roots, related, rowsMax)
      : await readAnswers({ sql: mapper.query, table: table.name, by, keyLength: by.length }, roots, answers)
  if (found !== 'too much') return { roots, found }
  return keys.length > 1 ? 'too much' : { roots }
}

type Ask<Request> = (request: Request) => Promise<RelatedRows>

async function readJoins(
  { reads }: JoinedMapper,
  roots: RelatedRows,
  related: Ask<RelatedRequest>,
  rowsMax: number,
): Promise<readonly RelatedRows[] | 'too much'> {
  const found: RelatedRows[] = []
  for (const read of reads) {
    const parents = read.parent === undefined ? roots : found[read.parent]
    if (parents === undefined) throw new Error('a join is read before its parent')
    const values = distinctValues(parents.table, parents.rows, read.parentColumns)
    const rows = values.length === 0 ? noRows(read.table) : await related({ ...read, values, rowsMax })
    if (isCut(rows) || rows.rows.length === rowsMax) return 'too much'
    found.push(rows)
  }
  return found
}

async function readAnswers(
  question: Question,
  roots: RelatedRows,
  answers: Ask<AnswersRequest>,
): Promise<readonly RelatedRows[] | 'too much'> {
  if (roots.rows.length === 0) return []
  const answer = await answers({ ...question, values: valuesOf(roots.rows.map(({ key }) => key)) })
  return isCut(answer) ? 'too much' : [answer]
}

function isCut(rows: RelatedRows): boolean {
  return rows.isCut === true
}

function valuesOf(keys: readonly Key[]): RelatedRequest['values'] {
  return keys.map((key) => keyCells(key).map((cell) => cell ?? 'null'))
}

/** Asks at the pace of the source, for no more bytes than the batch has left. */
function bounded<Request>(
  { pace, clock }: JoinedLookUpParts,
  reading: Reading,
  ask: (request: Request & { readonly bytesMax: number }) => Promise<RelatedRows>,
): Ask<Request> {
  return async (request) => {
    await keepPace(pace, 1, clock, reading.signal)
    reading.counted.queries++
    const found = await ask({ ...request, bytesMax: Math.max(0, reading.counted.bytesLeft) })
    reading.counted.bytesLeft -= found.bytes ?? 0
    return found
  }
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
