/** A live application on one table: random small transactions of inserts, updates, deletes and key changes, until stopped. */
import type { Connection } from 'mysql2/promise'
import { Random } from './random.ts'

export interface WorkloadOptions {
  readonly connect: () => Promise<Connection>
  /** `schema.table`, as `createItems` made it. */
  readonly table: string
  readonly seed: number
  /** Ids are below this. */
  readonly ids: number
  readonly transactionsPerSecond: number
  /** The share of statements that delete; 0.2 where it is not given. */
  readonly deletes?: number
}

/** The table that the workload writes. */
export async function createItems(connection: Connection, table: string, rows: number): Promise<void> {
  const [schema = ''] = table.split('.')
  await connection.query(`CREATE DATABASE IF NOT EXISTS ${schema} CHARACTER SET utf8mb4`)
  await connection.query(
    `CREATE TABLE ${table} (
      id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
      counter INT NOT NULL,
      name VARCHAR(80) NOT NULL,
      price DECIMAL(12,2),
      note TEXT,
      changed_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)
    )`,
  )
  for (let first = 0; first < rows; first += 1000) {
    const count = Math.min(1000, rows - first)
    const values = Array.from({ length: count }, (_, at) => itemOf(first + at, 0))
    await connection.query(`INSERT INTO ${table} (id, counter, name, price, note) VALUES ?`, [values])
  }
}

/** Statements beside a workload: where the server ends one to resolve a deadlock, it is made again, as applications do. */
export async function executeBeside(connection: Connection, ...statements: readonly string[]): Promise<void> {
  for (const statement of statements) {
    for (let isDone = false; !isDone;) {
      isDone = await connection.query(statement).then(
        () => true,
        (error: unknown) => {
          if (codeOf(error) !== 'ER_LOCK_DEADLOCK') throw error
          return false
        },
      )
    }
  }
}

export class Workload {
  readonly #options: WorkloadOptions
  readonly #random: Random
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #transactions = 0

  constructor(options: WorkloadOptions) {
    this.#options = options
    this.#random = new Random(options.seed)
  }

  /** Transactions committed so far. */
  get transactions(): number {
    return this.#transactions
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Resolves when the last transaction is committed; throws what went wrong on the way. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #run(): Promise<void> {
    const pauseMs = 1000 / this.#options.transactionsPerSecond
    let connection: Connection | undefined
    while (!this.#stop.signal.aborted) {
      const dueAtMs = Date.now() + pauseMs
      try {
        connection ??= await this.#options.connect()
        await this.#transaction(connection)
        this.#transactions++
      } catch (error) {
        // The server may be stopped, or choose a victim: the application tries again, as applications do.
        if (!isPassing(error)) throw error
        connection?.destroy()
        connection = undefined
      }
      await pause(dueAtMs - Date.now())
    }
    await connection?.end()
  }

  async #transaction(connection: Connection): Promise<void> {
    const random = this.#random
    await connection.beginTransaction()
    try {
      for (let left = 1 + random.below(4); left > 0; left--) await this.#statement(connection)
      if (random.next() < 0.1) await connection.rollback()
      else await connection.commit()
    } catch (error) {
      await connection.rollback().catch(() => undefined)
      throw error
    }
  }

  async #statement(connection: Connection): Promise<void> {
    const { table, ids, deletes = 0.2 } = this.#options
    const random = this.#random
    const [id, other, counter] = [random.below(ids), random.below(ids), random.below(1_000_000)]
    const chance = random.next()
    if (chance < deletes) {
      await connection.query(`DELETE FROM ${table} WHERE id = ?`, [id])
      return
    }
    const kind = (chance - deletes) / (1 - deletes)
    if (kind < 0.56)
      await connection.query(`UPDATE ${table} SET counter = ?, name = ? WHERE id = ?`, [
        counter,
        `näme ${counter}`,
        id,
      ])
    else if (kind < 0.87)
      await connection.query(`REPLACE INTO ${table} (id, counter, name, price, note) VALUES (?)`, [
        itemOf(id, counter),
      ])
    else await connection.query(`UPDATE IGNORE ${table} SET id = ? WHERE id = ?`, [other, id])
  }
}

function itemOf(id: number, counter: number): readonly unknown[] {
  return [
    id,
    counter,
    `item "${id}" ü`,
    (counter % 100_000) / 100,
    counter % 7 === 0 ? null : `line\n${counter}`,
  ]
}

function isPassing(error: unknown): boolean {
  const passing = [
    'PROTOCOL_CONNECTION_LOST',
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ER_SERVER_SHUTDOWN',
    'ETIMEDOUT',
    'ER_LOCK_DEADLOCK',
    // The server leads no more.
    'ER_OPTION_PREVENTS_STATEMENT',
  ]
  return passing.includes(codeOf(error)) || isClosed(error)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** The driver gives this one no code. */
function isClosed(error: unknown): boolean {
  return error instanceof Error && error.message.includes('closed state')
}

async function pause(durationMs: number): Promise<void> {
  if (durationMs > 0) await new Promise((resolve) => setTimeout(resolve, durationMs))
}
