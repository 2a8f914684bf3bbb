/** Small state in a MySQL or MariaDB schema: for several processes that share it. */
import type { ResultSetHeader, RowDataPacket } from 'mysql2/promise'
import type { Store, Stored } from '../store.ts'
import { connectionsOf, type Connection, type Connections, type MysqlStoreSettings } from './connections.ts'
import { migrate } from './migrations.ts'
import { isDuplicate } from './store-errors.ts'

/**
 * Connects when it is first used, makes its tables then, and connects anew after an interruption. Every call throws a
 * Failure: `transient` while the server is away or another process keeps what is to be written, `unauthorised` or
 * `configuration` where a person must act. After a transient one it is not known whether a write was carried out.
 */
export function createMysqlStore(settings: MysqlStoreSettings): Store {
  return new MysqlStore(connectionsOf(settings), settings.prefix)
}

class MysqlStore implements Store {
  readonly #connections: Connections
  readonly #prefix: string
  #migrated: Promise<void> | undefined

  constructor(connections: Connections, prefix: string) {
    this.#connections = connections
    this.#prefix = prefix
  }

  get(name: string): Promise<Stored | undefined> {
    return this.#answer(`reading ${name}`, async (connection) => {
      const sql = `SELECT name, value, revision FROM ${this.#table('value')} WHERE name = ?`
      const [row] = await rowsOf(connection, sql, [bytes(name)])
      return row === undefined ? undefined : stored(row)
    })
  }

  put(name: string, value: string, expectedRevision: number): Promise<Stored | undefined> {
    return this.#answer(`writing ${name}`, async (connection) => {
      const isWritten =
        expectedRevision === 0
          ? await this.#insert(connection, name, value)
          : await this.#update(connection, { name, value, revision: expectedRevision })
      return isWritten ? { name, value, revision: expectedRevision + 1 } : undefined
    })
  }

  async #insert(connection: Connection, name: string, value: string): Promise<boolean> {
    try {
      const sql = `INSERT INTO ${this.#table('value')} (name, value, revision) VALUES (?, ?, 1)`
      await connection.query(sql, [bytes(name), value])
      return true
    } catch (error) {
      if (isDuplicate(error)) return false
      throw error
    }
  }

  async #update(connection: Connection, { name, value, revision }: Stored): Promise<boolean> {
    const sql = `UPDATE ${this.#table('value')} SET value = ?, revision = revision + 1 WHERE name = ? AND revision = ?`
    const [result] = await connection.query<ResultSetHeader>(sql, [value, bytes(name), revision])
    return result.affectedRows === 1
  }

  list(prefix: string, after: string | undefined, limit: number): Promise<readonly Stored[]> {
    return this.#answer(`listing ${prefix}`, async (connection) => {
      const sql =
        `SELECT name, value, revision FROM ${this.#table('value')} ` +
        'WHERE name >= ? AND name > ? AND LEFT(name, ?) = ? ORDER BY name LIMIT ?'
      const wanted = bytes(prefix)
      const rows = await rowsOf(connection, sql, [wanted, bytes(after ?? ''), wanted.length, wanted, limit])
      return rows.map(stored)
    })
  }

  /** The stream's counter is locked from the first statement on: who appends at the same time waits, and none is passed. */
  append(stream: string, record: string): Promise<number> {
    return this.#answer(`appending to ${stream}`, async (connection) => {
      const name = bytes(stream)
      await connection.beginTransaction()
      await connection.query(
        `INSERT INTO ${this.#table('stream')} (name, number) VALUES (?, 1) ON DUPLICATE KEY UPDATE number = number + 1`,
        [name],
      )
      const sql = `SELECT number FROM ${this.#table('stream')} WHERE name = ?`
      const [row] = await rowsOf(connection, sql, [name])
      const number = Number(row?.['number'])
      await connection.query(
        `INSERT INTO ${this.#table('record')} (stream, number, record) VALUES (?, ?, ?)`,
        [name, number, record],
      )
      await connection.commit()
      return number
    })
  }

  newest(stream: string, limit: number): ReturnType<Store['newest']> {
    return this.#answer(`reading ${stream}`, async (connection) => {
      const sql = `SELECT number, record FROM ${this.#table('record')} WHERE stream = ? ORDER BY number DESC LIMIT ?`
      const rows = await rowsOf(connection, sql, [bytes(stream), limit])
      return rows.map((row) => ({ number: Number(row['number']), record: String(row['record']) }))
    })
  }

  close(): Promise<void> {
    return this.#connections.close()
  }

  async #answer<T>(what: string, work: (connection: Connection) => Promise<T>): Promise<T> {
    this.#migrated ??= this.#connections.use('preparing its tables', (connection) =>
      migrate(connection, this.#prefix),
    )
    try {
      await this.#migrated
    } catch (error) {
      this.#migrated = undefined
      throw error
    }
    return await this.#connections.use(what, work)
  }

  #table(name: 'value' | 'stream' | 'record'): string {
    return `\`${this.#prefix}${name}\``
  }
}

/** Names are compared as bytes. */
function bytes(text: string): Buffer {
  return Buffer.from(text, 'utf8')
}

function stored(row: RowDataPacket): Stored {
  const name = row['name'] as Buffer
  return { name: name.toString('utf8'), value: String(row['value']), revision: Number(row['revision']) }
}

async function rowsOf(
  connection: Connection,
  sql: string,
  values: readonly unknown[],
): Promise<RowDataPacket[]> {
  const [rows] = await connection.query<RowDataPacket[]>(sql, [...values])
  return rows
}
