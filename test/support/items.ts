/** What the table of items should look like in the index; shares nothing with the program that it checks. */
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { SearchIndex, Source } from './search-index.ts'

/** The first differences between table and index, in words; none = equal. Both sides must be at rest. */
export async function differencesOfItems(
  connection: Connection,
  table: string,
  index: SearchIndex,
): Promise<{ readonly rows: number; readonly differences: readonly string[] }> {
  await index.refresh()
  const documents = new Map<string, Source>()
  for await (const { _id: id, _source: source } of index.documents()) documents.set(id, source)
  await connection.query("SET time_zone = '+00:00'")
  const [rows] = await connection.query<RowDataPacket[]>({
    sql: `SELECT CAST(id AS CHAR) AS id, counter, name, CAST(price AS CHAR) AS price, note,
            DATE_FORMAT(changed_at, '%Y-%m-%dT%H:%i:%s.%fZ') AS changed_at FROM ${table}`,
  })
  const differences: string[] = []
  for (const row of rows) {
    const id = String(row['id'])
    const document = documents.get(id)
    documents.delete(id)
    if (document === undefined) differences.push(`${id}: no document`)
    else if (textOf(row, id) !== textOf(document, String(document['id']))) {
      differences.push(`${id}: ${textOf(row, id)} is ${JSON.stringify(document)}`)
    }
  }
  for (const id of documents.keys()) differences.push(`${id}: a document without a row`)
  return { rows: rows.length, differences }
}

const compared = ['counter', 'name', 'price', 'note', 'changed_at'] as const

function textOf(values: Readonly<Record<string, unknown>>, id: string): string {
  return JSON.stringify([id, ...compared.map((name) => values[name])])
}
