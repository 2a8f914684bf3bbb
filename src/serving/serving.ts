/** What one running daemon shares among all of its sources and pipelines. */
import type { RunOptions } from '../cli/parts.ts'
import type { Journal } from './journal.ts'
import type { Board } from '../pipeline/board.ts'
import type { Observe } from '../pipeline/facts.ts'
import type { Steering } from './steering.ts'
import type { Store } from '../store/store.ts'
import type { TargetFlow } from '../pipeline/delivery/target-flow.ts'
import type { Upstreams } from '../parts/upstreams.ts'
import type { Workshop } from '../parts/workshop.ts'

export interface Serving {
  readonly workshop: Workshop
  readonly options: RunOptions
  readonly observe: Observe
  readonly board: Board
  readonly journal: Journal
  readonly upstreams: Upstreams
  readonly store: Store
  readonly abort: AbortController
  readonly flows: ReadonlyMap<string, TargetFlow>
  readonly steering: Steering
}
