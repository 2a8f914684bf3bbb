/** What makes a pipeline's documents from entries of the log. */
import type { Position, Table } from '../change/change.ts'
import { groupOf, type Pipeline } from '../config/pipeline.ts'
import type { Enricher } from '../document/enricher.ts'
import { isJoined } from '../document/joins.ts'
import { stamped } from '../document/stamp.ts'
import { joinedEnricher, type ReadingBounds } from '../parts/joined.ts'
import type { Captured } from '../pipeline/capture/captured.ts'
import type { Observe } from '../pipeline/facts.ts'
import { lookingUp } from '../pipeline/building/look-up.ts'
import type { PipelineParts } from '../pipeline/pipeline.ts'
import { tellingTasks } from '../pipeline/delivery/tasks-apart.ts'
import type { Source } from '../source/source.ts'
import { systemClock } from '../system-clock.ts'
import { mapperOf } from '../parts/workshop.ts'

/** The documents as they are written: with what they show of themselves, and told apart by who wants them, where the file says so. */
export function finishedFor({ target }: Pipeline, enrich: Enricher): Enricher {
  const shown = target.metadata ? stamped(enrich) : enrich
  return target.ofTasks === undefined ? shown : tellingTasks(shown)
}

interface Reading {
  readonly source: Source
  readonly capture: Pick<Captured, 'position' | 'confirmed'>
  readonly bounds: ReadingBounds
  readonly observe: Observe
  /** Of single rows that changes did not show. */
  readonly rowsPerSecond: number
}

/** Documents of no other fields than are shown, from no other tables than are admitted. */
export function enricherOf(
  { source, capture, bounds, observe, rowsPerSecond }: Reading,
  file: Pipeline,
): PipelineParts['enricher'] {
  const group = groupOf(file)
  const position = (): Position => capture.position
  const confirmed: Captured['confirmed'] = (read, signal) => capture.confirmed(read, signal)
  if (isJoined(file.definition))
    return (shown, admit) =>
      joinedEnricher(file, shown, { ...bounds, group, source, position, confirmed, observe, admit })
  return (shown, admit) =>
    lookingUp({
      group,
      table: file.definition.table,
      mapper: mapperOf(file, shown),
      source: admitting(source, admit),
      position,
      confirmed,
      clock: systemClock,
      observe,
      rowsPerSecond,
    })
}

/** Rows that are read by key have the columns of now. */
function admitting(
  source: Pick<Source, 'rows'>,
  admit: (table: Table) => Promise<void>,
): Pick<Source, 'rows'> {
  return {
    rows: async (request, signal) => {
      const found = await source.rows(request, signal)
      await admit(found.table)
      return found
    },
  }
}
