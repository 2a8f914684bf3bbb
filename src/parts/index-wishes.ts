/** What a pipeline file wants of its index. */
import type { Pipeline } from '../config/pipeline.ts'
import type { Shape } from '../document/definition.ts'
import type { IndexWishes } from '../sink/search/index-definition.ts'

export function indexWishes(
  { definition, enrich, transform, target }: Pipeline,
  fields: Shape['fields'],
): IndexWishes {
  const forms = new Map(Object.entries(definition.forms ?? {}))
  return {
    fields: fields.map(({ field, column }) => ({ field, column, form: forms.get(field) })),
    others: transform === undefined ? enrich.map(({ field }) => field) : 'any',
    stamped: target.metadata,
    settings: target.settings,
    mappings: target.mappings as IndexWishes['mappings'],
  }
}
