/** Whether a pipeline's documents can be found by a column of its table, and show their rows' keys. */
import type { Cascade } from '../change/change.ts'
import type { Configuration } from '../config/load.ts'
import type { Pipeline } from '../config/pipeline.ts'

/**
 * Only where that is certain: the documents show every column as it is, in fields that the index maps by itself. An update of
 * what a condition may look at can give rows a document that have none, which cannot be found.
 */
export function findsBy(
  { definition, enrich, transform, target }: Pipeline,
  { targets }: Configuration['settings'],
): (cascade: Cascade) => boolean {
  const kind = targets[target.name]?.kind ?? 'module'
  const changes = [definition.children, definition.forms, definition.masks, target.mappings].map((each) =>
    Object.keys(each ?? {}),
  )
  const isPlain =
    kind !== 'http' &&
    kind !== 'module' &&
    definition.fields === undefined &&
    definition.sql === undefined &&
    transform === undefined &&
    [definition.exclude, enrich, ...changes].every(({ length }) => length === 0)
  return ({ change }) => isPlain && (change === 'deleted' || definition.where.length === 0)
}
