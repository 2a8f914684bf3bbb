/** A few connections to the server that keeps small state, through mysql2. */
import { createPool, type Pool, type PoolConnection, type PoolOptions } from 'mysql2/promise'
import { isAnswered, storeFailure } from './store-errors.ts'

export interface MysqlStoreSettings {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly schema: string
  /** Before the name of every table: letters, digits, underscores. */
  readonly prefix: string
  readonly tls: StoreTls | undefined
  /** How long one statement may take, ms; 10000 where it is not given. */
  readonly timeoutMs?: number
}

/** Certificates and keys as PEM text. */
interface StoreTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly verify: boolean
  readonly verifyName: boolean
}

export type Connection = Pick<PoolConnection, 'beginTransaction' | 'commit' | 'query'>

export interface Connections {
  /** `what` says what is being done, for errors: `reading NAME`. */
  use<T>(what: string, work: (connection: Connection) => Promise<T>): Promise<T>
  close(): Promise<void>
}

const connectionsMax = 4

export function connectionsOf(settings: MysqlStoreSettings): Connections {
  const { host, port, user, schema, timeoutMs = 10_000 } = settings
  const pool = createPool(poolOptions(settings, timeoutMs))
  const place = `the store at ${host}:${port}/${schema} as ${user}`
  return {
    async use(what, work) {
      let connection: PoolConnection | undefined
      try {
        connection = await pool.getConnection()
        const result = await within(
          timeoutMs,
          prepared(connection).then(() => work(connection as Connection)),
        )
        connection.release()
        return result
      } catch (error) {
        await giveBack(connection, error)
        throw storeFailure(error, `${what} in ${place}`, settings)
      }
    },
    close: () => closed(pool),
  }
}

function poolOptions(
  { host, port, user, password, schema, tls }: MysqlStoreSettings,
  timeoutMs: number,
): PoolOptions {
  return {
    host,
    port,
    user,
    password,
    database: schema,
    charset: 'utf8mb4',
    timezone: 'Z',
    supportBigNumbers: true,
    connectTimeout: timeoutMs,
    connectionLimit: connectionsMax,
    // What a firewall forgot while it was idle is better not used again.
    idleTimeout: 30_000,
    maxIdle: 1,
    ...(tls === undefined
      ? {}
      : { ssl: { ...tls, rejectUnauthorized: tls.verify, verifyIdentity: tls.verifyName } }),
  }
}

const preparedOnes = new WeakSet<PoolConnection>()

/** READ COMMITTED: two who insert different names never wait for each other. Strict: nothing is cut to fit. */
async function prepared(connection: PoolConnection): Promise<void> {
  if (preparedOnes.has(connection)) return
  await connection.query("SET SESSION sql_mode = 'STRICT_ALL_TABLES', autocommit = 1, time_zone = '+00:00'")
  await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED')
  preparedOnes.add(connection)
}

/** A server that does not answer is as good as away; what it does with the statement is not known. */
async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(Object.assign(new Error(`no answer in ${timeoutMs} ms`), { code: 'ETIMEDOUT' })),
    timeoutMs,
  )
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** After an error that the server itself told, the connection is sound; after any other nobody knows. */
async function giveBack(connection: PoolConnection | undefined, error: unknown): Promise<void> {
  if (connection === undefined) return
  try {
    if (!isAnswered(error)) throw error
    await connection.rollback()
    connection.release()
  } catch {
    connection.destroy()
  }
}

async function closed(pool: Pool): Promise<void> {
  try {
    await pool.end()
  } catch {
    // A connection that is broken already cannot be ended in good order.
  }
}
