/** Whether tables can be captured: one finding for each fact of each table. */
import { explain, Failure } from '../../../change/failure.ts'
import type { Finding } from '../../source.ts'
import { query, type Connection } from '../server/connection.ts'
import { describeTable, tableFacts, type TableOptions, type TableShape } from '../schema/describe.ts'
import { quoted, quotedTable } from '../schema/names.ts'
import { foreignKeysIn, type ForeignKey } from '../schema/foreign-keys.ts'
import type { Grants } from '../server/grants.ts'

/** `cascadesLogged`: whether the binlog shows the rows that a foreign key's action changes. */
export interface TableQuestion {
  readonly grants: Grants
  readonly cascadesLogged: boolean
  readonly optionsOf: (table: string) => TableOptions
}

/** Never throws for a table that is not as it should be. */
export async function examineTables(
  connection: Connection,
  tables: readonly string[],
  question: TableQuestion,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const table of tables) {
    const shape = await described(connection, table, question.optionsOf(table))
    if (shape instanceof Failure) {
      findings.push(await undescribed(connection, table, shape, question.grants))
      continue
    }
    const key = shape.table.key.map((index) => shape.table.columns[index]?.name).join(', ')
    findings.push({
      level: 'ok',
      fact: `table ${table}`,
      found: `${shape.table.columns.length} columns, key (${key})`,
    })
    findings.push(...invalidKeys(table, shape))
    findings.push(await readable(connection, table, shape, question.grants))
    findings.push(await keptBy(connection, table))
    findings.push(...(await cascades(connection, table, question.cascadesLogged)))
  }
  return findings
}

async function described(
  connection: Connection,
  table: string,
  options: TableOptions,
): Promise<TableShape | Failure> {
  try {
    return await describeTable(connection, table, options)
  } catch (error) {
    if (error instanceof Failure && DECIDED.has(error.kind)) return error
    throw error
  }
}

/** Failures that are facts of the table; any other one is trouble on the way to it. */
const DECIDED: ReadonlySet<string> = new Set(['configuration', 'unsupported', 'unauthorised'])

/** A table that may not be read is not seen either: asking for its rows tells the two apart. */
async function undescribed(
  connection: Connection,
  table: string,
  failure: Failure,
  grants: Grants,
): Promise<Finding> {
  const denied = await refusal(connection, `SELECT 1 FROM ${quotedTable(table)} LIMIT 0`)
  if (denied?.kind === 'unauthorised') return notGranted(table, grants)
  const remedy = failure.remedy === undefined ? {} : { remedies: { mysql: failure.remedy } }
  return { level: 'fatal', fact: `table ${table}`, found: failure.message, ...remedy }
}

/** An ENUM shows its label '' and the 0 of an invalid value alike, so that a row with the latter is refused. */
function invalidKeys(table: string, { table: { key, columns }, types }: TableShape): readonly Finding[] {
  return key.flatMap((index) => {
    const [name, type] = [columns[index]?.name ?? '', types[index]]
    if (type?.kind !== 'enum' || !type.labels.includes('')) return []
    const ask = `SELECT COUNT(*) FROM ${quotedTable(table)} WHERE ${quoted(name)} + 0 = 0`
    return {
      level: 'warning' as const,
      fact: `key of ${table}`,
      found: `${name} has the label '', which an invalid value (number 0) looks like: a row with that one stops capture, because it could not be told from one with the label`,
      remedies: { mysql: `see that no row has an invalid value: ${ask}` },
    }
  })
}

async function readable(
  connection: Connection,
  table: string,
  shape: TableShape,
  grants: Grants,
): Promise<Finding> {
  const columns = shape.table.columns.map(({ name }) => quoted(name)).join(', ')
  const denied = await refusal(connection, `SELECT ${columns} FROM ${quotedTable(table)} LIMIT 0`)
  if (denied === undefined) return { level: 'ok', fact: `grant SELECT on ${table}`, found: 'granted' }
  if (denied.kind === 'unauthorised') return notGranted(table, grants)
  return { level: 'fatal', fact: `grant SELECT on ${table}`, found: explain(denied) }
}

function notGranted(table: string, { account }: Grants): Finding {
  const statement = `GRANT SELECT ON ${quotedTable(table)} TO ${account}`
  return {
    level: 'fatal',
    fact: `grant SELECT on ${table}`,
    found: 'not granted',
    remedies: { mysql: statement, rds: statement, aurora: statement, cloudsql: statement },
  }
}

async function refusal(connection: Connection, sql: string): Promise<Failure | undefined> {
  try {
    await query(connection, sql, [], 'trying to read')
    return undefined
  } catch (error) {
    if (error instanceof Failure && error.kind !== 'transient') return error
    throw error
  }
}

async function keptBy(connection: Connection, table: string): Promise<Finding> {
  const facts = await tableFacts(connection, table)
  const engine = facts?.engine ?? 'unknown'
  const fact = `engine of ${table}`
  if (facts?.kind === 'SYSTEM VERSIONED') {
    const found = 'system-versioned: its binlog shows deletes as updates of a hidden column'
    const remedies = { mysql: `ALTER TABLE ${quotedTable(table)} DROP SYSTEM VERSIONING` }
    return { level: 'fatal', fact, found, remedies }
  }
  if (TRANSACTIONAL.has(engine.toLowerCase())) return { level: 'ok', fact, found: engine }
  const found = `${engine} knows no transactions: a read of the table may see half of a change`
  return {
    level: 'warning',
    fact,
    found,
    remedies: { mysql: `ALTER TABLE ${quotedTable(table)} ENGINE = InnoDB` },
  }
}

const TRANSACTIONAL: ReadonlySet<string> = new Set(['innodb', 'rocksdb', 'tokudb', 'ndbcluster'])

/** Foreign keys of the table whose action changes its rows. */
async function cascades(connection: Connection, table: string, logged: boolean): Promise<readonly Finding[]> {
  const [row] = await query(
    connection,
    `SHOW CREATE TABLE ${quotedTable(table)}`,
    [],
    `reading the keys of ${table}`,
  )
  const keys = foreignKeysIn(String(row?.['Create Table'] ?? ''), table.toLowerCase())
  const acting = keys.filter(({ key }) => key.onDelete !== 'nothing' || key.onUpdate !== 'nothing')
  if (acting.length === 0) return []
  const list = acting.map(({ key, parent }) => `${parent} (${actionsText(key)})`).join(', ')
  const fact = `cascades onto ${table}`
  if (logged) return [{ level: 'ok', fact, found: `from ${list}: in the binlog` }]
  return [
    {
      level: 'warning',
      fact,
      found: `from ${list}: not in the binlog; when a parent's rows change, the rows concerned are read again, or the whole table where they cannot be told`,
      remedies: {
        mysql: 'MySQL 9.6 and later write them into the binlog (innodb_native_foreign_keys = OFF)',
      },
    },
  ]
}

function actionsText({ onDelete, onUpdate }: ForeignKey): string {
  const actions = [onDelete === 'nothing' ? '' : 'ON DELETE', onUpdate === 'nothing' ? '' : 'ON UPDATE']
  return actions.filter((action) => action !== '').join(', ')
}
