/** Countries and regions of the world's cities, and what the documents of regions should look like. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { SearchIndex } from '../support/search-index.ts'
import type { Comparison } from './checker.ts'
import { citiesTable } from './cities-table.ts'

/** Makes both tables from that of the cities. */
export async function loadRegions(connection: Connection): Promise<void> {
  await connection.query(`ALTER TABLE ${citiesTable} ADD KEY by_region (country, admin_code)`)
  await connection.query(
    'CREATE TABLE geo.countries (code CHAR(2) NOT NULL PRIMARY KEY, name VARCHAR(80) NOT NULL)',
  )
  const [codes] = await connection.query<RowDataPacket[]>(`SELECT DISTINCT country FROM ${citiesTable}`)
  const rows = codes.map(({ country }) => [country, nameOf(String(country))])
  await connection.query('INSERT INTO geo.countries VALUES ?', [rows])
  await connection.query(
    'CREATE TABLE geo.regions (country CHAR(2) NOT NULL, code VARCHAR(20) NOT NULL, PRIMARY KEY (country, code))',
  )
  await connection.query(`INSERT INTO geo.regions SELECT DISTINCT country, admin_code FROM ${citiesTable}`)
}

/** Gives a country another name now and then, which every one of its regions shows. */
export async function renameCountries(connection: Connection, signal: AbortSignal): Promise<void> {
  for (let count = 1; !signal.aborted; count++) {
    await connection.query(
      "UPDATE geo.countries SET name = CONCAT(SUBSTRING_INDEX(name, ' (', 1), ' (', ?, ')') ORDER BY RAND() LIMIT 1",
      [count],
    )
    await delay(500, undefined, { signal }).catch(() => {})
  }
}

/** Both sides must be at rest, and everything written must be findable. */
export async function compareRegions(
  connection: Connection,
  index: SearchIndex,
  moreOf: (country: string, code: string) => object = () => ({}),
): Promise<Comparison> {
  const documents = new Map<string, string>()
  for await (const { _id: id, _source: source } of index.documents())
    documents.set(id, JSON.stringify(source))
  const all = documents.size
  const cities = await largestCities(connection)
  const [rows] = await connection.query<RowDataPacket[]>(
    'SELECT r.country, r.code, c.name FROM geo.regions r LEFT JOIN geo.countries c ON c.code = r.country',
  )
  const differing: string[] = []
  for (const { country, code, name } of rows) {
    const id = `${country}|${code}`
    const nation = name === null ? null : { name: String(name) }
    const more = moreOf(String(country), String(code))
    const largest = cities.get(id.toLowerCase()) ?? []
    const wanted = JSON.stringify({ country, code, nation, cities: largest, ...more })
    if (documents.get(id) !== wanted) differing.push(`region ${id}: ${wanted} is ${documents.get(id)}`)
    documents.delete(id)
  }
  for (const id of documents.keys()) differing.push(`region ${id}: a document without a row`)
  return { rows: rows.length, documents: all, differences: differing.length, examples: differing.slice(0, 5) }
}

/** By region, in small letters. */
async function largestCities(connection: Connection): Promise<ReadonlyMap<string, unknown>> {
  await connection.query('SET SESSION group_concat_max_len = 1000000')
  const [rows] = await connection.query<RowDataPacket[]>(
    `WITH ranked AS (SELECT country, admin_code, city_id, name, population,
         ROW_NUMBER() OVER (PARTITION BY country, admin_code ORDER BY population DESC, city_id) AS place
       FROM ${citiesTable})
     SELECT CONCAT(country, '|', admin_code) AS id, CONCAT('[', GROUP_CONCAT(
         CONCAT('{"id":', city_id, ',"name":', JSON_QUOTE(name), ',"population":', population, '}')
         ORDER BY place SEPARATOR ','), ']') AS cities
     FROM ranked WHERE place <= 10 GROUP BY country, admin_code`,
  )
  return new Map(
    rows.map(({ id, cities }) => [String(id).toLowerCase(), JSON.parse(String(cities)) as unknown]),
  )
}

function nameOf(code: string): string {
  const names = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'code' })
  return /^[A-Z]{2}$/.test(code) ? (names.of(code) ?? code) : code
}
