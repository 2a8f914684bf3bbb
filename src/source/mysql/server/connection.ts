/** Connections to the server, through mysql2: no other file of this room imports it. */
import type { Duplex } from 'node:stream'
import { createConnection, type Connection, type ConnectionOptions, type RowDataPacket } from 'mysql2/promise'
import { Failure } from '../../../change/failure.ts'
import { failureOf } from './server-errors.ts'

export type { Connection, FieldPacket, QueryOptions } from 'mysql2/promise'

/** How to reach a server. Plain values; the password is never shown in an error. */
export interface MysqlSettings {
  /** The source's own name in the configuration, for messages. */
  readonly name: string
  /** `mysql://user:password@host:port`; the fields below prevail where both are given. */
  readonly url?: string
  readonly host?: string
  /** 3306 where it is not given. */
  readonly port?: number
  /** Further servers of the same topology, as `host` or `host:port`; user, password and TLS are the same. */
  readonly hosts?: readonly string[]
  /** Which of several servers is taken where there is a choice; any where it is not given: the first in order. */
  readonly prefer?: 'any' | 'primary' | 'replica'
  readonly user?: string
  readonly password?: string
  readonly tls?: TlsSettings
  /**
   * The id under which the server sees this reader among its replicas, unique among them. Where it is not given, a
   * random one above 2^30 is drawn: far from the small numbers that people give to servers. Another one is drawn where
   * that one turns out to be in use.
   */
  readonly serverId?: number
  /** How often an idle server says that it is alive, in milliseconds; 5000 where it is not given. */
  readonly heartbeatMs?: number
  /** How long the server may take to answer a question about itself, in milliseconds; 60000 where it is not given. */
  readonly answerTimeoutMs?: number
  /**
   * How long a server may lack transactions that were read before, while it catches up after a failover, until they count
   * as lost, in milliseconds; 30000 where it is not given.
   */
  readonly catchUpMs?: number
  /** How often the other servers are looked at, in milliseconds; 10000 where it is not given. */
  readonly lookAroundMs?: number
  /** Another server of the topology, on which rows are read for documents. */
  readonly reads?: ReadsSettings
  /** How long the server may work at one read, in milliseconds; without a limit where it is not given. */
  readonly readTimeoutMs?: number
  /** `schema.table` → columns that never leave the source's room. */
  readonly excluded?: Readonly<Record<string, readonly string[]>>
  /** Each change says which transaction it comes from. */
  readonly namesTransactions?: boolean
  /** `schema.table` → column → how it is masked before it leaves: masks.ts has the names. */
  readonly masks?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** What hashes are keyed by. */
  readonly maskKey?: string
  /** `schema.table` → columns of the unique key that stands for a missing primary key. */
  readonly keys?: Readonly<Record<string, readonly string[]>>
}

export interface ReadsSettings {
  readonly server: MysqlSettings
  /** How long it may lack what a read has to see, in milliseconds. */
  readonly waitMs: number
  /** What is done then: the source itself is read, or the read fails and is tried again. */
  readonly otherwise: 'primary' | 'wait'
}

interface TlsSettings {
  /** Certificates and keys as PEM text. Without `ca`, the authorities that Node trusts. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** Whether the server's certificate must come from a trusted authority. */
  readonly verify: boolean
  /** Whether it must also bear the host's name. */
  readonly verifyName: boolean
}

/** A value of a result; numbers that a double cannot hold, and dates, come as text. */
export type SqlValue = string | number | null | Buffer
export type SqlRow = Readonly<Record<string, SqlValue>>

/**
 * A connection in UTC that speaks utf8mb4. Throws a Failure: `unauthorised`, `configuration` (TLS) or `transient`.
 */
export async function connect(settings: MysqlSettings): Promise<Connection> {
  const address = addressOf(settings)
  const attempt = `connecting to source ${settings.name} at ${address.host}:${address.port} as ${address.user}`
  try {
    const connection = await createConnection({
      ...address,
      ...(settings.tls === undefined ? {} : { ssl: sslOf(settings.tls) }),
      charset: 'utf8mb4',
      timezone: 'Z',
      dateStrings: true,
      supportBigNumbers: true,
      connectTimeout: connectMsMax,
    })
    // An idle connection that breaks is noticed by its next query, which fails; without a listener it ends the process.
    connection.on('error', () => {})
    if (settings.answerTimeoutMs !== undefined) answerLimits.set(connection, settings.answerTimeoutMs)
    try {
      await query(connection, session, [], attempt)
    } catch (error) {
      hangUp(connection)
      throw error
    }
    return connection
  } catch (error) {
    throw failureOf(error, attempt)
  }
}

/**
 * A key column that the server made by itself is described too: as the binlog has it, and as a SELECT finds it. The comment
 * is a statement to the servers that know such columns, and to them alone.
 */
const session =
  "SET time_zone = '+00:00' /*!80030 , SESSION show_gipk_in_create_table_and_information_schema = ON */"

const connectMsMax = 10_000
const answerMsMaxDefault = 60_000
const answerLimits = new WeakMap<Connection, number>()

/**
 * The rows of one query. `attempt` says what it is for: `reading the server's variables`. Throws a Failure; `transient`, and
 * the connection is ended, where the server does not answer in time: it may hold a lock, or be gone without a word.
 */
export async function query(
  connection: Connection,
  sql: string,
  values: readonly unknown[] = [],
  attempt = 'querying the source',
): Promise<readonly SqlRow[]> {
  const answerMsMax = answerLimits.get(connection) ?? answerMsMaxDefault
  try {
    const [rows] = await connection.query<RowDataPacket[]>({ sql, timeout: answerMsMax }, [...values])
    return Array.isArray(rows) ? rows : []
  } catch (error) {
    if (!isUnanswered(error)) throw failureOf(error, attempt)
    throw unanswered(connection, attempt, { answerMsMax, cause: error })
  }
}

/** Whether a query was given up because its time was over. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'PROTOCOL_SEQUENCE_TIMEOUT'
}

/** Ends the connection, on which the answer may still come. */
export function unanswered(
  connection: Connection,
  what: string,
  { answerMsMax, cause }: { readonly answerMsMax: number; readonly cause: unknown },
): Failure {
  hangUp(connection)
  const { host, port } = connection.config
  const waited = `${host}:${port} gave no answer within ${answerMsMax / 1000} s`
  return new Failure('transient', `${what}: ${waited}`, { cause })
}

/** The socket under a connection, with TLS or without: mysql2 keeps it in a field that its types do not name. */
export function socketOf(connection: Connection): Duplex {
  return (connection as unknown as { readonly connection: { readonly stream: Duplex } }).connection.stream
}

/**
 * Ends a connection at once; a query under way fails. mysql2's own ways do not: `end` waits for the other side, which may
 * be busy sending, or gone, and after `destroy` a query under way never settles.
 */
export function hangUp(connection: Connection): void {
  socketOf(connection).destroy()
}

/** Host and port of the first server. Throws a Failure ('configuration') when there is none. */
export function serverAddress(settings: MysqlSettings): { readonly host: string; readonly port: number } {
  const { host, port } = addressOf(settings)
  return { host, port }
}

interface Address {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

function addressOf(settings: MysqlSettings): Address {
  const given = { ...(settings.url === undefined ? {} : partsOf(parseUrl(settings))), ...definedOf(settings) }
  const { host, port = 3306, user, password = '' } = given
  if (host !== undefined && user !== undefined) return { host, port, user, password }
  const missing = user === undefined ? 'user' : 'host'
  throw new Failure('configuration', `source ${settings.name} names no ${missing}`, {
    remedy: 'give url: mysql://user:password@host:port, or host and user',
  })
}

function partsOf(url: URL): Partial<Address> {
  return {
    ...(url.hostname === '' ? {} : { host: url.hostname.replace(/^\[|\]$/g, '') }),
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    ...(url.username === '' ? {} : { user: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
  }
}

function definedOf({ host, port, user, password }: MysqlSettings): Partial<Address> {
  return {
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
  }
}

function parseUrl(settings: MysqlSettings): URL {
  const url = URL.parse(settings.url ?? '')
  if (url !== null && /^(mysql|mariadb):$/.test(url.protocol)) return url
  // The text is not repeated, because a password may be in it.
  const remedy = 'write mysql://user:password@host:port, with special characters of the password %-encoded'
  throw new Failure('configuration', `the url of source ${settings.name} is not one of a MySQL server`, {
    remedy,
  })
}

function sslOf(tls: TlsSettings): NonNullable<Exclude<ConnectionOptions['ssl'], string>> {
  return {
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
    rejectUnauthorized: tls.verify,
    verifyIdentity: tls.verifyName,
  }
}
