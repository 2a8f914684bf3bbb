/** What a pipeline's lanes pass barriers with. */
import type { Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { Barriers, type Barred } from './barriers.ts'
import type { Captured } from '../capture/captured.ts'
import type { Clock } from '../clock.ts'
import type { Observe } from '../facts.ts'
import type { SweepParts } from '../load/sweep.ts'

export interface Cascades {
  readonly findsBy: NonNullable<Barred['findsBy']>
  /** The table as it is now. */
  readonly describe: () => Promise<Table>
}

export interface BarrierPipeline {
  readonly group: string
  readonly table: string
  readonly capture: Captured
  readonly clock: Clock
  readonly observe: Observe
  readonly cascades?: Cascades
}

export function barriersOf(pipeline: BarrierPipeline, swept: SweepParts): Barriers {
  const { group, table, capture, clock, observe, cascades } = pipeline
  return new Barriers({
    ...swept,
    ...cascades,
    group,
    table,
    observe,
    touch: (request, signal) => capture.touch(request, signal),
    reread: async ({ version, statement }) => {
      if (capture.control === undefined) throw new Failure('transient', 'it is not known what was captured')
      const state = capture.loadState(group)
      if (state !== undefined && BigInt(state.sweepBelow ?? 0) > version) return
      await capture.demandLoad(group, {
        table,
        generation: (state?.generation ?? 0) + 1,
        sweeps: true,
        rowsEstimate: state?.rowsEstimate ?? 0,
        reason: statement,
        startedAtMs: clock.now(),
      })
    },
  })
}
