/**
 * A target that is not an index of ours: a write service over HTTP, or a module of the user's. What it must do is to keep,
 * for each id, the document of the highest version:
 *
 *   stored version lower, or none          write it (or delete), answer `applied`
 *   stored version equal                   the same, but `stale` where the operation is not `repeatable`
 *   stored version higher                  leave it, answer `stale` with that version
 *
 * It should remember the version of what it deleted for ten minutes: a request that nobody waits for any more may still
 * come. Operations on one id come one after the other. A batch may come twice.
 */

export interface ServiceOperation {
  readonly op: 'index' | 'delete'
  readonly id: string
  /** Up to 63 bits. */
  readonly version: bigint
  readonly repeatable: boolean
  readonly routing: string | undefined
  /** The document as JSON on one line; undefined for a delete. */
  readonly json: string | undefined
}

export interface ServiceResult {
  /** applied and stale are finished; busy comes again; rejected becomes a dead letter. */
  readonly status: 'applied' | 'stale' | 'busy' | 'rejected'
  readonly reason?: string
  /** Of `stale`: the stored one. */
  readonly version?: bigint
}

/** What millrace notes of an index, so that it knows it again: kept by the service, or by millrace in its own store. */
export interface ServiceMark {
  /** Drawn anew for an index that is made anew. */
  readonly uuid: string
  readonly pipeline: string
  readonly lineage: string
  readonly epoch: number
}

export interface ServiceDocument {
  readonly id: string
  readonly version: bigint
  readonly routing?: string
  /** JSON, where it was asked for. */
  readonly json?: string
}

export interface ServicePage {
  readonly documents: readonly ServiceDocument[]
  /** Where the next page begins; undefined = that was the last. */
  readonly next: string | undefined
}

/**
 * All calls throw a Failure: `transient` and `overload` (the same again later), `target` (wait until it is mended),
 * `unauthorised`, and `rejected` where a batch is larger than it takes.
 */
export interface Service {
  /** One result for each operation, in order. `uuid` is that of the mark under which they were made. */
  write(
    batch: {
      readonly index: string
      readonly uuid: string
      readonly operations: readonly ServiceOperation[]
    },
    signal: AbortSignal,
  ): Promise<readonly ServiceResult[]>
  /** The mark that the service keeps, none where there is no such index; 'unkept' = it keeps no marks. */
  mark(index: string): Promise<ServiceMark | undefined | 'unkept'>
  putMark(index: string, mark: ServiceMark): Promise<void>
  /** Documents, page by page, from the beginning or from where `after` says. */
  list(
    index: string,
    page: { readonly after: string | undefined; readonly source: boolean },
    signal: AbortSignal,
  ): Promise<ServicePage>
  /** Documents by id, those that there are. */
  get(
    index: string,
    ids: readonly { readonly id: string; readonly routing: string | undefined }[],
  ): Promise<readonly ServiceDocument[]>
  close(): Promise<void>
}
