/** Connections that are used by one reader at a time, and kept for the next. */
import { Failure } from '../../../change/failure.ts'
import { connect, hangUp, serverAddress, type Connection, type MysqlSettings } from './connection.ts'
import type { Flavor } from '../gtid/gtid.ts'
import { readServerFacts } from './server-facts.ts'
import { boundReads } from './time-limit.ts'

/** A connection, and which server it reaches. */
export interface Session {
  readonly connection: Connection
  readonly flavor: Flavor
  readonly address: string
}

export class Sessions {
  readonly #open: () => Promise<Session>
  readonly #isCurrent: (session: Session) => boolean
  /** Connections that wait for their next use. */
  readonly #idle: Session[] = []
  #closed = false

  /** `isCurrent`: whether a connection that waited still reaches the server that is meant. */
  constructor(open: () => Promise<Session>, isCurrent: (session: Session) => boolean = () => true) {
    this.#open = open
    this.#isCurrent = isCurrent
  }

  /**
   * Uses a connection that nobody else uses meanwhile; one that an error may have harmed is not used again. A connection
   * that broke while it waited says so at its next use; then a new one is tried. All uses only read.
   */
  async with<Result>(use: (session: Session) => Promise<Result>): Promise<Result> {
    const waiting = this.#idle.pop()
    if (waiting !== undefined && !this.#isCurrent(waiting)) hangUp(waiting.connection)
    else if (waiting !== undefined) {
      try {
        return await this.#useOnce(waiting, use)
      } catch (error) {
        if (!(error instanceof Failure && error.kind === 'transient')) throw error
      }
    }
    return await this.#useOnce(await this.#open(), use)
  }

  /** Uses every connection that waits, one after the other. */
  async each<Result>(use: (session: Session) => Promise<Result>): Promise<readonly Result[]> {
    const results: Result[] = []
    for (const session of this.#idle) results.push(await use(session))
    return results
  }

  async close(): Promise<void> {
    this.#closed = true
    const idle = this.#idle.splice(0)
    await Promise.allSettled(idle.map(async ({ connection }) => await connection.end()))
  }

  async #useOnce<Result>(session: Session, use: (session: Session) => Promise<Result>): Promise<Result> {
    let result: Result
    try {
      result = await use(session)
    } catch (error) {
      hangUp(session.connection)
      throw error
    }
    if (this.#closed) hangUp(session.connection)
    else this.#idle.push(session)
    return result
  }
}

export async function openSession(settings: MysqlSettings): Promise<Session> {
  const connection = await connect(settings)
  try {
    const { flavor } = await readServerFacts(connection)
    const { readTimeoutMs } = settings
    if (readTimeoutMs !== undefined) await boundReads(connection, readTimeoutMs)
    return { connection, flavor, address: addressOf(settings) }
  } catch (error) {
    hangUp(connection)
    throw error
  }
}

export function addressOf(settings: MysqlSettings): string {
  const { host, port } = serverAddress(settings)
  return `${host}:${port}`
}
