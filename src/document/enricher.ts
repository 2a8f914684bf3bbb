/** From entries of the log to operations on documents. */
import type { Entry } from '../log/log.ts'
import type { Operation } from '../sink/sink.ts'

/** What one entry asks of the index; an entry may need none (filtered out, never indexed) or several. */
export interface Work {
  readonly entry: Entry
  readonly operations: readonly Operation[]
}

export type Enricher = (entries: readonly Entry[], signal: AbortSignal) => Promise<readonly Work[]>
