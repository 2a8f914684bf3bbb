/** The store's tables, brought to this program's version by whichever process comes first. */
import { createHash } from 'node:crypto'
import type { RowDataPacket } from 'mysql2/promise'
import { Failure } from '../../change/failure.ts'
import type { Connection } from './connections.ts'
import { isMissingTable } from './store-errors.ts'

/**
 * Each brings the tables from the version before it to its own; the first is version 1. Never changed once released. The
 * server commits each statement by itself, so each can be carried out again after an interruption.
 */
const migrations: readonly ((prefix: string) => readonly string[])[] = [
  (prefix) => [
    `CREATE TABLE IF NOT EXISTS \`${prefix}value\` (
       name VARBINARY(700) NOT NULL PRIMARY KEY, value LONGTEXT NOT NULL, revision BIGINT UNSIGNED NOT NULL
     ) ${tableOptions}`,
    `CREATE TABLE IF NOT EXISTS \`${prefix}stream\` (
       name VARBINARY(700) NOT NULL PRIMARY KEY, number BIGINT UNSIGNED NOT NULL
     ) ${tableOptions}`,
    `CREATE TABLE IF NOT EXISTS \`${prefix}record\` (
       stream VARBINARY(700) NOT NULL, number BIGINT UNSIGNED NOT NULL, record LONGTEXT NOT NULL,
       PRIMARY KEY (stream, number)
     ) ${tableOptions}`,
  ],
]

const tableOptions = 'ENGINE = InnoDB ROW_FORMAT = DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'

/** How long another process may take that makes the tables at the same time. */
const lockSeconds = 30

/** Throws a Failure: `unsupported` where a newer program wrote the tables, `transient` where another one keeps the lock. */
export async function migrate(connection: Connection, prefix: string): Promise<void> {
  if ((await versionOf(connection, prefix)) === migrations.length) return
  const lock = await lockName(connection, prefix)
  const [[got]] = await connection.query<RowDataPacket[]>('SELECT GET_LOCK(?, ?) AS got', [lock, lockSeconds])
  if (got?.['got'] !== 1) {
    throw new Failure(
      'transient',
      `another process has been making the tables ${prefix}* for ${lockSeconds} s`,
    )
  }
  try {
    await migrateLocked(connection, prefix)
  } finally {
    await connection.query('SELECT RELEASE_LOCK(?)', [lock])
  }
}

async function migrateLocked(connection: Connection, prefix: string): Promise<void> {
  const table = `\`${prefix}migration\``
  await connection.query(
    `CREATE TABLE IF NOT EXISTS ${table} (version INT NOT NULL PRIMARY KEY, applied_at TIMESTAMP NOT NULL) ${tableOptions}`,
  )
  const version = await versionOf(connection, prefix)
  if (version > migrations.length) {
    throw new Failure(
      'unsupported',
      `the tables ${prefix}* have version ${version}; this program knows ${migrations.length}`,
      { remedy: 'run the version of millrace that made them, or a newer one' },
    )
  }
  for (const [at, migration] of migrations.entries()) {
    if (at < version) continue
    for (const statement of migration(prefix)) await connection.query(statement)
    await connection.query(`INSERT INTO ${table} VALUES (?, CURRENT_TIMESTAMP)`, [at + 1])
  }
}

async function versionOf(connection: Connection, prefix: string): Promise<number> {
  try {
    const sql = `SELECT MAX(version) AS version FROM \`${prefix}migration\``
    const [[row]] = await connection.query<RowDataPacket[]>(sql)
    return Number(row?.['version'] ?? 0)
  } catch (error) {
    if (isMissingTable(error)) return 0
    throw error
  }
}

/** Locks belong to the whole server and their names are short: one for each schema and prefix. */
async function lockName(connection: Connection, prefix: string): Promise<string> {
  const [[row]] = await connection.query<RowDataPacket[]>('SELECT DATABASE() AS name')
  const digest = createHash('sha256')
    .update(JSON.stringify([row?.['name'], prefix]))
    .digest('hex')
  return `millrace:${digest.slice(0, 40)}`
}
