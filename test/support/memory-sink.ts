/**
 * An index in memory that keeps a search server's promises, and breaks down as one does: the higher version wins, deletes
 * leave a version behind that can be forgotten, scans see what was refreshed, and an index that is gone is gone.
 */
import { randomUUID } from 'node:crypto'
import { Failure, type FailureKind } from '../../src/change/failure.ts'
import {
  textOfBody,
  type IndexAdmin,
  type IndexMark,
  type IndexState,
  type Operation,
  type Outcome,
  type ScanOptions,
  type Sink,
  type StoredDocument,
} from '../../src/sink/sink.ts'
import { bodyOf } from './bodies.ts'

/** What happens to one call of `write`. */
export type Fault =
  /** Nothing is written, and the caller is told so. */
  | { readonly kind: 'refused'; readonly failure: FailureKind }
  /** All is written; the answer gets lost. */
  | { readonly kind: 'lost' }
  /** The first so many operations are written; for the rest there was no room. */
  | { readonly kind: 'partial'; readonly written: number }
  /** Written and answered only when the promise resolves. */
  | { readonly kind: 'late'; readonly until: Promise<void> }
  /** Written at once; answered when the promise resolves. */
  | { readonly kind: 'slow'; readonly until: Promise<void> }
  /** The caller gives up at once; the request arrives when the promise resolves. */
  | { readonly kind: 'stray'; readonly until: Promise<void> }

export interface MemoryIndexOptions {
  readonly alias?: string
  readonly pageSize?: number
  /** Why a document can never be written; undefined = it can. */
  readonly refusal?: (body: string) => string | undefined
}

interface Stored {
  readonly version: bigint
  readonly routing: string | undefined
  /** undefined = deleted. */
  readonly body: string | undefined
}

interface Index {
  readonly name: string
  readonly uuid: string
  mark: IndexMark | undefined
  /** What is there, and the versions of what was deleted. */
  readonly now: Map<string, Stored>
  /** What a search finds. */
  searchable: ReadonlyMap<string, Stored>
}

export class MemoryIndex implements IndexAdmin {
  /** Asked at each write; for tests and simulations to set. */
  fault: (operations: readonly Operation[]) => Fault | undefined = () => undefined
  /** What `reconcile` answers. */
  differences: readonly string[] = []
  readonly #options: Required<MemoryIndexOptions>
  #index: Index | undefined
  #made = 0

  constructor(options: MemoryIndexOptions = {}) {
    this.#options = { alias: 'memory', pageSize: 1000, refusal: () => undefined, ...options }
  }

  /** A sink that writes to this very index. */
  sinkFor(state: Pick<IndexState, 'uuid'>): Sink {
    return { write: async (operations, signal) => await this.#write(state.uuid, [...operations], signal) }
  }

  async inspect(): Promise<IndexState | undefined> {
    return this.#index === undefined ? undefined : stateOf(this.#index)
  }

  async create(mark: IndexMark): Promise<IndexState> {
    if (this.#index !== undefined) throw new Failure('target', `${this.#options.alias} exists`)
    this.#made++
    const name = `${this.#options.alias}-${String(this.#made).padStart(6, '0')}`
    this.#index = { name, uuid: randomUUID(), mark, now: new Map(), searchable: new Map() }
    return stateOf(this.#index)
  }

  async reconcile(): Promise<readonly string[]> {
    this.#existing()
    return this.differences
  }

  async mark(mark: IndexMark): Promise<void> {
    this.#existing().mark = mark
  }

  async refresh(): Promise<void> {
    const index = this.#existing()
    index.searchable = new Map([...index.now].filter(([, { body }]) => body !== undefined))
  }

  async *scan({ source, where }: ScanOptions, signal: AbortSignal): AsyncIterable<readonly StoredDocument[]> {
    const all = [...this.#existing().searchable].filter(([, { body }]) => fits(body, where))
    for (let first = 0; first < all.length; first += this.#options.pageSize) {
      signal.throwIfAborted()
      yield all
        .slice(first, first + this.#options.pageSize)
        .map(([id, stored]) => documentOf(id, stored, source))
    }
  }

  async get(ids: readonly { id: string }[]): Promise<readonly StoredDocument[]> {
    const { now } = this.#existing()
    return ids.flatMap(({ id }) => {
      const stored = now.get(id)
      return stored?.body === undefined ? [] : [documentOf(id, stored, true)]
    })
  }

  /** Everything that is there now, searchable or not, as text. */
  documents(): ReadonlyMap<string, { readonly version: bigint; readonly source: string }> {
    const documents = new Map<string, { version: bigint; source: string }>()
    for (const [id, { version, body }] of this.#index?.now ?? []) {
      if (body !== undefined) documents.set(id, { version, source: body })
    }
    return documents
  }

  /** Somebody else writes a document, without our versions. */
  intrude(id: string, source: string, version = 1n): void {
    this.#existing().now.set(id, { version, routing: undefined, body: source })
  }

  /** The index is deleted. */
  drop(): void {
    this.#index = undefined
  }

  /** The alias gets another index, with the same mark and the documents given. */
  replace(
    documents: ReadonlyMap<string, { readonly version: bigint; readonly source: string }> = new Map(),
  ): void {
    const mark = this.#index?.mark
    this.#made++
    const now = new Map<string, Stored>()
    for (const [id, { version, source }] of documents)
      now.set(id, { version, routing: undefined, body: source })
    const name = `${this.#options.alias}-${String(this.#made).padStart(6, '0')}`
    this.#index = { name, uuid: randomUUID(), mark, now, searchable: new Map(now) }
  }

  /** The versions of deleted documents are forgotten, as after `gc_deletes`, a restart, a relocation. */
  forgetDeletes(): void {
    const now = this.#index?.now ?? new Map<string, Stored>()
    for (const [id, { body }] of now) if (body === undefined) now.delete(id)
  }

  async #write(
    uuid: string,
    operations: readonly Operation[],
    signal: AbortSignal,
  ): Promise<readonly Outcome[]> {
    signal.throwIfAborted()
    const fault = this.fault(operations)
    if (fault === undefined) return this.#apply(uuid, operations)
    if (fault.kind === 'refused') throw new Failure(fault.failure, 'the target refused the request')
    if (fault.kind === 'stray') {
      // Nobody waits for it; where the index has gone meanwhile, nothing comes of it.
      const sent = operations.map(asSent)
      void fault.until.then(() => (this.#index?.uuid === uuid ? this.#apply(uuid, sent) : []))
      throw new Failure('transient', 'no answer in time')
    }
    if (fault.kind === 'late') await orAborted(fault.until, signal)
    const written = fault.kind === 'partial' ? fault.written : operations.length
    const outcomes = this.#apply(uuid, operations.slice(0, written))
    if (fault.kind === 'lost') throw new Failure('transient', 'the answer got lost')
    if (fault.kind === 'slow') await orAborted(fault.until, signal)
    const refused = operations.slice(written).map((): Outcome => ({ kind: 'busy', reason: 'no room' }))
    return [...outcomes, ...refused]
  }

  #apply(uuid: string, operations: readonly Operation[]): readonly Outcome[] {
    const index = this.#existing()
    if (index.uuid !== uuid)
      throw new Failure('target', `${this.#options.alias} is not the index that was filled`, {
        remedy: 'restore it, or let the pipeline load the new one',
      })
    return operations.map((operation) => this.#applyOne(index, operation))
  }

  #applyOne({ now }: Index, { id, version, routing, repeatable, ...operation }: Operation): Outcome {
    const body = operation.body === undefined ? undefined : textOfBody(operation.body)
    const reason = body === undefined ? undefined : this.#options.refusal(body)
    if (reason !== undefined) return { kind: 'rejected', reason, fingerprint: reason.replace(/: .*$/s, '') }
    const stored = now.get(id)?.version
    if (stored !== undefined && (stored > version || (stored === version && !repeatable)))
      return { kind: 'stale', stored }
    now.set(id, { version, routing, body })
    return { kind: 'applied' }
  }

  #existing(): Index {
    if (this.#index !== undefined) return this.#index
    throw new Failure('target', `there is no index behind ${this.#options.alias}`, { remedy: 'load it anew' })
  }
}

/** As bytes on their way: what the document was made from may be overwritten when the call has ended. */
function asSent(operation: Operation): Operation {
  return operation.op === 'delete' ? operation : { ...operation, body: bodyOf(textOfBody(operation.body)) }
}

function stateOf({ name, uuid, searchable, mark }: Index): IndexState {
  return { name, uuid, documents: searchable.size, mark }
}

function documentOf(id: string, { version, routing, body }: Stored, source: boolean): StoredDocument {
  return { id, version, routing, source: source && body !== undefined ? body : undefined }
}

function fits(body: string | undefined, where: ScanOptions['where']): boolean {
  if (where === undefined || body === undefined) return true
  const shown = JSON.parse(body) as Readonly<Record<string, unknown>>
  return where.every(({ field, anyOf }) => {
    const value = shown[field] ?? null
    return value === null || anyOf.includes(JSON.stringify(value))
  })
}

async function orAborted(until: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([until, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
