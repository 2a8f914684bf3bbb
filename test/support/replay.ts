/** What a stream of changes leaves behind, and what the table itself holds, in one form. */
import type { Change } from '../../src/change/change.ts'
import { textOf, unpackRow } from '../../src/change/row.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { alive, requestOf } from './open-source.ts'
import { settingsOf } from './source-reading.ts'

/** The rows by key; each a list of cells. */
export type Rows = ReadonlyMap<string, readonly (string | null | undefined)[]>

/** Applies the changes of one table to the rows that it had before. */
export function replayed(changes: readonly Change[], begin: Rows = new Map()): Rows {
  const rows = new Map(begin)
  for (const { key, table, after } of changes) {
    rows.delete(textOf(key))
    if (after !== undefined) rows.set(textOf(key), cellsOf(after, table.columns.length))
  }
  return sorted(rows)
}

/** The table as a query shows it. */
export async function selected(server: SqlServer, table: string): Promise<Rows> {
  const source = createMysqlSource(settingsOf(server), [table])
  try {
    const { rows, table: definition } = await source.chunk(
      await requestOf(source, table, undefined, 1_000_000),
      alive(),
    )
    const width = definition.columns.length
    return sorted(new Map(rows.map(({ key, row }) => [textOf(key), cellsOf(row, width)])))
  } finally {
    await source.close()
  }
}

function cellsOf(
  row: Parameters<typeof unpackRow>[0],
  width: number,
): readonly (string | null | undefined)[] {
  return unpackRow(row, width).map((cell) => (typeof cell === 'string' ? textOf(cell) : cell))
}

function sorted(rows: Rows): Rows {
  return new Map([...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
