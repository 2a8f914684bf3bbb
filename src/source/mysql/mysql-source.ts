/** A MySQL or MariaDB server as a source of changes. */
import type { Position } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import type {
  Chunk,
  ChunkRequest,
  Finding,
  KeyedRows,
  KeysRequest,
  Source,
  SourceAdmin,
  SourceBatch,
  TableDescription,
} from '../source.ts'
import { BinlogStream } from './binlog-stream.ts'
import { connect, hangUp, type Connection, type MysqlSettings } from './connection.ts'
import { describeTable, type TableOptions } from './describe.ts'
import { parseGtidSet } from './gtid-set.ts'
import type { Flavor } from './gtid.ts'
import { covers, formatPosition, showPosition } from './position.ts'
import { examine } from './preflight.ts'
import { readExecuted, readPurged, readRetentionSeconds, readServerFacts } from './server-facts.ts'
import { readChunk, readKeys } from './snapshot.ts'

/** Reads nothing and connects to nothing until it is asked. `tables` are all that will be read, as `schema.table`. */
export function createMysqlSource(settings: MysqlSettings, tables: readonly string[]): Source & SourceAdmin {
  return new MysqlSource(settings, tables)
}

/** A connection, and which kind of server it reaches. */
interface Session {
  readonly connection: Connection
  readonly flavor: Flavor
}

class MysqlSource implements Source, SourceAdmin {
  readonly #settings: MysqlSettings
  readonly #stream: BinlogStream
  /** Connections that wait for their next use. */
  readonly #idle: Session[] = []
  #closed = false

  constructor(settings: MysqlSettings, tables: readonly string[]) {
    this.#settings = settings
    this.#stream = new BinlogStream(settings, tables)
  }

  read(
    from: Position,
    signal: AbortSignal,
    interrupted?: (failure: Failure) => void,
  ): AsyncIterable<SourceBatch> {
    return this.#stream.read(from, signal, interrupted)
  }

  async head(): Promise<Position> {
    return await this.#with(async ({ connection, flavor }) =>
      formatPosition({ executed: await readExecuted(connection, flavor) }),
    )
  }

  async chunk(request: ChunkRequest, signal: AbortSignal): Promise<Chunk> {
    const options = tableOptions(this.#settings, request.table)
    return await this.#with(
      async (session) => await readChunk(request, { ...session, options }, () => this.head(), signal),
    )
  }

  async rows(request: KeysRequest, signal: AbortSignal): Promise<KeyedRows> {
    const options = tableOptions(this.#settings, request.table)
    return await this.#with(async (session) => await readKeys(request, { ...session, options }, signal))
  }

  covers(position: Position, other: Position): boolean {
    return covers(position, other)
  }

  async earliest(): Promise<Position> {
    return await this.#with(async ({ connection, flavor }) =>
      formatPosition({ executed: await readPurged(connection, flavor) }),
    )
  }

  parse(text: string): Position {
    return formatPosition({ executed: parseGtidSet(text) })
  }

  show(position: Position): string {
    return showPosition(position)
  }

  async describe(table: string): Promise<TableDescription> {
    const options = tableOptions(this.#settings, table)
    return await this.#with(async ({ connection }) => {
      const { table: definition, excluded, rowsEstimate } = await describeTable(connection, table, options)
      return { table: definition, excluded, rowsEstimate }
    })
  }

  async examine(tables: readonly string[]): Promise<readonly Finding[]> {
    return await examine(this.#settings, tables)
  }

  async retentionSeconds(): Promise<number | undefined> {
    return await this.#with(async ({ connection }) => await readRetentionSeconds(connection))
  }

  async close(): Promise<void> {
    this.#closed = true
    const idle = this.#idle.splice(0)
    await Promise.allSettled(idle.map(async ({ connection }) => await connection.end()))
  }

  /**
   * Uses a connection that nobody else uses meanwhile; one that an error may have harmed is not used again. A connection
   * that broke while it waited says so at its next use; then a new one is tried. All uses only read.
   */
  async #with<Result>(use: (session: Session) => Promise<Result>): Promise<Result> {
    const waiting = this.#idle.pop()
    if (waiting !== undefined) {
      try {
        return await this.#useOnce(waiting, use)
      } catch (error) {
        if (!(error instanceof Failure && error.kind === 'transient')) throw error
      }
    }
    return await this.#useOnce(await this.#open(), use)
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

  async #open(): Promise<Session> {
    const connection = await connect(this.#settings)
    try {
      const { flavor } = await readServerFacts(connection)
      return { connection, flavor }
    } catch (error) {
      hangUp(connection)
      throw error
    }
  }
}

function tableOptions(settings: MysqlSettings, table: string): TableOptions {
  return { excluded: new Set(settings.excluded?.[table]), keyColumns: settings.keys?.[table] }
}
