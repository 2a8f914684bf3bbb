/** A table against the index that should mirror it, value by value as text; shares nothing with the program that it checks. */
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { SearchIndex } from './search-index.ts'

/** A row as the server writes its values in text. */
export type TextRow = Readonly<Record<string, string | null>>

export interface Expected {
  readonly id: string
  readonly document: TextRow
}

export interface MirrorQuestion {
  readonly connection: Connection
  /** `schema.table`; its columns are ones that JSON writes with the server's own digits: integers, decimals, text. */
  readonly table: string
  readonly index: SearchIndex
  /** What a row should look like; undefined = it should have no document. Default: every column, under the id of `id`. */
  readonly expect?: (row: TextRow) => Expected | undefined
}

/** What differs, in words; none = equal. Both sides must be at rest. */
export async function differencesOf(question: MirrorQuestion): Promise<readonly string[]> {
  const { connection, table, index, expect = wholeRow } = question
  await index.refresh()
  const found = new Map<string, TextRow>()
  for await (const { _id: id, _source: source } of index.documents()) found.set(id, textsOf(source))
  const [rows] = await connection.query<RowDataPacket[]>({
    sql: `SELECT * FROM ${table}`,
    typeCast: (field) => field.string(),
  })
  const differences: string[] = []
  for (const row of rows as readonly TextRow[]) {
    const expected = expect({ ...row })
    if (expected === undefined) continue
    const [wanted, got] = [sorted(expected.document), sorted(found.get(expected.id))]
    if (wanted !== got) differences.push(`${expected.id}: ${wanted} is ${got}`)
    found.delete(expected.id)
  }
  for (const id of found.keys()) differences.push(`${id}: a document without a row`)
  return differences
}

function wholeRow(row: TextRow): Expected {
  return { id: String(row['id']), document: row }
}

function textsOf(source: Readonly<Record<string, unknown>>): TextRow {
  return Object.fromEntries(
    Object.entries(source).map(([name, value]) => [name, value === null ? null : textOf(value)]),
  )
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function sorted(row: TextRow | undefined): string {
  if (row === undefined) return 'no document'
  return JSON.stringify(Object.entries(row).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
