/** A table of ten mixed columns, about 180 bytes a row, whose every row follows from its number. */
import { crc32 } from 'node:zlib'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { SearchIndex, Source } from './search-index.ts'

export const referenceTable = 'bench.orders'
export const referenceIndex = 'orders'

/** A pipeline that keeps the index equal to the table; `start` as pipeline files say it. */
export function referencePipeline(start: string, refreshInterval: string): object {
  return {
    table: referenceTable,
    target: {
      index: referenceIndex,
      settings: { number_of_shards: 1, number_of_replicas: 0, refresh_interval: refreshInterval },
    },
    policy: { start },
  }
}

/** Makes the empty table; one that is there is lost. */
export async function createReferenceTable(connection: Connection): Promise<void> {
  await connection.query('CREATE DATABASE IF NOT EXISTS bench')
  await connection.query(`DROP TABLE IF EXISTS ${referenceTable}`)
  await connection.query(`CREATE TABLE ${referenceTable} (
    order_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    customer_id INT UNSIGNED NOT NULL,
    state ENUM('new', 'paid', 'sent', 'done') NOT NULL,
    amount DECIMAL(12,2) NOT NULL,
    currency CHAR(3) NOT NULL,
    email VARCHAR(80) NOT NULL,
    note VARCHAR(200),
    score DOUBLE NOT NULL,
    created_at DATETIME(3) NOT NULL,
    updated_at TIMESTAMP(6) NOT NULL
  ) CHARACTER SET utf8mb4`)
}

export interface Fill {
  /** The number of the first row. */
  readonly from: number
  readonly rows: number
  readonly rowsPerTransaction: number
  readonly onProgress?: (rowsDone: number) => void
}

/** Inserts rows, 1000 in a statement. */
export async function fillReferenceTable(connection: Connection, fill: Fill): Promise<void> {
  await connection.query("SET time_zone = '+00:00'")
  const end = fill.from + fill.rows
  let open = 0
  for (let from = fill.from; from < end; from += rowsPerStatement) {
    const to = Math.min(end, from + rowsPerStatement)
    if (open === 0) await connection.query('BEGIN')
    await connection.query(insertOf(from, to))
    open += to - from
    if (open < fill.rowsPerTransaction && to < end) continue
    await connection.query('COMMIT')
    open = 0
    fill.onProgress?.(to - fill.from)
  }
}

/** The statement that inserts the rows numbered `from` to before `to`. */
export function insertOf(from: number, to: number): string {
  const values: string[] = []
  for (let number = from; number < to; number++) values.push(valuesOf(number))
  return `INSERT INTO ${referenceTable} VALUES ${values.join(',')}`
}

/** The document of a row, to warm a server with. */
export function referenceDocument(number: number): object {
  const { customer, state, amount, currency, email, note, score, created, updated } = rowOf(number)
  return {
    order_id: number,
    customer_id: customer,
    state,
    amount,
    currency,
    email,
    note,
    score,
    created_at: created.replace(' ', 'T'),
    updated_at: `${updated.replace(' ', 'T')}Z`,
  }
}

export interface Checksum {
  readonly count: number
  /** The sum over all rows of the CRC-32 of the row's text. */
  readonly sum: bigint
}

/** Of the table, worked out by its server. */
export async function checksumOfTable(connection: Connection): Promise<Checksum> {
  await connection.query("SET time_zone = '+00:00'")
  const columns = columnNames.map((name) => (name === 'note' ? "IFNULL(note, '~')" : name))
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT COUNT(*) AS count, CAST(SUM(CRC32(CONCAT_WS('|', ${columns.join(', ')}))) AS CHAR) AS sum FROM ${referenceTable}`,
  )
  const [row] = rows
  return { count: Number(row?.['count']), sum: BigInt(String(row?.['sum'] ?? 0)) }
}

/** Of the index, worked out here from what a search finds. */
export async function checksumOfIndex(index: SearchIndex): Promise<Checksum> {
  let count = 0
  let sum = 0n
  for await (const { _source } of index.documents()) {
    count++
    sum += BigInt(checksumOfDocument(_source))
  }
  return { count, sum }
}

/** Of one document: the same as of the row that it shows. */
export function checksumOfDocument(source: Source): number {
  return crc32(columnNames.map((name) => textOf(name, source[name])).join('|'))
}

const rowsPerStatement = 1000
const columnNames = [
  'order_id',
  'customer_id',
  'state',
  'amount',
  'currency',
  'email',
  'note',
  'score',
  'created_at',
  'updated_at',
]

/** A document's value as the table's server writes the column's in text. */
function textOf(column: string, value: unknown): string {
  if (value === null) return '~'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (column === 'created_at') return text.replace('T', ' ')
  return column === 'updated_at' ? text.replace('T', ' ').replace('Z', '') : text
}

interface Row {
  readonly customer: number
  readonly state: string
  readonly amount: string
  readonly currency: string
  readonly email: string
  readonly note: string | null
  readonly score: number
  readonly created: string
  readonly updated: string
}

/** The same each time for one number, and spread so that neighbours differ. */
function rowOf(number: number): Row {
  const spread = Math.imul(number, 2_654_435_761) >>> 0
  const first = words[spread % words.length] ?? ''
  const second = words[(spread >>> 8) % words.length] ?? ''
  const created = new Date(epochMs + (spread % 100_000_000) * 1000 + (number % 1000)).toISOString()
  const updated = new Date(epochMs + (spread % 90_000_000) * 1000).toISOString()
  const micros = String(spread % 1_000_000).padStart(6, '0')
  return {
    customer: spread % 200_000,
    state: states[spread & 3] ?? 'new',
    amount: `${spread % 100_000}.${String((spread >>> 4) % 100).padStart(2, '0')}`,
    currency: currencies[(spread >>> 16) % currencies.length] ?? 'EUR',
    email: `${first}.${second}.${number}@example.com`,
    note: spread % 10 === 0 ? null : noteOf(first, second, spread),
    // Quarters, which every program writes with the same digits.
    score: (spread % 4000) / 4,
    created: created.replace('T', ' ').replace('Z', ''),
    updated: `${updated.slice(0, 10)} ${updated.slice(11, 19)}.${micros}`,
  }
}

function noteOf(first: string, second: string, spread: number): string {
  return `${second} wrote to ${first}: "delivery as agreed", please call ${words[spread % 7] ?? ''} the day before – reference ${spread}, second floor`
}

function valuesOf(number: number): string {
  const { customer, state, amount, currency, email, note, score, created, updated } = rowOf(number)
  const noteText = note === null ? 'NULL' : `'${note}'`
  return `(${number},${customer},'${state}',${amount},'${currency}','${email}',${noteText},${score},'${created}','${updated}')`
}

const epochMs = Date.UTC(2021, 0, 1)
const states = ['new', 'paid', 'sent', 'done']
const currencies = ['EUR', 'USD', 'JPY', 'GBP', 'SEK']
const words = [
  'anna',
  'björn',
  'chloé',
  'dmitri',
  'elif',
  'farid',
  'greta',
  'hiroshi',
  'ingrid',
  'joão',
  'katarzyna',
  'lars',
  'maría',
]
