/**
 * Compares every row with every document, field by field. It shares nothing with the program that it checks: its own
 * query, its own requests, its own idea of what a document is.
 */
import type { Connection, RowDataPacket } from 'mysql2/promise'

export interface Comparison {
  readonly rows: number
  readonly documents: number
  /** How many rows and documents differ. */
  readonly differences: number
  /** The first of them, in words. */
  readonly examples: readonly string[]
}

/** Both sides must be at rest, and everything written must be findable. */
export async function compareCities(
  connection: Connection,
  searchUrl: string,
  index: string,
): Promise<Comparison> {
  const documents = await readDocuments(searchUrl, index)
  const all = documents.size
  const examples: string[] = []
  let differences = 0
  let rows = 0
  const differ = (text: string): void => {
    differences++
    if (examples.length < examplesMax) examples.push(text)
  }
  await connection.query("SET time_zone = '+00:00'")
  for (let after = -1; ;) {
    const page = await readRows(connection, after)
    for (const row of page) {
      const id = String(row['city_id'])
      const difference = differenceOf(row, documents.get(id))
      if (difference !== undefined) differ(`city ${id}: ${difference}`)
      documents.delete(id)
    }
    rows += page.length
    if (page.length < rowsPerPage) break
    after = Number(page.at(-1)?.['city_id'])
  }
  for (const id of documents.keys()) differ(`city ${id}: there is a document without a row`)
  return { rows, documents: all, differences, examples }
}

type Values = Readonly<Record<string, unknown>>

/** Document field: how its value follows from the row. */
const expected: Readonly<Record<string, (row: Values) => unknown>> = {
  id: (row) => row['city_id'],
  name: (row) => row['name'],
  country: (row) => row['country'],
  alternateCountry: (row) => row['alt_country'],
  municipality: (row) => row['municipality'],
  submunicipality: (row) => row['municipality_sub'],
  featureCode: (row) => row['feature_code'],
  adminCode: (row) => row['admin_code'],
  population: (row) => row['population'],
  longitude: (row) => row['longitude'],
  latitude: (row) => row['latitude'],
  updatedAt: (row) => `${String(row['updated_at']).replace(' ', 'T')}Z`,
}

function differenceOf(row: Values, document: Values | undefined): string | undefined {
  if (document === undefined) return 'there is a row without a document'
  for (const [field, valueOf] of Object.entries(expected)) {
    const value = valueOf(row)
    const found = document[field]
    if (found !== value) {
      return `${field} is ${JSON.stringify(found)} in the document, ${JSON.stringify(value)} by the row`
    }
  }
  const extra = Object.keys(document).find((field) => !(field in expected))
  return extra === undefined ? undefined : `the document has a field ${extra} that no column asks for`
}

async function readRows(connection: Connection, after: number): Promise<readonly RowDataPacket[]> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT city_id, name, country, alt_country, municipality, municipality_sub, feature_code, admin_code, population,
       longitude, latitude, CAST(updated_at AS CHAR) AS updated_at
     FROM geo.cities WHERE city_id > ? ORDER BY city_id LIMIT ${rowsPerPage}`,
    [after],
  )
  return rows
}

async function readDocuments(searchUrl: string, index: string): Promise<Map<string, Values>> {
  const documents = new Map<string, Values>()
  const ask = async (path: string, body: object): Promise<Page> => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${searchUrl}${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${await response.text()}`)
    return (await response.json()) as Page
  }
  let page = await ask(`/${index}/_search?scroll=1m`, { size: 10_000, sort: ['_doc'] })
  while (page.hits.hits.length > 0) {
    for (const { _id, _source } of page.hits.hits) documents.set(_id, _source)
    const { _scroll_id: scroll } = page
    page = await ask('/_search/scroll', { scroll: '1m', scroll_id: scroll })
  }
  return documents
}

interface Page {
  readonly _scroll_id: string
  readonly hits: { readonly hits: readonly { readonly _id: string; readonly _source: Values }[] }
}

const rowsPerPage = 20_000
const examplesMax = 20
