/** A table of wide rows, each with the digest of its content: what gigabytes are made of. */
import assert from 'node:assert/strict'
import { createHash, type BinaryLike } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { SearchIndex } from './search-index.ts'

export const wideTable = 'soak.wide'
/** One for each kind of content. */
export function wideIndex(content: Content): string {
  return `wide_${content}`
}

/** `text` packs well; `random` bytes do not pack at all. */
export type Content = 'text' | 'random'

/** Of the content of one row; a megabyte has 250. */
export const wideRowBytes = 4_000

/** A pipeline that keeps the index equal to the table; the content is kept there, and not searched. */
export function widePipeline(content: Content): object {
  return {
    table: wideTable,
    target: {
      index: wideIndex(content),
      settings: { number_of_shards: 1, number_of_replicas: 0, refresh_interval: '30s' },
      mappings: {
        body: content === 'text' ? { type: 'keyword', index: false, doc_values: false } : { type: 'binary' },
      },
    },
    policy: { start: 'load' },
  }
}

/** Makes the empty table; one that is there is lost. */
export async function createWideTable(connection: Connection, content: Content): Promise<void> {
  await connection.query('CREATE DATABASE IF NOT EXISTS soak')
  // The server wants one for a WITH, whatever that names.
  await connection.query('USE soak')
  await connection.query(`DROP TABLE IF EXISTS ${wideTable}`)
  const type = content === 'text' ? 'LONGTEXT CHARACTER SET ascii' : 'LONGBLOB'
  await connection.query(
    `CREATE TABLE ${wideTable} (id INT PRIMARY KEY, body ${type} NOT NULL,
    digest CHAR(64) AS (SHA2(body, 256)) STORED)`,
  )
}

export interface WideFill {
  readonly content: Content
  readonly rows: number
  readonly rowsPerTransaction: number
  readonly onProgress?: (rowsDone: number) => void
}

/** Inserts rows from 1 on, 1000 in a statement; the last of them are there when it resolves. */
export async function fillWideTable(connection: Connection, fill: WideFill): Promise<void> {
  let open = 0
  for (let from = 0; from < fill.rows; from += rowsPerStatement) {
    const count = Math.min(rowsPerStatement, fill.rows - from)
    if (open === 0) await connection.query('BEGIN')
    await connection.query(insertOf(fill.content, from, count))
    open += count
    if (open < fill.rowsPerTransaction && from + count < fill.rows) continue
    await connection.query('COMMIT')
    open = 0
    fill.onProgress?.(from + count)
  }
}

/** Throws unless the index holds exactly the table's rows, and each of them whole. */
export async function assertWideEqual(connection: Connection, index: SearchIndex): Promise<void> {
  const [[row]] = await connection.query<RowDataPacket[]>(
    `SELECT COUNT(*) AS count, CAST(IFNULL(SUM(CRC32(CONCAT(id, digest))), 0) AS CHAR) AS sum FROM ${wideTable}`,
  )
  let [count, sum] = [0, 0n]
  for await (const { _source: document } of index.documents(250)) {
    const { id, digest, body } = document as {
      readonly id: number
      readonly digest: string
      readonly body: string
    }
    // In the index random bytes are base64.
    const isText = body.length === wideRowBytes
    assert.equal(digestOf(isText ? body : Buffer.from(body, 'base64')), digest, `row ${id} is whole`)
    count++
    sum += BigInt(crc32(`${id}${digest}`))
  }
  assert.deepEqual({ count, sum }, { count: Number(row?.['count']), sum: BigInt(String(row?.['sum'])) })
}

const rowsPerStatement = 1000

function insertOf(content: Content, from: number, count: number): string {
  const numbers = `WITH RECURSIVE n (id) AS (SELECT ${from} + 1 UNION ALL SELECT id + 1 FROM n WHERE id < ${from + count})`
  return `INSERT INTO ${wideTable} (id, body) ${numbers} SELECT id, ${bodies[content]} FROM n`
}

const bodies: Readonly<Record<Content, string>> = {
  text: `CAST(RPAD('', ${wideRowBytes}, CONCAT(SHA2(id, 512), ' of row ', id, '; ')) AS CHAR CHARACTER SET ascii)`,
  random: `CONCAT(${Array.from({ length: wideRowBytes / 1000 }, () => 'RANDOM_BYTES(1000)').join(', ')})`,
}

function digestOf(bytes: BinaryLike): string {
  return createHash('sha256').update(bytes).digest('hex')
}
