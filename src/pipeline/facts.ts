/** All that the pipeline has to say. Logs, metrics, health, progress bars and crash tests listen to it. */
import type { Failure } from '../change/failure.ts'
import type { ServerHealth } from '../source/source.ts'

export type { ServerHealth } from '../source/source.ts'

export type Fact =
  | {
      readonly kind: 'capture-started'
      readonly source: string
      readonly position: string
      readonly epoch: number
    }
  | { readonly kind: 'source-alive'; readonly source: string; readonly atMs: number }
  | {
      readonly kind: 'captured'
      readonly source: string
      readonly changes: number
      readonly inserts: number
      readonly updates: number
      readonly deletes: number
      readonly lastCommittedAtMs: number
    }
  | { readonly kind: 'barrier'; readonly source: string; readonly table: string; readonly statement: string }
  | {
      readonly kind: 'appended'
      readonly source: string
      readonly records: number
      readonly seq: number
      readonly position: string
    }
  /** Keys whose rows somebody wants to be read again are in the log. */
  | { readonly kind: 'touched'; readonly source: string; readonly table: string; readonly keys: number }
  /** A replay goes on, or has ended. */
  | {
      readonly kind: 'replay'
      readonly source: string
      readonly addressee: string
      readonly phase: 'touching' | 'delivering' | 'done' | 'cancelled' | 'failed'
      readonly touched: number
    }
  | { readonly kind: 'append-failed'; readonly source: string; readonly failure: Failure }
  | {
      readonly kind: 'restarting'
      readonly part: string
      readonly failure: Failure
      readonly attempt: number
      readonly waitMs: number
    }
  | { readonly kind: 'recovered'; readonly part: string }
  | {
      readonly kind: 'load-started'
      readonly group: string
      readonly table: string
      readonly rowsEstimate: number
      readonly rowsDone: number
    }
  | { readonly kind: 'chunk-read'; readonly group: string; readonly table: string; readonly rows: number }
  | {
      readonly kind: 'chunk-appended'
      readonly group: string
      readonly table: string
      readonly rows: number
      readonly dropped: number
      readonly rowsDone: number
      readonly rowsEstimate: number
      readonly etaSeconds: number | undefined
    }
  | { readonly kind: 'load-read'; readonly group: string; readonly table: string; readonly rowsDone: number }
  | { readonly kind: 'swept'; readonly group: string; readonly scanned: number; readonly deleted: number }
  /** A statement left no rows: the documents from before it are deleted. Told of each pass over the index. */
  | {
      readonly kind: 'emptied'
      readonly group: string
      readonly table: string
      readonly statement: string
      readonly scanned: number
      readonly deleted: number
    }
  /** A foreign key changed rows: those that had its values are touched. Told of each pass over the index. */
  | {
      readonly kind: 'cascaded'
      readonly group: string
      readonly table: string
      readonly statement: string
      readonly keys: number
    }
  | {
      readonly kind: 'load-finished'
      readonly group: string
      readonly rowsDone: number
      readonly seconds: number
    }
  | { readonly kind: 'writing'; readonly group: string; readonly lane: number; readonly operations: number }
  /** Changes of joined tables were looked at, and so many roots touched because of them. */
  | {
      readonly kind: 'derived'
      readonly pipeline: string
      readonly changes: number
      readonly roots: number
    }
  /** A page of the roots of one row that very many show; so many such rows are not done. */
  | {
      readonly kind: 'fanned-out'
      readonly pipeline: string
      readonly roots: number
      readonly waiting: number
    }
  | {
      readonly kind: 'upstream-asked'
      readonly upstream: string
      readonly questions: number
      readonly tookMs: number
      readonly failure: Failure | undefined
    }
  /** So many questions needed no request: a fresh answer was kept, or another was asking the same. */
  | {
      readonly kind: 'upstream-spared'
      readonly upstream: string
      readonly cached: number
      readonly shared: number
    }
  /** It is left alone after this failure; or, without one, it answers again. */
  | { readonly kind: 'upstream-state'; readonly upstream: string; readonly failure: Failure | undefined }
  /** What processes share was lost with this failure; or, without one, it is there. */
  | { readonly kind: 'cache-state'; readonly failure: Failure | undefined }
  /** Rows of entries that did not show them were read from the table. */
  | {
      readonly kind: 'looked-up'
      readonly group: string
      readonly keys: number
      readonly found: number
      readonly queries: number
      readonly tookMs: number
    }
  | {
      readonly kind: 'written'
      readonly group: string
      readonly lane: number
      readonly indexed: number
      readonly deleted: number
      readonly stale: number
      readonly busy: number
      readonly rejected: number
      readonly bytes: number
      readonly tookMs: number
      /** Commit to acknowledged, ms, of changes that were finished, loads excluded; of a large request a sample. */ readonly latenciesMs: readonly number[]
    }
  | { readonly kind: 'committed'; readonly group: string; readonly lane: number; readonly next: number }
  | {
      readonly kind: 'dead-letter'
      readonly group: string
      readonly id: string
      readonly reason: string
      readonly fingerprint: string
    }
  | { readonly kind: 'dead-letters'; readonly group: string; readonly open: number }
  | {
      readonly kind: 'target-waiting'
      readonly group: string
      readonly failure: Failure
      readonly waitMs: number
      readonly attempt: number
    }
  | { readonly kind: 'target-ready'; readonly group: string }
  /** So many requests may be under way at the target, over all pipelines. */
  | { readonly kind: 'target-concurrency'; readonly target: string; readonly requestsMax: number }
  | { readonly kind: 'index-created'; readonly group: string; readonly index: string }
  | { readonly kind: 'index-adopted'; readonly group: string; readonly index: string; readonly epoch: number }
  /** Columns came that documents do not show until a person accepts them; no mappings = nothing is left to accept. */
  | {
      readonly kind: 'columns-proposed'
      readonly group: string
      readonly pipeline: string
      readonly table: string
      /** By field, what the index will be told of it, as JSON text. */
      readonly mappings: Readonly<Record<string, string>>
    }
  /** So long ago the row was changed that a search has found by now, or has not; a failure says why that is not known. */
  | {
      readonly kind: 'canary'
      readonly group: string
      readonly isFound: boolean
      readonly seconds: number
      readonly failure: Failure | undefined
    }
  | {
      readonly kind: 'lag'
      readonly group: string
      readonly pipeline: string
      readonly target: string
      readonly changes: number
      readonly seconds: number
    }
  | {
      readonly kind: 'retention'
      readonly source: string
      readonly bytes: number
      readonly bytesMax: number
      readonly oldestAppendedAtMs: number | undefined
      /** Until the binlog that we still need is purged; undefined = not known. */
      readonly sourceSeconds: number | undefined
      /** Bytes of the binlog that we have not read yet; undefined = not known. */
      readonly behindBytes: number | undefined
    }
  /** Most of the time that the source keeps its stream is used up. */
  | {
      readonly kind: 'source-endangered'
      readonly source: string
      readonly seconds: number
      readonly keptSeconds: number
    }
  | { readonly kind: 'group-endangered'; readonly group: string; readonly share: number }
  | { readonly kind: 'group-lost'; readonly group: string }
  | {
      readonly kind: 'pipeline-state'
      readonly pipeline: string
      readonly group: string
      readonly state: PipelineState
      readonly failure: Failure | undefined
    }
  | {
      readonly kind: 'source-state'
      readonly source: string
      readonly state: SourceState
      readonly failure: Failure | undefined
    }
  /** The stream is not read at this moment, and goes on by itself as soon as it can. */
  | { readonly kind: 'source-interrupted'; readonly source: string; readonly failure: Failure }
  | {
      readonly kind: 'source-servers'
      readonly source: string
      readonly servers: readonly ServerHealth[]
    }
  /** The source's history is another one than that of the log: a new epoch begins, and every table is read again. */
  | {
      readonly kind: 'history-changed'
      readonly source: string
      readonly epoch: number
      readonly why: string
      /** What was logged and is undone, in the source's own words; empty = not known. */
      readonly undone: string
      /** So many rows are read again instead of every table; undefined = every table is. */
      readonly touched: number | undefined
    }
  /** `owner` is whoever holds the lease now: us, or another while we wait. */
  | {
      readonly kind: 'lease'
      readonly lease: string
      readonly state: LeaseState
      readonly owner: string
      readonly token: number
    }
  | { readonly kind: 'stopping'; readonly reason: string }
  | { readonly kind: 'stopped' }

type LeaseState = 'waiting' | 'held' | 'released' | 'lost'

export type SourceState = 'starting' | 'standby' | 'running' | 'waiting' | 'failed' | 'stopped'

export type PipelineState = 'starting' | 'loading' | 'running' | 'waiting' | 'paused' | 'stopped' | 'failed'

export type Observe = (fact: Fact) => void
