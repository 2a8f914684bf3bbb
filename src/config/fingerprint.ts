/** Whether two versions of a pipeline make the same documents. */
import type { Pipeline } from './pipeline.ts'

/** Canonical JSON of all that decides what the documents are and where they are; kept with the group's progress. */
export function fingerprint(pipeline: Pipeline): string {
  const { definition } = pipeline
  return canonical({
    source: pipeline.source,
    table: definition.table,
    key: pipeline.key,
    fields: definition.fields,
    exclude: definition.exclude.toSorted(),
    forms: definition.forms,
    masks: definition.masks,
    where: definition.where.map((condition) => canonical(condition)).toSorted(),
    children: definition.children,
    sql: definition.sql,
    id: { columns: definition.id, prefix: definition.idPrefix },
    enrich: pipeline.enrich.length === 0 ? undefined : pipeline.enrich,
    transform: pipeline.transform?.digest,
    target: { index: pipeline.target.index, metadata: pipeline.target.metadata ? true : undefined },
    placing: definition.placing,
  })
}

/** The names, as the pipeline file has them, of what differs between two fingerprints: `fields.title`, `where`. */
export function difference(before: string, after: string): readonly string[] {
  return differences(JSON.parse(before), JSON.parse(after), '')
}

/**
 * By table that concerns the documents, the columns that a definition with this fingerprint had no use for: neither in
 * documents nor in conditions, ids, orders or joins.
 */
export function unusedColumns(before: string): Readonly<Record<string, readonly string[]>> {
  const root = JSON.parse(before) as Fingerprint
  const unused: Record<string, readonly string[]> = {}
  const add = (table: string, columns: readonly string[]): void => {
    unused[table] = unused[table]?.filter((column) => columns.includes(column)) ?? columns
  }
  add(root.table, unusedIn(root, [...(root.id.columns ?? []), ...(root.key ?? []), ...placedBy(root)]))
  addChildren(root, add)
  for (const table of Object.keys(root.sql?.triggers ?? {})) add(table, [])
  return unused
}

function placedBy({ placing }: Fingerprint): readonly string[] {
  const { routing = [], period } = placing ?? {}
  return period === undefined ? routing : [...routing, period.column]
}

function addChildren(
  { children = {} }: Rows,
  add: (table: string, columns: readonly string[]) => void,
): void {
  for (const child of Object.values(children)) {
    add(child.table, unusedIn(child, [...Object.keys(child.on), ...child.order.map(({ column }) => column)]))
    if (child.through !== undefined) add(child.through.table, [])
    addChildren(child, add)
  }
}

function unusedIn(
  { fields, exclude, where, children = {} }: Rows,
  needed: readonly string[],
): readonly string[] {
  if (fields !== undefined) return []
  const conditions = where.map((condition) => columnOf(condition))
  const joined = Object.values(children).flatMap((child) => Object.values(child.through?.on ?? child.on))
  const used = new Set([...conditions, ...joined, ...needed])
  return exclude.filter((column) => !used.has(column))
}

/** The root's conditions are kept as text. */
function columnOf(condition: string | { readonly column: string }): string {
  return typeof condition === 'string'
    ? (JSON.parse(condition) as { readonly column: string }).column
    : condition.column
}

/** The rows of one table, as fingerprints have them. */
interface Rows {
  readonly table: string
  readonly fields?: object
  readonly exclude: readonly string[]
  readonly where: readonly (string | { readonly column: string })[]
  readonly children?: Readonly<Record<string, Child>>
}

interface Child extends Rows {
  readonly on: Readonly<Record<string, string>>
  readonly through?: { readonly table: string; readonly on: Readonly<Record<string, string>> }
  readonly order: readonly { readonly column: string }[]
}

interface Fingerprint extends Rows {
  readonly key?: readonly string[]
  readonly id: { readonly columns?: readonly string[] }
  readonly sql?: { readonly triggers: Readonly<Record<string, unknown>> }
  readonly placing?: { readonly routing?: readonly string[]; readonly period?: { readonly column: string } }
}

function differences(before: unknown, after: unknown, path: string): readonly string[] {
  if (canonical(before) === canonical(after)) return []
  if (!isTree(before) || !isTree(after)) return [path]
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keys].flatMap((key) =>
    differences(before[key], after[key], path === '' ? key : `${path}.${key}`),
  )
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** JSON text with sorted keys, so that equal values have equal texts. */
function canonical(value: unknown): string {
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (!isTree(value)) return JSON.stringify(value) ?? 'null'
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  const sorted = members.toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${sorted.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(',')}}`
}
