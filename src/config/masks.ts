/** Columns that pipelines want unreadable: as the files say it, as the source wants it, and what contradicts it. */
import { createHmac } from 'node:crypto'
import type { ChildDefinition, DocumentDefinition, RowDefinition } from '../document/definition.ts'
import type { Pipeline } from './pipeline.ts'
import type { PipelineFile } from './pipeline-schema.ts'
import type { Complain } from './problems.ts'
import { mayRead } from './query-reads.ts'
import type { Settings } from './schema.ts'

type MaskFile = NonNullable<PipelineFile['masks']>[string]

/** By column, the names by which the source knows its masks; with another secret, that of a hash is another. */
export function maskNames(
  masks: Readonly<Record<string, MaskFile>> | undefined,
  { masks: { secret = '' } }: Pick<Settings, 'masks'>,
): RowDefinition['masks'] {
  if (masks === undefined) return undefined
  const digest = createHmac('sha256', secret).update('name of the secret').digest('hex').slice(0, 8)
  return Object.fromEntries(
    Object.entries(masks).map(([column, mask]) => {
      if (typeof mask === 'object') return [column, `truncate:${mask.truncate}`]
      return [column, mask === 'hash' ? `hash:${digest}` : mask]
    }),
  )
}

/** By table and column, the masks of all pipelines of a source. */
export function masksOf(pipelines: readonly Pipeline[]): Record<string, Record<string, string>> {
  const masks: Record<string, Record<string, string>> = {}
  for (const { definition } of pipelines)
    for (const { table, masks: own = {} } of usesIn(definition)) masks[table] = { ...masks[table], ...own }
  return masks
}

/** What masks of one file contradict: columns that have to be known as they are, and a secret that is missing. */
export function examineMasks(
  { definition, key = [], policy: { canary } }: Pipeline,
  { masks: { secret } }: Pick<Settings, 'masks'>,
  complain: Complain,
): void {
  const own = [...key, ...(canary === undefined ? [] : [canary.column])]
  const plain = [...plainColumns(definition), ...own.map((column) => [definition.table, column] as const)]
  for (const { path, masks = {}, table, fields = {} } of usesIn(definition)) {
    for (const [column, mask] of Object.entries(masks)) {
      const at = [...path, 'masks', column]
      if (mask.startsWith('hash:') && secret === undefined)
        complain(at, 'a hash needs masks.secret in the settings', { expected: 'a secret of 16 characters' })
      if (mask === 'drop' && Object.values(fields).includes(column))
        complain(at, `${column} is dropped and shown under fields`, { expected: 'one of the two' })
      if (plain.some(([of, name]) => of === table && name === column))
        complain(at, `${table}.${column} decides on documents, so it cannot be masked`)
    }
  }
}

/** A column leaves the source in one form, so all pipelines have to want the same. */
export function examineMasksTogether(
  pipelines: readonly Pipeline[],
  settings: Settings,
  complain: ComplainOf,
): void {
  // Of a file with several targets, one stands for all.
  const files = [...new Map(pipelines.map((pipeline) => [pipeline.origin, pipeline])).values()]
  for (const masking of files)
    for (const other of files) {
      if (masking.source === other.source) examinePair(masking, other, complain)
      examineQueries(masking, other, settings, complain)
    }
}

type ComplainOf = (pipeline: Pipeline, path: readonly string[], found: string) => void

/** What a query answers with goes into documents as it is. */
function examineQueries(masking: Pipeline, other: Pipeline, settings: Settings, complain: ComplainOf): void {
  const asked = other.enrich.flatMap(({ upstream: name }) => {
    const { query, source, endpoints = {} } = settings.upstreams[name] ?? {}
    const sources = [source, ...Object.values(endpoints).map((endpoint) => endpoint.source ?? source)]
    return query !== undefined && sources.some((each = masking.source) => each === masking.source)
      ? [query]
      : []
  })
  const { sql } = other.definition
  const own = sql !== undefined && other.source === masking.source ? [sql.query] : []
  for (const { path, table, masks = {} } of usesIn(masking.definition))
    for (const column of Object.keys(masks))
      if ([...own, ...asked].some((text) => mayRead(text, table, column)))
        complain(
          masking,
          [...path, 'masks', column],
          `${table}.${column} may be read by a query of ${other.origin}`,
        )
}

function examinePair(masking: Pipeline, other: Pipeline, complain: ComplainOf): void {
  for (const { path, table, masks = {} } of usesIn(masking.definition))
    for (const [column, mask] of Object.entries(masks)) {
      const rival = usesIn(other.definition).find(
        (use) => use.table === table && shows(use, column) && use.masks?.[column] !== mask,
      )
      const decides = plainColumns(other.definition).some(([of, name]) => of === table && name === column)
      if (rival === undefined && !decides) continue
      complain(masking, [...path, 'masks', column], `${table}.${column} is used otherwise in ${other.origin}`)
    }
}

/** Whether documents show the column, or its mask. */
function shows({ fields, exclude }: RowDefinition, column: string): boolean {
  return fields === undefined ? !exclude.includes(column) : Object.values(fields).includes(column)
}

interface Use extends RowDefinition {
  readonly path: readonly string[]
}

function usesIn(definition: RowDefinition, path: readonly string[] = []): readonly Use[] {
  const children = Object.entries(definition.children ?? {})
  return [
    { ...definition, path },
    ...children.flatMap(([field, child]) => usesIn(child, [...path, 'children', field])),
  ]
}

/** Table and name of each column that rows are found, sorted, joined, placed or left out by. */
function plainColumns(definition: DocumentDefinition): readonly (readonly [string, string])[] {
  const { table, id = [], placing: { routing = [], period } = {} } = definition
  const own = [...id, ...routing, ...(period === undefined ? [] : [period.column])]
  return [...own.map((column) => [table, column] as const), ...decisive(definition)]
}

function decisive(rows: RowDefinition | ChildDefinition): readonly (readonly [string, string])[] {
  const conditions = rows.where.map(({ column }) => [rows.table, column] as const)
  const children = Object.values(rows.children ?? {}).flatMap((child) => {
    const steps = child.through === undefined ? [child] : [child.through, child]
    const joined = steps.flatMap(({ table, on }, at) =>
      Object.entries(on).flatMap(([column, parent]) => [
        [table, column] as const,
        [steps[at - 1]?.table ?? rows.table, parent] as const,
      ]),
    )
    const sorted = child.order.map(({ column }) => [child.table, column] as const)
    return [...joined, ...sorted, ...decisive(child)]
  })
  return [...conditions, ...children]
}
