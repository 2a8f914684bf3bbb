/** What doctor says of the columns that join a pipeline's tables. */
import { Failure } from '../change/failure.ts'
import type { Pipeline } from '../config/pipeline.ts'
import type { DocumentDefinition } from '../document/definition.ts'
import { isJoined, joinsOf } from '../document/joins.ts'
import {
  checkExcluded,
  checkJoins,
  describeChildren,
  describeFields,
  documentQuestion,
  rootQuestions,
} from '../parts/joined.ts'
import type { Finding, Question, SourceAdmin } from '../source/source.ts'

/** Whether they can be compared, and an index for each way in which rows are found. Never throws for bad ones. */
export async function examineJoins(
  { name, definition }: Pipeline,
  source: Pick<SourceAdmin, 'describe' | 'indexes' | 'describeQuestion' | 'explainQuestion'>,
): Promise<readonly Finding[]> {
  if (!isJoined(definition)) return []
  const fact = `joins of ${name}`
  try {
    for (const child of Object.values(definition.children ?? {})) await checkExcluded(child, source)
    await checkJoins(definition, source)
    await describeFields(definition, source)
    await describeChildren(definition, source)
    const missing: Finding[] = []
    for (const [table, columns] of findingWays(definition))
      if (!serves(await source.indexes(table), columns)) missing.push(missingIndex(fact, table, columns))
    for (const question of await questionsOf(definition, source))
      missing.push(...(await source.explainQuestion(question)).map((finding) => ({ ...finding, fact })))
    return missing.length > 0 ? missing : [{ level: 'ok', fact, found: 'every join has its indexes' }]
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const { message: found, remedy } = error
    return [{ level: 'fatal', fact, found, ...(remedy === undefined ? {} : { remedies: { mysql: remedy } }) }]
  }
}

/** By which columns of which tables rows are found; each way once. */
function findingWays(
  definition: DocumentDefinition,
): Iterable<readonly [table: string, columns: readonly string[]]> {
  const ways = new Map<string, readonly [table: string, columns: readonly string[]]>()
  for (const { table, parentTable, pairs, roots } of joinsOf(definition)) {
    const down = pairs.map(({ child }) => child)
    const up = pairs.map(({ parent }) => parent)
    // A query finds the rows of a table in its own ways.
    if (definition.sql === undefined) ways.set(`${table} ${down.join()}`, [table, down])
    if (roots === undefined) ways.set(`${parentTable} ${up.join()}`, [parentTable, up])
  }
  return ways.values()
}

async function questionsOf(
  definition: DocumentDefinition,
  source: Pick<SourceAdmin, 'describe' | 'describeQuestion'>,
): Promise<readonly Question[]> {
  if (definition.sql === undefined) return []
  return [await documentQuestion(definition, source), ...(await rootQuestions(definition, source))]
}

/** Whether an index begins with these columns, in any order. */
function serves(indexes: readonly (readonly string[])[], columns: readonly string[]): boolean {
  return indexes.some((index) => columns.every((column) => index.slice(0, columns.length).includes(column)))
}

function missingIndex(fact: string, table: string, columns: readonly string[]): Finding {
  const names = columns.map(quoted).join(', ')
  const statement = `CREATE INDEX ${quoted(`by_${columns.join('_')}`.slice(0, 64))} ON ${table
    .split('.')
    .map(quoted)
    .join('.')} (${names})`
  return {
    level: 'warning',
    fact,
    found: `${table} has no index on ${columns.join(', ')}: it is read whole each time`,
    remedies: { mysql: statement },
  }
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}
