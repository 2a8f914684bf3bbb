/** Children of a pipeline file as definitions, with what follows where the file says nothing. */
import type { ChildDefinition, Comparison, Condition, RowDefinition } from '../document/definition.ts'
import { isMapping } from './conform.ts'
import { maskNames } from './masks.ts'
import type { PipelineFile } from './pipeline-schema.ts'
import type { Complain } from './problems.ts'
import type { ChildFile } from './row-schema.ts'
import type { Settings } from './schema.ts'

/** What a file says of a table's rows. */
export function rowDefinitionOf(
  file: Pick<PipelineFile, keyof RowDefinition>,
  settings: Pick<Settings, 'masks'>,
): RowDefinition {
  const masks = maskNames(file.masks, settings)
  const dropped = Object.keys(masks ?? {}).filter((column) => masks?.[column] === 'drop')
  return {
    table: file.table,
    fields: file.fields,
    exclude: [...new Set([...(file.exclude ?? []), ...dropped])],
    forms: file.forms,
    masks,
    where: Object.entries(file.where ?? {}).flatMap(([column, filter]) => conditions(column, filter)),
    children: childrenOf(file.children, settings),
  }
}

function childrenOf(
  files: Readonly<Record<string, ChildFile>> | undefined,
  settings: Pick<Settings, 'masks'>,
): RowDefinition['children'] {
  if (files === undefined) return undefined
  return Object.fromEntries(Object.entries(files).map(([field, file]) => [field, childOf(file, settings)]))
}

function childOf(file: ChildFile, settings: Pick<Settings, 'masks'>): ChildDefinition {
  const kind = file.kind ?? 'many'
  return {
    ...rowDefinitionOf(file, settings),
    kind,
    on: file.on,
    through: file.through,
    order: Object.entries(file.order ?? {}).map(([column, direction]) => ({
      column,
      descending: direction === 'desc',
    })),
    limit: file.limit,
    mapping: file.mapping ?? (kind === 'one' ? 'object' : 'nested'),
  }
}

type Filter = NonNullable<PipelineFile['where']>[string]

function conditions(column: string, filter: Filter): readonly Condition[] {
  if (!isMapping(filter)) return [{ column, comparison: 'eq', value: filter }]
  return Object.entries(filter).map(([comparison, value]) => ({
    column,
    comparison: comparison as Comparison,
    value,
  }))
}

/** What the schema cannot say of children; `path` is that of the rows they belong to. */
export function examineChildren(
  { children = {}, fields }: RowDefinition,
  files: Readonly<Record<string, ChildFile>> | undefined,
  path: readonly string[],
  complain: Complain,
): void {
  for (const [field, child] of Object.entries(children)) {
    const file = files?.[field]
    const at = [...path, 'children', field]
    if (fields !== undefined && Object.hasOwn(fields, field))
      complain(at, `"${field}" is the name of a field already`)
    examineChild(field, child, file, (found, key) => complain(key === undefined ? at : [...at, key], found))
    examineChildren(child, file?.children, at, complain)
  }
}

function examineChild(
  field: string,
  { kind, limit }: ChildDefinition,
  file: ChildFile | undefined,
  complain: (found: string, key?: string) => void,
): void {
  if (field.includes('.') || field.trim() === '' || field.startsWith('_'))
    complain(`"${field}" cannot be the name of a child: no dots, and no _ in front`)
  if (file?.fields !== undefined && file.exclude !== undefined)
    complain('says nothing beside fields: what fields does not name is left out anyway', 'exclude')
  if (kind === 'one' && limit !== undefined) complain('says nothing of a child of kind one', 'limit')
}

/** New columns of a child are shown unasked, unless its fields are named. */
export function examineUnnamed(
  { children = {} }: RowDefinition,
  path: readonly string[],
  complain: Complain,
): void {
  for (const [field, child] of Object.entries(children)) {
    const at = [...path, 'children', field]
    if (child.fields === undefined)
      complain(at, 'has no fields', { expected: 'fields, since policy.ddl is not auto' })
    examineUnnamed(child, at, complain)
  }
}
