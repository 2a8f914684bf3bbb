/** Documents that a query of the pipeline file answers. */
import type { QueryDefinition } from '../document/definition.ts'
import type { PipelineFile } from './pipeline-schema.ts'
import type { Complain } from './problems.ts'
import { columns, equalColumns } from './row-schema.ts'
import { Type } from './schema-words.ts'

const trigger = Type.Union([
  Type.Literal('none', { description: 'Changes of the table are overlooked.' }),
  Type.Object(
    { on: equalColumns('Column of the table: the column of the root that it equals.') },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      columns: columns('Columns of the table whose values the query under roots is asked with.'),
      roots: Type.String({
        minLength: 1,
        description: 'A SELECT of the keys of the roots concerned, with IN (:values) for those values.',
      }),
    },
    { additionalProperties: false },
  ),
])

export const sqlType = Type.Object(
  {
    query: Type.String({
      minLength: 1,
      description:
        'One SELECT of the documents of many ids at once: its first columns are the key of the table, compared by IN (:ids); every column is a field. One row for each id: lists are made by JSON_ARRAYAGG. Every table as schema.table.',
    }),
    triggers: Type.Optional(
      Type.Record(Type.String({ pattern: '^[^.]+\\.[^.]+$' }), trigger, {
        description:
          'For each other table that the queries read: how its rows lead to the documents concerned.',
      }),
    ),
  },
  {
    additionalProperties: false,
    description: 'In place of fields and children: the documents as a query answers them.',
  },
)

export function queryOf({ sql }: PipelineFile): QueryDefinition | undefined {
  if (sql === undefined) return undefined
  const triggers = Object.entries(sql.triggers ?? {})
  return {
    query: sql.query,
    triggers: Object.fromEntries(triggers.flatMap(([table, own]) => (own === 'none' ? [] : [[table, own]]))),
    still: triggers.flatMap(([table, own]) => (own === 'none' ? [table] : [])),
  }
}

/** What a file says beside a query that the query says itself. */
export function examineSql(file: PipelineFile, complain: Complain): void {
  const { sql } = file
  if (sql === undefined) return
  for (const key of ['fields', 'exclude', 'masks', 'children'] as const)
    if (file[key] !== undefined)
      complain([key], 'says nothing beside sql: the query says what documents show')
  if ((file.policy?.ddl ?? 'auto') !== 'auto')
    complain(['policy', 'ddl'], 'has to be auto beside sql: the query says which fields there are')
  if (occurrences(sql.query, ':ids') !== 1) complain(['sql', 'query'], 'does not have IN (:ids) once')
  examineTriggers(file.table, sql.triggers ?? {}, complain)
}

function examineTriggers(
  root: string,
  triggers: NonNullable<NonNullable<PipelineFile['sql']>['triggers']>,
  complain: Complain,
): void {
  for (const [table, own] of Object.entries(triggers)) {
    const path = ['sql', 'triggers', table]
    if (table === root)
      complain(path, 'is the table of the pipeline, whose changes lead to their documents anyway')
    if (own !== 'none' && 'roots' in own && occurrences(own.roots, ':values') !== 1)
      complain([...path, 'roots'], 'does not have IN (:values) once')
  }
}

function occurrences(text: string, word: string): number {
  return text.split(word).length - 1
}
