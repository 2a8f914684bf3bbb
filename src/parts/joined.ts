/** Parts of pipelines whose documents hold rows of other tables. */
import type { Column, Table } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import type { Pipeline } from '../config/pipeline.ts'
import type { Settings } from '../config/schema.ts'
import type { DocumentDefinition, QueryDefinition, RowDefinition, Shape } from '../document/definition.ts'
import type { Enricher, JoinedMapper } from '../document/enricher.ts'
import { childChanges } from '../document/child-changes.ts'
import { joinedMapper } from '../document/joined-mapper.ts'
import { areComparable, childTables, isJoined, joinsOf, tablesIn } from '../document/joins.ts'
import {
  checkDefinition,
  checkRows,
  documentFields,
  Mapper,
  type DocumentField,
} from '../document/mapping.ts'
import { answerRows, queryMapper } from '../document/query-mapper.ts'
import { limitedTo } from '../document/shape.ts'
import { Deriving, type DerivingParts } from '../pipeline/deriving/deriving.ts'
import { joinedLookUp, type JoinedLookUpParts } from '../pipeline/building/joined-look-up.ts'
import { Pace } from '../pipeline/pace.ts'
import type { RootSearchParts } from '../pipeline/deriving/root-search.ts'
import { Turnstile } from '../pipeline/building/turnstile.ts'
import type { IndexChild } from '../sink/search/index-definition.ts'
import type { Question, Source, SourceAdmin } from '../source/source.ts'
import { systemClock } from '../system-clock.ts'
import { megabyte } from '../units.ts'

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

/** The fields that documents have of themselves, children aside. Throws a Failure of kind `configuration` as checkSql. */
export async function describeFields(
  definition: DocumentDefinition,
  source: Describing,
): Promise<readonly DocumentField[]> {
  const { table } = await source.describe(definition.table)
  checkDefinition(rootsOf(definition), table)
  if (definition.sql === undefined) return documentFields(definition, table)
  const answer = await checkSql(definition, definition.sql, source)
  checkRows(answerRows(definition, answer), answer)
  return documentFields(answerRows(definition, answer), answer)
}

type Describing = Pick<SourceAdmin, 'describe' | 'describeQuestion'>

/**
 * What the query answers with. Throws a Failure of kind `configuration` where the server refuses it, or one that finds
 * roots, and where it reads a table that no trigger names.
 */
async function checkSql(
  definition: DocumentDefinition,
  { triggers, still }: QueryDefinition,
  source: Describing,
): Promise<Table> {
  const { answer, tables } = await source.describeQuestion(await documentQuestion(definition, source))
  const known = [definition.table, ...Object.keys(triggers), ...still].map((name) => name.toLowerCase())
  const read = new Set(tables)
  for (const question of await rootQuestions(definition, source))
    for (const table of (await source.describeQuestion(question)).tables) read.add(table)
  const unknown = [...read].find((table) => !known.includes(table.toLowerCase()))
  if (unknown === undefined) return answer
  throw new Failure(
    'configuration',
    `sql.query reads ${unknown}, and no trigger says which documents its rows concern`,
    {
      remedy: `name it under sql.triggers; where its changes are to be overlooked: ${unknown}: none`,
    },
  )
}

/** The query of the documents, with all that asking it takes. */
export async function documentQuestion(
  { table: name, sql }: DocumentDefinition,
  source: Describing,
): Promise<Question> {
  const { table } = await source.describe(name)
  const by = table.key.map((at) => table.columns[at]?.name ?? '')
  return { sql: sql?.query ?? '', table: name, by, keyLength: by.length }
}

/** The queries that find roots. */
export async function rootQuestions(
  definition: DocumentDefinition,
  source: Describing,
): Promise<readonly Question[]> {
  const { keyLength } = await documentQuestion(definition, source)
  return Object.entries(definition.sql?.triggers ?? {}).flatMap(([table, trigger]) =>
    trigger.roots === undefined ? [] : [{ sql: trigger.roots, table, by: trigger.columns, keyLength }],
  )
}

/** Of documents that a query answers, the rows of the root show nothing themselves. */
function rootsOf(definition: DocumentDefinition): DocumentDefinition {
  return definition.sql === undefined ? definition : { ...definition, fields: {}, forms: undefined }
}

/** Throws a Failure of kind `configuration` where columns that join or order rows are not there, or never are equal. */
export async function checkJoins(
  definition: DocumentDefinition,
  source: Pick<SourceAdmin, 'describe'>,
): Promise<void> {
  const tables = new Map<string, Table>()
  for (const name of tablesIn(definition)) tables.set(name, (await source.describe(name)).table)
  for (const { table, parentTable, pairs, path, roots, child: shown } of joinsOf(definition)) {
    for (const { column } of shown?.order ?? []) columnOf(tables.get(table), column, `${path}.order`)
    for (const pair of pairs) {
      if (roots !== undefined) {
        columnOf(tables.get(table), pair.child, `${path}.on`)
        continue
      }
      const child = columnOf(tables.get(table), pair.child, `${path}.on`)
      const parent = columnOf(tables.get(parentTable), pair.parent, `${path}.on`)
      if (areComparable(child.kind, parent.kind)) continue
      throw new Failure(
        'configuration',
        `children.${path}: ${table}.${child.name} (${child.type}) cannot be compared with ${parentTable}.${parent.name} (${parent.type})`,
        { remedy: 'give both columns the same type' },
      )
    }
  }
}

/**
 * Throws a Failure of kind `configuration` when a column that is to be left out, of the rows or of those below them, is not
 * there: it may be misspelt.
 */
export async function checkExcluded(
  { table: name, exclude, children = {} }: RowDefinition,
  source: Pick<SourceAdmin, 'describe'>,
): Promise<void> {
  if (exclude.length > 0) {
    const { table, excluded } = await source.describe(name)
    const known = [...table.columns.map((column) => column.name), ...excluded]
    const missing = exclude.filter((column) => !known.includes(column))
    if (missing.length > 0)
      throw new Failure(
        'configuration',
        `${name} has no column ${missing.join(', ')}, which is to be left out`,
        {
          remedy: `correct it under exclude, or under masks; its columns are ${known.join(', ')}`,
        },
      )
  }
  for (const child of Object.values(children)) await checkExcluded(child, source)
}

/** `where`: the setting below `children` that names the column. */
function columnOf(table: Table | undefined, name: string, where: string): Column {
  const column = table?.columns.find((each) => each.name === name)
  if (column !== undefined) return column
  throw new Failure('configuration', `children.${where}: ${table?.name} has no column ${name}`, {
    remedy: `its columns are ${table?.columns.map((each) => each.name).join(', ')}`,
  })
}

/** What the pipelines of one source share when they read documents. */
export interface ReadingBounds extends Pick<
  JoinedLookUpParts,
  'turnstile' | 'pace' | 'documentsMax' | 'rowsMax' | 'bytesMax'
> {}

export function readingBounds({ documents }: Settings): ReadingBounds {
  return {
    turnstile: new Turnstile(documents.queriesAtOnce),
    pace: new Pace(documents.queriesPerSecond),
    documentsMax: documents.batch,
    rowsMax: documents.batchRows,
    bytesMax: documents.batchMb * megabyte,
  }
}

/** Makes documents that hold rows of other tables; of no other root fields than these, if they are given. */
export function joinedEnricher(
  { definition }: Pipeline,
  shown: Shape | undefined,
  parts: Omit<JoinedLookUpParts, 'mapper' | 'clock'>,
): Enricher {
  return joinedLookUp({ ...parts, mapper: mapperOfJoined(definition, shown), clock: systemClock })
}

function mapperOfJoined(definition: DocumentDefinition, shown: Shape | undefined): JoinedMapper {
  const { sql } = definition
  if (sql !== undefined) return queryMapper(definition, sql.query, new Mapper(rootsOf(definition)))
  const limited = shown === undefined ? definition : limitedTo(definition, shown)
  return joinedMapper(limited, new Mapper(limited))
}

/** Rows in one answer, on the way from changed rows to their roots. */
const ascentRows = 1000

/** What finds the roots of joined rows needs, but for what it reads through. */
export function rootSearchParts(
  definition: DocumentDefinition,
  source: Source & Pick<SourceAdmin, 'describe'>,
): Omit<RootSearchParts, 'capture' | 'turnstile' | 'pace'> {
  const { table } = definition
  return {
    table,
    childTables: childTables(definition),
    changes: childChanges(definition),
    source,
    describe: async () => (await source.describe(table)).table,
    clock: systemClock,
    pageRows: ascentRows,
  }
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
      ...rootSearchParts(definition, parts.source),
      pipeline,
      rootsPace: new Pace(documents.rootsPerSecond),
    })
    derivings.set(pipeline, deriving)
  }
  return derivings
}
