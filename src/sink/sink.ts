/** Where documents go. */
import type { List } from '../change/list.ts'

/** A document as JSON in UTF-8 without line breaks; it is made where it is wanted, as often as it is wanted. */
export interface Body {
  /** It takes at most so many bytes. */
  readonly bytesMax: number
  /** Writes the document where the target has room for it, and returns where it ends. */
  write(target: Buffer, at: number): number
}

/** The document as text. */
export function textOfBody(body: Body): string {
  const target = Buffer.allocUnsafe(body.bytesMax)
  return target.toString('utf8', 0, body.write(target, 0))
}

/** A document that is there as text: JSON on one line. */
export function textBody(text: string): Body {
  return {
    bytesMax: Buffer.byteLength(text),
    write: (target, at) => at + target.write(text, at),
  }
}

/** Where documents show what they were made from, if that is asked for; no column may have this name then. */
export const stampField = '_millrace'

/** What stands in that field. */
export const stampMembers = { version: 'number', committedAt: 'time', gtid: 'word', hash: 'word' } as const

export type Operation = {
  readonly id: string
  readonly version: bigint
  readonly routing: string | undefined
  /** Of several indexes behind the alias, the one that the document lies in. */
  readonly index?: string
  /** The document lies elsewhere by now: this is the delete at the place that it left. */
  readonly vacates?: true
  /** Where the document lay before is not known: it is to be deleted wherever it is found but here. */
  readonly everywhere?: true
  /**
   * The same version always brings the same content, so that it may be written over itself. Where it does not (a row that
   * is read when it is delivered), the first that was written under a version stays: one that a server takes in late
   * must not undo what came after.
   */
  readonly repeatable: boolean
  /** Nobody changed the row just now: a load, a replay, a redrive or a touch wants the document written. */
  readonly isTask?: true
  /** Something was said against the document before it came here; whoever writes need not know. */
  readonly remark?: Remark
} & ({ readonly op: 'index'; readonly body: Body } | { readonly op: 'delete'; readonly body: undefined })

/** Operations of one request. */
export interface Operations extends List<Operation> {
  /** true = none has a remark or is to be deleted elsewhere, so that nobody need look for such. */
  readonly arePlain?: boolean
}

/** Whether one of the operations, which is not plain, is so. */
export function hasUnusual(operations: Operations, isSo: (operation: Operation) => boolean): boolean {
  if (operations.arePlain === true) return false
  for (const operation of operations) if (isSo(operation)) return true
  return false
}

/** Why a document is not to be written, or that it is written without some of its parts; a dead letter says it. */
export interface Remark {
  readonly kind: 'refused' | 'lacking'
  readonly reason: string
  /** What alike failures share. */
  readonly fingerprint: string
}

export type Outcome =
  /** Written; or a delete found nothing to delete. */
  | { readonly kind: 'applied' }
  /** Written, without some of its parts: finished, and to be made whole later. */
  | { readonly kind: 'incomplete'; readonly reason: string; readonly fingerprint: string }
  /** What is stored is newer: finished. The stored version where the target told it. */
  | { readonly kind: 'stale'; readonly stored: bigint | undefined }
  /** Not now: the same again later. */
  | { readonly kind: 'busy'; readonly reason: string }
  /** An error that says neither: the same again, while the target takes others but not for ever. */
  | { readonly kind: 'unknown'; readonly reason: string; readonly fingerprint: string }
  /** Never: this document cannot be written as it is. */
  | { readonly kind: 'rejected'; readonly reason: string; readonly fingerprint: string }

export interface Sink {
  /**
   * One outcome for each operation, in order. Throws a Failure where no item has an outcome of its own: `transient` and
   * `overload` (the same again later), `target` (wait until it is mended), `unauthorised`. When it has ended nobody may
   * look at the operations' bodies any more: what they are made from may be overwritten.
   */
  write(operations: Operations, signal: AbortSignal): Promise<readonly Outcome[]>
}

/** Keeps what is written to each node of a target within its limits. */
export interface Throttle {
  /** How many requests are on their way to a node, or wait for that. */
  onTheWay(node: string): number
  /** Sends a request when it may be sent. */
  pass<Answer>(request: PacedRequest, signal: AbortSignal, send: () => Promise<Answer>): Promise<Answer>
}

interface PacedRequest {
  readonly node: string
  readonly bytes: number
}

export const unlimited: Throttle = {
  onTheWay: () => 0,
  pass: async (_request, _signal, send) => await send(),
}

export interface IndexMark {
  readonly pipeline: string
  readonly lineage: string
  readonly epoch: number
}

export interface IndexState {
  /** The concrete index behind the alias. */
  readonly name: string
  readonly uuid: string
  readonly documents: number
  /** What millrace wrote into the mapping's `_meta`; undefined = an index that it did not make or adopt. */
  readonly mark: IndexMark | undefined
  /** What further indexes behind the alias are to be made from is gone; `reconcile` puts it there again. */
  readonly lacksTemplate?: true
}

export interface StoredDocument {
  readonly id: string
  readonly version: bigint
  readonly routing: string | undefined
  /** The index that it was found in, where there may be several. */
  readonly index?: string
  /** Parsed JSON text, as stored; undefined where it was not asked for. */
  readonly source: string | undefined
}

export interface ScanOptions {
  /** Asks for the documents' content. */
  readonly source: boolean
  /** Only documents with one of these values (JSON texts) in each field, or with nothing in it, are wanted; others may come, too. */
  readonly where?: readonly { readonly field: string; readonly anyOf: readonly string[] }[]
}

/** What is deleted from is listed first. */
export type ListedIndex = Pick<IndexAdmin, 'refresh' | 'scan'>

/** The index itself, as opposed to documents in it. All calls throw a Failure with a remedy when they cannot. */
export interface IndexAdmin {
  /** undefined = there is no such index or alias. */
  inspect(): Promise<IndexState | undefined>
  /** Of an index by its own name, whatever the alias points at; undefined = it is not there. Where there are aliases. */
  uuidOf?(name: string): Promise<string | undefined>
  /** Makes index and alias from the definition, marked. */
  create(mark: IndexMark): Promise<IndexState>
  /**
   * Differences that keep the existing index from holding the documents, each a sentence; additions that can be put are
   * put. An empty answer = it can hold them.
   */
  reconcile(): Promise<readonly string[]>
  /**
   * What the index, as it is and with the fields that it would get, thinks of documents that it does not take: one outcome
   * for each; undefined = it cannot be asked, or there is none.
   */
  simulate?(operations: readonly Operation[], signal: AbortSignal): Promise<readonly Outcome[] | undefined>
  /** Writes lineage and epoch into the mapping's `_meta`; before the first document of an epoch. */
  mark(mark: IndexMark): Promise<void>
  refresh(): Promise<void>
  /**
   * An index by its own name, whatever the alias points at, so that nobody's documents are taken for ours where the alias is
   * moved: each says that it lies there. Where an alias stands for one index.
   */
  named?(name: string): ListedIndex
  /** All documents at one point in time, in pages, or at least those that a condition names. */
  scan(options: ScanOptions, signal: AbortSignal): AsyncIterable<readonly StoredDocument[]>
  /** As a search finds it: what was written and is not refreshed is not found. Where documents can be searched. */
  found?(id: string): Promise<StoredDocument | undefined>
  /** Documents by id, in real time; missing ones are left out. */
  get(ids: readonly { id: string; routing: string | undefined }[]): Promise<readonly StoredDocument[]>
}
