/**
 * Tables' shapes, kept as long as they are right: one query about the columns of all tables that a read needs says
 * whether what was described before still holds.
 */
import { query, type Connection } from '../server/connection.ts'
import { describeTable, type TableOptions, type TableShape } from './describe.ts'
import { splitName } from './names.ts'

/** A table's shape, and the collation of each of its columns that has one. */
export interface KnownShape {
  readonly shape: TableShape
  readonly collations: ReadonlyMap<string, string>
}

interface Kept {
  /** All that information_schema said of the columns. */
  readonly text: string
  readonly known: KnownShape
}

export class KnownShapes {
  readonly #kept = new Map<string, Kept>()

  /** Each table's shape as it is now. Throws a Failure as describeTable. */
  async of(
    connection: Connection,
    tables: readonly string[],
    optionsOf: (table: string) => TableOptions,
  ): Promise<ReadonlyMap<string, KnownShape>> {
    const found = await columnsOf(connection, tables)
    const shapes = new Map<string, KnownShape>()
    for (const table of tables) {
      const { text, collations } = found.get(table.toLowerCase()) ?? noColumns
      const kept = this.#kept.get(table)
      if (kept !== undefined && kept.text === text) {
        shapes.set(table, kept.known)
        continue
      }
      const known = { shape: await describeTable(connection, table, optionsOf(table)), collations }
      this.#kept.set(table, { text, known })
      shapes.set(table, known)
    }
    return shapes
  }
}

interface ColumnsFound {
  text: string
  readonly collations: Map<string, string>
}

const noColumns: ColumnsFound = { text: '', collations: new Map() }

/** By table, in small letters. */
async function columnsOf(
  connection: Connection,
  tables: readonly string[],
): Promise<ReadonlyMap<string, ColumnsFound>> {
  const rows = await query(
    connection,
    `SELECT LOWER(CONCAT(TABLE_SCHEMA, '.', TABLE_NAME)) AS table_name, COLUMN_NAME AS name,
       COLLATION_NAME AS collation_name, CONCAT_WS('|', COLUMN_TYPE, IS_NULLABLE, COLUMN_KEY) AS facts
     FROM information_schema.COLUMNS
     WHERE ${tables.map(() => '(TABLE_SCHEMA = ? AND TABLE_NAME = ?)').join(' OR ')}
     ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION`,
    tables.flatMap(splitName),
    'looking at the columns of the tables',
  )
  const found = new Map<string, ColumnsFound>()
  for (const { table_name: table, name, collation_name: collation, facts } of rows) {
    const of = found.get(String(table)) ?? { text: '', collations: new Map<string, string>() }
    of.text += `${String(name)}|${String(facts)}|${String(collation)}\n`
    if (collation !== null) of.collations.set(String(name), String(collation))
    found.set(String(table), of)
  }
  return found
}
