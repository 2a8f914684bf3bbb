/** Parts of pipelines whose documents hold rows of other tables. */
import type { Column, Table } from './change/change.ts'
import { Failure } from './change/failure.ts'
import type { Pipeline } from './config/pipeline.ts'
import type { Settings } from './config/schema.ts'
import type { DocumentDefinition, RowDefinition, Shape } from './document/definition.ts'
import type { Enricher } from './document/enricher.ts'
import { childChanges } from './document/child-changes.ts'
import { joinedMapper } from './document/joined-mapper.ts'
import { areComparable, childTables, isJoined, joinsOf, tablesIn } from './document/joins.ts'
import { checkRows, documentFields, Mapper } from './document/mapping.ts'
import { limitedTo } from './document/shape.ts'
import { Deriving, type DerivingParts } from './pipeline/deriving.ts'
import { joinedLookUp, type JoinedLookUpParts } from './pipeline/joined-look-up.ts'
import { Pace } from './pipeline/pace.ts'
import { Turnstile } from './pipeline/turnstile.ts'
import type { IndexChild } from './sink/search/index-definition.ts'
import type { Source, SourceAdmin } from './source/source.ts'
import { systemClock } from './system-clock.ts'

/** The children as the index is to hold them; throws a Failure of kind `configuration` for what their tables lack. */
export async function describeChildren(
  definition: RowDefinition,
  source: Pick<SourceAdmin, 'describe'>,
): Promise<readonly IndexChild[]> {
  const children: IndexChild[] = []
  for (const [field, child] of Object.entries(definition.children ?? {})) {
    const { table } = await source.describe(child.table)
    checkRows(child, table)
    const forms = new Map(Object.entries(child.forms ?? {}))
    children.push({
      field,
      mapping: child.mapping,
      fields: documentFields(child, table).map(({ field: name, column }) => ({
        field: name,
        column,
        form: forms.get(name),
      })),
      children: await describeChildren(child, source),
    })
  }
  return children
}

/** Throws a Failure of kind `configuration` where columns that are to be equal are not there, or never are equal. */
export async function checkJoins(
  definition: DocumentDefinition,
  source: Pick<SourceAdmin, 'describe'>,
): Promise<void> {
  const tables = new Map<string, Table>()
  for (const name of tablesIn(definition)) tables.set(name, (await source.describe(name)).table)
  for (const { table, parentTable, pairs, path } of joinsOf(definition)) {
    for (const pair of pairs) {
      const child = columnOf(tables.get(table), pair.child, path)
      const parent = columnOf(tables.get(parentTable), pair.parent, path)
      if (areComparable(child.kind, parent.kind)) continue
      throw new Failure(
        'configuration',
        `children.${path}: ${table}.${child.name} (${child.type}) cannot be compared with ${parentTable}.${parent.name} (${parent.type})`,
        { remedy: 'give both columns the same type' },
      )
    }
  }
}

function columnOf(table: Table | undefined, name: string, path: string): Column {
  const column = table?.columns.find((each) => each.name === name)
  if (column !== undefined) return column
  throw new Failure('configuration', `children.${path}.on: ${table?.name} has no column ${name}`, {
    remedy: `its columns are ${table?.columns.map((each) => each.name).join(', ')}`,
  })
}

/** What the pipelines of one source share when they read documents. */
export interface ReadingBounds extends Pick<
  JoinedLookUpParts,
  'turnstile' | 'pace' | 'documentsMax' | 'rowsMax'
> {}

export function readingBounds({ documents }: Settings): ReadingBounds {
  return {
    turnstile: new Turnstile(documents.queriesAtOnce),
    pace: new Pace(documents.queriesPerSecond),
    documentsMax: documents.batch,
    rowsMax: documents.batchRows,
  }
}

/** Makes documents that hold rows of other tables; of no other root fields than these, if they are given. */
export function joinedEnricher(
  { definition }: Pipeline,
  shown: Shape | undefined,
  parts: Omit<JoinedLookUpParts, 'mapper' | 'clock'>,
): Enricher {
  const limited = shown === undefined ? definition : limitedTo(definition, shown)
  return joinedLookUp({ ...parts, mapper: joinedMapper(limited, new Mapper(limited)), clock: systemClock })
}

/** By its name, what derives the work of each pipeline that has other tables: one for all its targets. */
export function derivingsOf(
  pipelines: readonly Pipeline[],
  parts: Pick<DerivingParts, 'capture' | 'log' | 'observe' | 'turnstile' | 'pace'> & {
    readonly source: Source & Pick<SourceAdmin, 'describe'>
  },
  { documents }: Settings,
): ReadonlyMap<string, Deriving> {
  const derivings = new Map<string, Deriving>()
  for (const { name: pipeline, definition } of pipelines) {
    if (!isJoined(definition) || derivings.has(pipeline)) continue
    const deriving = new Deriving({
      ...parts,
      pipeline,
      table: definition.table,
      childTables: childTables(definition),
      changes: childChanges(definition),
      describe: async () => (await parts.source.describe(definition.table)).table,
      clock: systemClock,
      rootsPace: new Pace(documents.rootsPerSecond),
    })
    derivings.set(pipeline, deriving)
  }
  return derivings
}
