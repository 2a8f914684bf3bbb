/**
 * At rest: does the index hold exactly the documents of the table? The table is read chunk by chunk and each row's document
 * held against the stored one; documents that no row accounts for are found by the hashes of the ids seen. Differences
 * are looked at twice, so that a change that was under way is not reported.
 */
import type { Key } from '../../change/change.ts'
import type { Enricher } from '../../document/enricher.ts'
import { Entries } from '../../log/log.ts'
import { textOfBody, type IndexAdmin, type Remark, type StoredDocument } from '../../sink/sink.ts'
import type { Chunk, Source } from '../../source/source.ts'
import { chunkRecords } from '../capture/chunk-records.ts'
import { compareDocuments } from './compare-documents.ts'

export type Difference =
  | { readonly kind: 'missing'; readonly id: string }
  | { readonly kind: 'orphan'; readonly id: string }
  | { readonly kind: 'different'; readonly id: string; readonly fields: readonly string[] }
  /** What the document should be cannot be told: it could not be made, or not whole. */
  | { readonly kind: 'unmade'; readonly id: string; readonly reason: string }

export interface VerifyParts {
  readonly table: string
  readonly source: Source
  readonly index: IndexAdmin
  readonly enrich: Enricher
  /** Whether the order of lists in documents means anything. */
  readonly lists: 'ordered' | 'unordered'
  readonly chunkRows: number
  readonly chunkBytes: number
  /** Ids that are remembered in one pass; a larger table takes several passes to find orphans. */
  readonly idsMax: number
  readonly rowsEstimate: number
  readonly progress: (done: { readonly rows: number; readonly documents: number }) => void
}

export interface VerifySummary {
  readonly rows: number
  readonly documents: number
}

/** Yields each difference; returns what was looked at. */
export async function* verify(
  parts: VerifyParts,
  signal: AbortSignal,
): AsyncGenerator<Difference, VerifySummary> {
  await parts.index.refresh()
  const shares = Math.max(1, Math.ceil(parts.rowsEstimate / parts.idsMax))
  const done = { rows: 0, documents: 0 }
  for (let share = 0; share < shares; share++) {
    const ids = new IdSet(share, shares)
    yield* walkTable(parts, ids, done, signal)
    yield* walkIndex(parts, ids, done, signal)
  }
  return { rows: done.rows / shares, documents: done.documents / shares }
}

interface Done {
  rows: number
  documents: number
}

/** Notes every id; holds the documents of this share against the stored ones. */
async function* walkTable(
  parts: VerifyParts,
  ids: IdSet,
  done: Done,
  signal: AbortSignal,
): AsyncGenerator<Difference> {
  for await (const page of chunks(parts, signal)) {
    const documents = await expectedDocuments(parts, page.chunk, signal)
    for (const id of documents.keys()) if (!ids.add(id)) documents.delete(id)
    yield* await differencesIn(parts, page, documents, signal)
    done.rows += page.chunk.rows.length
    parts.progress(done)
  }
}

async function* walkIndex(
  parts: VerifyParts,
  ids: IdSet,
  done: Done,
  signal: AbortSignal,
): AsyncGenerator<Difference> {
  for await (const page of parts.index.scan({ source: false }, signal)) {
    for (const { id } of page.filter((document) => ids.lacks(document.id))) yield { kind: 'orphan', id }
    done.documents += page.length
    parts.progress(done)
  }
}

interface Page {
  readonly after: Key | undefined
  readonly chunk: Chunk
}

async function* chunks(parts: VerifyParts, signal: AbortSignal): AsyncGenerator<Page> {
  for (let after: Key | undefined; ;) {
    const chunk = await read(parts, after, parts.chunkRows, signal)
    if (chunk.rows.length === 0) return
    yield { after, chunk }
    after = chunk.last
  }
}

async function read(
  { table, source, chunkBytes: bytesMax }: VerifyParts,
  after: Key | undefined,
  rowsMax: number,
  signal: AbortSignal,
): Promise<Chunk> {
  const includes = await source.head()
  return await source.chunk({ table, after, rowsMax, bytesMax, includes }, signal)
}

interface Expected {
  readonly text: string
  readonly routing: string | undefined
  /** Why it is not what it should be. */
  readonly remark: Remark | undefined
}

async function expectedDocuments(
  { enrich }: VerifyParts,
  chunk: Chunk,
  signal: AbortSignal,
): Promise<Map<string, Expected>> {
  const documents = new Map<string, Expected>()
  // As if a log had the rows; the versions do not matter.
  const entries = Entries.all(chunkRecords(chunk.table, chunk.rows), { offset: 0, version: 0n })
  for (const { operation } of await enrich(entries, signal))
    if (operation.op === 'index') {
      const { id, routing, remark } = operation
      documents.set(id, { text: textOfBody(operation.body), routing, remark })
    }
  return documents
}

/** What differs, and still differs when the rows are read once more. */
async function differencesIn(
  parts: VerifyParts,
  { after, chunk }: Page,
  expected: ReadonlyMap<string, Expected>,
  signal: AbortSignal,
): Promise<readonly Difference[]> {
  const doubted = new Set((await differences(parts, expected)).map(({ id }) => id))
  if (doubted.size === 0) return []
  await parts.index.refresh()
  const again = await expectedDocuments(parts, await read(parts, after, chunk.rows.length, signal), signal)
  return await differences(parts, new Map([...again].filter(([id]) => doubted.has(id))))
}

async function differences(
  { index, lists }: VerifyParts,
  expected: ReadonlyMap<string, Expected>,
): Promise<Difference[]> {
  const ids = [...expected].map(([id, { routing }]) => ({ id, routing }))
  const stored = new Map<string, StoredDocument>()
  for (const document of await index.get(ids)) stored.set(document.id, document)
  const found: Difference[] = []
  for (const [id, { text, remark }] of expected) {
    if (remark !== undefined) {
      found.push({ kind: 'unmade', id, reason: remark.reason })
      continue
    }
    const document = stored.get(id)
    if (document?.source === undefined) {
      found.push({ kind: 'missing', id })
      continue
    }
    const fields = compareDocuments(text, document.source, lists)
    if (fields.length > 0) found.push({ kind: 'different', id, fields })
  }
  return found
}

/** The ids of one share of all, by hash: 48 bits tell them apart well enough to find strangers. */
class IdSet {
  readonly #hashes = new Set<number>()
  readonly #share: number
  readonly #shares: number

  constructor(share: number, shares: number) {
    this.#share = share
    this.#shares = shares
  }

  /** Whether the id belongs to this share. */
  add(id: string): boolean {
    const hash = hashOf(id)
    const ours = hash % this.#shares === this.#share
    if (ours) this.#hashes.add(hash)
    return ours
  }

  lacks(id: string): boolean {
    const hash = hashOf(id)
    return hash % this.#shares === this.#share && !this.#hashes.has(hash)
  }
}

/** Two 26-bit FNV-1a hashes with different seeds side by side. */
function hashOf(id: string): number {
  let [low, high] = [0x811c9dc5, 0x01000193]
  for (let at = 0; at < id.length; at++) {
    const code = id.charCodeAt(at)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ (code + 1), 0x01000197)
  }
  return ((low >>> 6) * 2 ** 26 + (high >>> 6)) % 2 ** 52
}
