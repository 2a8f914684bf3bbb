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
    where: definition.where.map((condition) => canonical(condition)).toSorted(),
    id: { columns: definition.id, prefix: definition.idPrefix },
    enrich: pipeline.enrich.length === 0 ? undefined : pipeline.enrich,
    transform: pipeline.transform?.digest,
    target: { index: pipeline.target.index },
  })
}

/** The names, as the pipeline file has them, of what differs between two fingerprints: `fields.title`, `where`. */
export function difference(before: string, after: string): readonly string[] {
  return differences(JSON.parse(before), JSON.parse(after), '')
}

/** The columns that a definition with this fingerprint had no use for: neither in documents nor in conditions or ids. */
export function unusedColumns(before: string): readonly string[] {
  const { exclude, fields, where, id, key } = JSON.parse(before) as Fingerprint
  if (fields !== undefined) return []
  const conditions = where.map((condition) => (JSON.parse(condition) as { readonly column: string }).column)
  const used = new Set([...conditions, ...(id.columns ?? []), ...(key ?? [])])
  return exclude.filter((column) => !used.has(column))
}

interface Fingerprint {
  readonly key?: readonly string[]
  readonly fields?: object
  readonly exclude: readonly string[]
  readonly where: readonly string[]
  readonly id: { readonly columns?: readonly string[] }
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
